"""What goes over the wire about segments."""

import json
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic.json_schema import SkipJsonSchema

from equipoise_service.keys import Key
from equipoise_service.nesting import depth

MAX_IDS = 200_000
"""Most ids of one segment."""

UNIT = "$unit"
"""The attribute that is the unit's id, as it is given to evaluation."""

_MAX_DEPTH = 64
"""Far more than a condition can have; what nests deeper could not even be written down to be compared."""


def _check_json(condition: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse what cannot be stored as JSON; the SDK's reader says the rest."""
    if depth(condition) > _MAX_DEPTH:
        raise ValueError("the condition nests too deeply")
    try:
        json.dumps(condition, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        raise ValueError("every number must be finite, and every string valid Unicode") from None
    return condition


Condition = Annotated[
    dict[str, JsonValue],
    AfterValidator(_check_json),
    Field(
        description="A condition on attributes, as the configuration document has it: `all`, `any`, `not`, "
        "`segment`, or `attribute` with `operator` and `value`.",
        json_schema_extra={"example": {"attribute": "country", "operator": "in", "value": ["DE", "FR"]}},
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people.")]
Description = Annotated[str, Field(max_length=10_000, description="Who belongs to it, and why.")]
Attribute = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1_000,
        description="The attribute whose values the ids are; `$unit` is the unit's id itself.",
    ),
]
# NUL is refused because no unit id may hold it: such an id could never match.
Id = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
Ids = Annotated[list[Id], Field(max_length=MAX_IDS, description="The ids; each counts once.")]

_EXAMPLE: dict[str, Any] = {
    "key": "dach",
    "name": "German-speaking countries",
    "condition": {"attribute": "country", "operator": "in", "value": ["AT", "CH", "DE"]},
}


class SegmentIn(BaseModel):
    """A segment to be made: with a condition, or with ids."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    key: Key
    name: Name
    description: Description = ""
    condition: Condition | SkipJsonSchema[None] = None
    attribute: Attribute = UNIT
    ids: Ids | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.condition is None) == (self.ids is None):
            raise ValueError("give either a condition or ids")
        if self.condition is not None and "attribute" in self.model_fields_set:
            raise ValueError("attribute belongs to ids; a condition names its own")
        return self


class SegmentPatch(BaseModel):
    """What to change of a segment; what is absent stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"condition": {"attribute": "country", "operator": "equals", "value": "DE"}}
        },
    )

    name: Name | SkipJsonSchema[None] = None
    description: Description | SkipJsonSchema[None] = None
    condition: Condition | SkipJsonSchema[None] = None
    attribute: Attribute | SkipJsonSchema[None] = None
    ids: Ids | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self


class IdsPatch(BaseModel):
    """Ids to add to a segment, and ids to remove from it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"add": ["user-17", "user-42"], "remove": ["user-3"]}}
    )

    add: Ids = []
    remove: Ids = []

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        both = set(self.add) & set(self.remove)
        if both:
            raise ValueError(f"{min(both)!r} cannot be both added and removed")
        return self


class SegmentOut(BaseModel):
    """A segment. Its ids are read apart, because they can be many."""

    key: str
    name: str
    description: str
    condition: dict[str, JsonValue] | None = Field(description="Null for a segment of ids.")
    attribute: str | None = Field(description="Whose values the ids are; null for a condition.")
    ids_count: int | None = Field(description="How many ids it has; null for a condition.")
    created_at: datetime
    updated_at: datetime


class SegmentIdsOut(BaseModel):
    """The ids of a segment."""

    attribute: str
    ids: list[str] = Field(description="Sorted.")
