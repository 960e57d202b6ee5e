"""Definitions of metrics, as they go over the wire and stand in a plan."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.keys import Key


class MetricType(StrEnum):
    """How a unit's events become the unit's value."""

    PROPORTION = "proportion"
    MEAN = "mean"


class Role(StrEnum):
    """What a metric is for in the decision."""

    SUCCESS = "success"
    GUARDRAIL = "guardrail"


class Direction(StrEnum):
    """Which way is better."""

    INCREASE = "increase"
    DECREASE = "decrease"


class Metric(BaseModel):
    """A metric over the events that units send."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"key": "converted", "type": "proportion", "event": "converted"}},
    )

    key: Key = Field(description="The metric's name in the readout.")
    type: MetricType = Field(
        description="`proportion`: the share of units with at least one such event. `mean`: the sum of the "
        "event's values by unit, averaged over all exposed units; units without one count as zero."
    )
    event: str = Field(min_length=1, max_length=200, description="Name of the events that it is made of.")
    role: Role = Field(Role.SUCCESS, description="What the metric is for in the decision.")
    direction: Direction = Field(Direction.INCREASE, description="Which way is better.")
