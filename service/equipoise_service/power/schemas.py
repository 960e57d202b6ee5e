"""What goes over the wire about the power of plans."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise import BUCKETS
from equipoise_service.keys import Key
from equipoise_service.metrics.schemas import EventName, Role
from equipoise_service.metrics.stored import NamedMetric
from equipoise_service.plans.schemas import MAX_DAYS, PlanIn

MAX_METRICS = 50

Value = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]
Deviation = Annotated[float, Field(ge=1e-100, le=1e15, allow_inf_nan=False)]

_EXAMPLE: dict[str, Any] = {
    "metrics": [
        {"key": "bookings", "type": "proportion", "event": "booked"},
        {
            "key": "latency",
            "type": "mean",
            "event": "page_loaded",
            "role": "guardrail",
            "direction": "decrease",
        },
    ],
    "plan": {
        "horizon": {"units": 100000},
        "targets": {"bookings": {"mde": 0.05}, "latency": {"margin": 0.02}},
    },
    "traffic_of": {"event": "visited"},
}


class TrafficOf(BaseModel):
    """Whose units an experiment would get: exactly one of its members."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"flag": "checkout"}})

    experiment: Key | None = Field(None, description="Those that were exposed to an experiment.")
    flag: Key | None = Field(None, description="Those that were exposed to any experiment of a flag.")
    event: EventName | None = Field(None, description="Those that had an event of this name.")
    daily_units: Annotated[float, Field(gt=0, le=10**10)] | None = Field(
        None, description="So many new units a day, whoever they are; nothing is counted."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in self.model_dump().values()) != 1:
            raise ValueError("traffic_of names one of experiment, flag, event and daily_units")
        return self


class BaselineIn(BaseModel):
    """Where a metric stands, as you know it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"value": 20.0, "standard_deviation": 35.0}}
    )

    value: Value = Field(description="The metric's value without a change.")
    standard_deviation: Deviation | None = Field(
        None,
        description="Of the units' values; of a ratio or quantile, its standard error times the root of the "
        "number of units. A share has none of its own.",
    )
    variance_removed: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Share of the variance that an adjustment for the pre-period removes."
    )


class PowerIn(BaseModel):
    """A plan whose size is asked for. What is absent is taken from `experiment`, where that is named."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    experiment: Key | None = Field(
        None, description="Key of a registered experiment, also of a draft; null: all is given here."
    )
    metrics: Annotated[list[NamedMetric], Field(min_length=1, max_length=MAX_METRICS)] | None = Field(
        None, description="What is measured; null: the experiment's."
    )
    plan: PlanIn | None = Field(None, description="The plan; null: the experiment's, or the defaults.")
    weights: Annotated[list[Annotated[int, Field(ge=1, le=BUCKETS)]], Field(min_length=2, max_length=50)] | (
        None
    ) = Field(None, description="Weights of the arms, the control first; null: the experiment's, or 1 and 1.")
    unit_type: Key | None = Field(None, description="What is randomised; null: the experiment's, or `user`.")
    traffic: Annotated[int, Field(ge=1, le=BUCKETS)] | None = Field(
        None, description="Share of units that take part, in basis points; null: the experiment's, or all."
    )
    traffic_of: TrafficOf | None = Field(
        None,
        description="Whose units it would get; null: of the experiment's flag where that had exposures, else "
        "all units with any event.",
    )
    history_days: Annotated[int, Field(ge=1, le=366)] = Field(
        28, description="How many days until now are taken for the future."
    )
    baselines: Annotated[dict[Key, BaselineIn], Field(max_length=MAX_METRICS)] = Field(
        default_factory=dict,
        description="Where metrics stand, by key; those that are not named are measured in the history.",
    )
    days: Annotated[list[Annotated[int, Field(ge=1, le=MAX_DAYS)]], Field(min_length=1, max_length=8)] = (
        Field([7, 14, 21, 28, 42, 56], description="Horizons for which the smallest effect is asked.")
    )


class LevelsOut(BaseModel):
    """The levels that each test of the decision runs at."""

    success_alpha: float = Field(description="Two-sided level of each success metric and treatment.")
    guardrail_alpha: float = Field(description="Two-sided level of each guardrail.")
    power: float = Field(description="Power of each of them, so that all together have the plan's.")


class TrafficOut(BaseModel):
    """The units that were seen."""

    units: int | None = Field(
        description="Different units in the history, without days of a pause; null where nothing was counted."
    )
    days: int | None = Field(description="Days that the history has units of; null likewise.")
    daily_units: float | None = Field(
        description="New units a day at the end of the history, before `traffic` and holdouts; null without "
        "any."
    )


class MetricPower(BaseModel):
    """What one metric needs."""

    metric: str
    role: Role = Field(description="What it is for; a guardrail without a margin is watched for harm only.")
    value: float | None = Field(description="Where it stands; null where that is not known.")
    standard_deviation: float | None = Field(
        description="Of one unit, after the adjustment for a pre-period; null likewise."
    )
    history_units: int | None = Field(description="Units that this rests on; null where it was given.")
    units: int | None = Field(description="Units of all arms that it needs by itself; null: see `reason`.")
    expected_units: int | None = Field(
        description="Units until it is shown, on average, if the effect is the planned one."
    )
    prior_units: int | None = Field(
        description="Of a Bayesian plan: units of all arms that tell as much as the prior does."
    )
    reason: str | None = Field(description="Why there is no number; null where there is one.")


class Reach(BaseModel):
    """What a metric can show within a horizon."""

    metric: str
    units: int = Field(description="Units of all arms whose windows have passed by then.")
    difference: float | None = Field(
        description="The smallest effect of a success metric, or the smallest margin of a guardrail, that is "
        "shown with the power of `levels`, in the metric's unit; null: see `reason`."
    )
    lift: float | None = Field(description="The same as a fraction of the metric's value.")
    power: float | None = Field(description="Power for the plan's own target; null without one.")
    reason: str | None = Field(description="Why there is no effect; null where there is one.")


class HorizonOut(BaseModel):
    """What the plan can show within a number of days."""

    days: int
    units: int = Field(description="Units of all arms that are enrolled by then.")
    looks: int = Field(description="Looks until then that are planned for.")
    power: float | None = Field(
        description="Probability to ship a change as planned, if the metrics were independent; null where no "
        "success metric has an effect to find, or a guardrail has no baseline."
    )
    metrics: list[Reach] = Field(description="The success metrics and the guardrails with a margin.")


class PowerOut(BaseModel):
    """What a plan needs, for its whole decision rule."""

    units: int | None = Field(description="Units of all arms at the end; null: see `reason`.")
    days: int | None = Field(
        description="Days from the start until the last window has passed, enrolment in whole weeks; null "
        "where the units are not known or would not come within ten years."
    )
    binding: str | None = Field(description="The metric that needs the most.")
    reason: str | None = Field(description="Why there is no number; null where there is one.")
    looks: int = Field(description="Looks that `units` are planned for.")
    levels: LevelsOut
    traffic: TrafficOut
    metrics: list[MetricPower] = Field(description="In the order of the plan.")
    horizons: list[HorizonOut] = Field(description="Empty where no traffic is known.")
    notes: list[str] = Field(description="What to know of these numbers; may be empty.")
