"""How the values of units are spread, as it goes over the wire."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.readouts.measured import Number

_CONFIG = ConfigDict(extra="forbid", frozen=True)

Units = Annotated[int, Field(ge=0)]


class ArmValues(BaseModel):
    """How the values of one arm are spread."""

    model_config = _CONFIG

    variant: str = Field(description="The variant's key.")
    units: Units = Field(description="Mature units of the arm.")
    drawn: Units = Field(description="How many of them were drawn.")
    zero: Units = Field(description="How many of those have the value zero.")
    counts: list[Units] = Field(description="How many of the others are in each bin; with zero, all drawn.")


class Values(BaseModel):
    """How the values of one metric are spread over the units, before any is cut."""

    model_config = _CONFIG

    halvings: Annotated[int, Field(ge=0, le=31)] = Field(
        description="One unit in 2 to the power of so many was drawn, by a hash of its id; 0: all were."
    )
    edges: list[Number] | None = Field(
        description="Where one bin ends and the next begins, ascending. The first bin has no lower end and "
        "the last no upper one; a value at an edge is in the bin that is farther from zero. Null where too "
        "few values are not zero to show how they are spread."
    )
    arms: list[ArmValues] = Field(description="The planned arms, the control first.")
