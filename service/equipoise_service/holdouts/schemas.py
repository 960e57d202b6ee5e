"""What goes over the wire about holdouts."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from equipoise import BUCKETS
from equipoise_service.keys import Key

Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people.")]
Description = Annotated[str, Field(max_length=10_000, description="What it is for.")]
Share = Annotated[
    int,
    Field(ge=0, le=BUCKETS, description="Share of units that are kept out, in basis points. It only grows."),
]


class HoldoutIn(BaseModel):
    """A holdout to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "key": "year-2026",
                "name": "2026",
                "description": "Sees no experiment of this year.",
                "share": 200,
            }
        },
    )

    key: Key
    name: Name
    description: Description = ""
    unit_type: Key = Field("user", description="What is held out.")
    share: Share


class HoldoutPatch(BaseModel):
    """What to change of a holdout; what is absent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"share": 500}})

    name: Name | SkipJsonSchema[None] = None
    description: Description | SkipJsonSchema[None] = None
    share: Share | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self


class HoldoutOut(BaseModel):
    """A holdout."""

    key: str
    name: str
    description: str
    unit_type: str
    share: int
    salt: str = Field(description="Salts the bucket of a unit; it never changes.")
    experiments: list[str] = Field(description="Keys of the experiments that name it, oldest first.")
    created_at: datetime
    updated_at: datetime
