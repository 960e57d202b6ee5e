"""What goes over the wire about flags."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from equipoise import BUCKETS
from equipoise_service.experiments.lifecycle import Status
from equipoise_service.flags.values import FlagType, value_type
from equipoise_service.keys import Key
from equipoise_service.segments.schemas import Condition

_EXAMPLE: dict[str, Any] = {
    "key": "search-engine",
    "name": "Search engine",
    "type": "string",
    "variants": [{"key": "old", "value": "solr"}, {"key": "new", "value": "vespa"}],
    "default": "old",
    "rules": [
        {"key": "staff", "audience": {"segment": "staff"}, "variant": "new"},
        {"key": "some", "rollout": {"shares": [{"variant": "new", "share": 500}]}},
    ],
}
_SERVES = ("variant", "rollout", "experiment", "progressive_rollout")

Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people.")]
Description = Annotated[str, Field(max_length=10_000, description="What it decides, and who asks for it.")]


class VariantIn(BaseModel):
    """One value that a flag can have."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    value: JsonValue = Field(description="What code gets; of the flag's type.")

    @field_validator("value")
    @classmethod
    def _value(cls, value: JsonValue) -> JsonValue:
        value_type(value)
        return value


class Share(BaseModel):
    """How many units get a variant."""

    model_config = ConfigDict(extra="forbid")

    variant: Key
    share: int = Field(ge=0, le=BUCKETS, description="Basis points of all units.")


class Percentages(BaseModel):
    """A percentage rollout. Units beyond the shares are left to the next rule.

    Changing shares moves as few units as possible from one variant to another.
    """

    model_config = ConfigDict(extra="forbid")

    unit_type: Key | None = Field(None, description="What is bucketed; absent: the flag's unit type.")
    salt: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{16}$",
        description="Salts the buckets. Absent: the one the rule of this key had, or a new one. Rules with "
        "one salt pick the same units first.",
    )
    shares: list[Share] = Field(min_length=1, max_length=50)

    @field_validator("shares")
    @classmethod
    def _shares(cls, shares: list[Share]) -> list[Share]:
        if len({share.variant for share in shares}) != len(shares):
            raise ValueError("each variant has one share")
        total = sum(share.share for share in shares)
        if total > BUCKETS:
            raise ValueError(f"the shares are basis points, {BUCKETS:,} at most; these sum to {total:,}")
        return shares


class Rule(BaseModel):
    """What a flag serves to whom: one variant, percentages, an experiment or a progressive rollout."""

    model_config = ConfigDict(extra="forbid")

    key: Key = Field(description="The rule's name within the flag.")
    audience: Condition | None = Field(
        None,
        description="Who it is for; null: everybody. An experiment and a progressive rollout have their own.",
    )
    variant: Key | None = Field(None, description="Serve this variant.")
    rollout: Percentages | None = Field(None, description="Serve variants to shares of the units.")
    experiment: Key | None = Field(None, description="Serve what this experiment of the flag randomises.")
    progressive_rollout: Key | None = Field(
        None, description="Serve what this progressive rollout of the flag has reached."
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        given = [name for name in _SERVES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_SERVES)}")
        if self.audience is not None and given[0] in ("experiment", "progressive_rollout"):
            raise ValueError(f"the audience of the {given[0].replace('_', ' ')} is its own; change it there")
        return self


class Prerequisite(BaseModel):
    """A flag that must give a unit one of these variants, or this flag gives the unit its default."""

    model_config = ConfigDict(extra="forbid")

    flag: Key
    variants: list[Key] = Field(min_length=1, max_length=50)


Variants = Annotated[list[VariantIn], Field(min_length=1, max_length=50, description="Keys are unique.")]
Rules = Annotated[
    list[Rule], Field(max_length=200, description="In order: the first that matches wins. Keys are unique.")
]
Prerequisites = Annotated[list[Prerequisite], Field(max_length=20, description="All of them must hold.")]
Default = Annotated[Key, Field(description="The variant that is served where no rule matches.")]
Enabled = Annotated[bool, Field(strict=True, description="False: everybody gets the default.")]


class FlagIn(BaseModel):
    """A flag to be made. `enabled`, `rules` and `prerequisites` are those of the key's environment."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    key: Key
    name: Name
    description: Description = ""
    type: FlagType
    unit_type: Key = Field("user", description="What the unit is that code asks for.")
    variants: Variants
    default: Default
    enabled: Enabled = True
    rules: Rules = []
    prerequisites: Prerequisites = []


class FlagPatch(BaseModel):
    """What to change of a flag; what is absent stays. A list replaces the list before.

    `enabled`, `rules` and `prerequisites` are those of the key's environment, all else of the project.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"enabled": False}})

    name: Name | SkipJsonSchema[None] = None
    description: Description | SkipJsonSchema[None] = None
    variants: Variants | SkipJsonSchema[None] = None
    default: Default | SkipJsonSchema[None] = None
    enabled: Enabled | SkipJsonSchema[None] = None
    rules: Rules | SkipJsonSchema[None] = None
    prerequisites: Prerequisites | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self


class AttachedExperiment(BaseModel):
    """An experiment that randomises the flag's value."""

    key: str
    status: Status = Field(description="In the key's environment.")


class FlagOut(BaseModel):
    """A flag, as it stands in the key's environment."""

    key: str
    name: str
    description: str
    type: FlagType
    unit_type: str
    variants: list[VariantIn]
    default: str
    environment: str
    enabled: bool
    rules: list[Rule]
    prerequisites: list[Prerequisite]
    experiments: list[AttachedExperiment] = Field(description="Oldest first.")
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = Field(description="Null unless it was put away.")
