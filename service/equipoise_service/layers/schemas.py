"""What goes over the wire about layers."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from equipoise_service.keys import Key

Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people.")]
Description = Annotated[str, Field(max_length=10_000, description="What it is for.")]


class LayerIn(BaseModel):
    """A layer to be made."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "key": "checkout",
                "name": "Checkout",
                "description": "Experiments that change the checkout; no visitor is in two of them.",
            }
        },
    )

    key: Key
    name: Name
    description: Description = ""


class LayerPatch(BaseModel):
    """What to change of a layer; what is absent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "Checkout and cart"}})

    name: Name | SkipJsonSchema[None] = None
    description: Description | SkipJsonSchema[None] = None

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self


class HolderOut(BaseModel):
    """An experiment that holds slots of a layer."""

    experiment: str
    slots: int = Field(description="How many of the 10,000 slots.")


class LayerOut(BaseModel):
    """A layer, with who holds its slots in the key's environment."""

    key: str
    name: str
    description: str
    salt: str = Field(description="Salts the slot of a unit; it never changes.")
    environment: str
    free: int = Field(description="Slots that nobody holds, of 10,000.")
    holders: list[HolderOut] = Field(
        description="Experiments that run, are paused or hold units back, in the order of their start."
    )
    created_at: datetime
    updated_at: datetime
