"""A readout day by day, as it goes over the wire."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.readouts.measured import ArmStatistics, Bounds, Number

_CONFIG = ConfigDict(extra="forbid", frozen=True)

Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class DayUnits(BaseModel):
    """The units that were first exposed on one day, or on some days that are taken together."""

    model_config = _CONFIG

    first: Day = Field(description="The first day with such units, in UTC.")
    last: Day = Field(description="The last one; the same where every day is by itself.")
    units: dict[str, Annotated[int, Field(ge=0)]] = Field(description="How many came to each arm.")
    p_value: Number | None = Field(
        description="Of their sample ratio, at any moment, corrected for all days; null without units."
    )


class DayArm(BaseModel):
    """One arm on one metric."""

    model_config = _CONFIG

    variant: str = Field(description="The variant.")
    statistics: list[ArmStatistics] = Field(
        description="Day by day, of the units that were first exposed then, with their values of now; of a "
        "quantile, which does not follow from those of days, of all units that were exposed by then."
    )


class SoFar(BaseModel):
    """The effect among all units that were exposed by the end of a day, with their values of now."""

    model_config = _CONFIG

    difference: Number | None = Field(description="Variant minus baseline; null where there is none.")
    interval: Bounds | None = Field(
        description="Its interval at level 1 − alpha, by the confidence sequence that holds on all days "
        "together."
    )
    lift: Number | None = Field(description="The difference as a fraction of the baseline's value.")
    lift_interval: Bounds | None = Field(description="Its interval, likewise.")


class DayEffect(BaseModel):
    """The effect of one treatment on one metric."""

    model_config = _CONFIG

    variant: str = Field(description="The treatment.")
    so_far: list[SoFar] = Field(description="Day by day, against the control.")


class DayMetric(BaseModel):
    """One metric day by day."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    arms: list[DayArm] = Field(description="The planned arms.")
    effects: list[DayEffect] = Field(description="Each treatment against the control.")


class ByDay(BaseModel):
    """The readout for every day on which units were first exposed, recomputed from the data."""

    model_config = _CONFIG

    days: list[DayUnits] = Field(description="The days, oldest first; 120 at most: then 2, 4, … are one.")
    metrics: list[DayMetric] = Field(
        description="The metrics of the plan; quantiles of a source that keeps no tables are missing."
    )
