"""What goes over the wire about previews."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.keys import Key
from equipoise_service.metrics.stored import NamedMetric

_EXAMPLE: dict[str, Any] = {
    "metric": {"key": "revenue", "type": "mean", "event": "purchase", "window_hours": 168},
    "days": 14,
}


class PreviewIn(BaseModel):
    """A metric to be tried on the facts that are there."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    metric: NamedMetric = Field(
        description='A definition, or a stored metric as `{"metric": KEY}`. Its source is where it is tried.'
    )
    unit_type: Key = Field("user", description="What an experiment would randomise.")
    days: Annotated[int, Field(ge=1, le=366)] = Field(
        28, description="How many days until now are looked at; more where the metric's window is longer."
    )


class Distribution(BaseModel):
    """The values of the events that count."""

    minimum: float
    median: float
    p90: float = Field(description="The 90th percentile.")
    p99: float = Field(description="The 99th percentile.")
    maximum: float
    negative: int = Field(description="How many are below zero.")
    zero: int = Field(description="How many are zero.")


class Day(BaseModel):
    """One day, in UTC."""

    day: date
    events: int = Field(description="Events that count.")
    units: int = Field(description="Different units that have one.")
    total: float | None = Field(description="Sum of their values; null without any.")


class PreviewWarning(BaseModel):
    """Something about the definition that does not fit the facts."""

    code: str = Field(description="Stable name.")
    message: str = Field(description="What was found, and what to do.")


class PreviewOut(BaseModel):
    """What a metric finds."""

    source: str | None = Field(description="Where it was tried; null: the event store.")
    begin: datetime = Field(description="Every unit is taken as if it had been exposed at this moment.")
    end: datetime
    units: int = Field(description="Units of the type that did anything in this time.")
    active_units: int = Field(description="Those with an event that counts.")
    events: int = Field(description="Events that count, in this time.")
    value: float | None = Field(
        description="What the metric is over all units: the share, the mean, the ratio or the quantile; null "
        "where there is none."
    )
    standard_deviation: float | None = Field(
        description="Of the units' values, for the planning of a test; null where there is none."
    )
    distribution: Distribution | None = Field(description="Null where no event that counts has a value.")
    days: list[Day] = Field(description="The latest 14 days with such events, oldest first.")
    warnings: list[PreviewWarning]
    seconds: float = Field(description="How long it took.")
