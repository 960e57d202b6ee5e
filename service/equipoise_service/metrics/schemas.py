"""Definitions of metrics, as they go over the wire and stand in a plan."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise_service.keys import Key
from equipoise_service.metrics.conditions import Filters, PropertyName

MAX_HOURS = 366 * 24


class MetricType(StrEnum):
    """How a unit's events become the unit's value."""

    PROPORTION = "proportion"
    MEAN = "mean"
    RATIO = "ratio"
    RETENTION = "retention"
    COUNT_DISTINCT = "count_distinct"
    QUANTILE = "quantile"
    FUNNEL = "funnel"

    @property
    def is_share(self) -> bool:
        """Whether each unit has the property or has it not."""
        return self in (MetricType.PROPORTION, MetricType.RETENTION, MetricType.FUNNEL)


class Level(StrEnum):
    """Of what a quantile is taken."""

    EVENT = "event"
    UNIT = "unit"


class Aggregation(StrEnum):
    """How the values of a unit's events become one number."""

    SUM = "sum"
    COUNT = "count"
    MAXIMUM = "maximum"
    LAST = "last"


class Role(StrEnum):
    """What a metric is for in the decision."""

    SUCCESS = "success"
    GUARDRAIL = "guardrail"
    DETERIORATION = "deterioration"
    QUALITY = "quality"


class Direction(StrEnum):
    """Which way is better."""

    INCREASE = "increase"
    DECREASE = "decrease"


Days = Annotated[int, Field(ge=1, le=366)]
EventName = Annotated[str, Field(min_length=1, max_length=200)]


class EventMeasure(BaseModel):
    """A number that each unit's events give."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"event": "view", "aggregation": "count"}}
    )

    event: EventName = Field(description="Name of the events.")
    aggregation: Aggregation = Field(Aggregation.SUM, description="How their values become one number.")
    filters: Filters = ()


class Covariate(EventMeasure):
    """A number from before each unit's first exposure that a comparison is adjusted for."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"event": "visit", "aggregation": "count", "pre_period_days": 14}}
    )

    property: PropertyName | None = Field(
        None, description="How many different values this property of the events has, and no aggregation."
    )
    pre_period_days: Days = Field(
        description="Events count from so many days before the unit's first exposure, until that moment."
    )

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if self.property is not None and self.aggregation is not Aggregation.SUM:
            raise ValueError(
                "different values of a property are counted, not aggregated; leave one of them out"
            )
        return self


_WINSORIZED = MetricType.MEAN, MetricType.COUNT_DISTINCT, MetricType.RATIO


class Step(BaseModel):
    """A step of a funnel."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"example": {"event": "cart"}})

    event: EventName = Field(description="Name of the events.")
    filters: Filters = ()


class Definition(BaseModel):
    """How the values of units come about, apart from what they are made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: MetricType = Field(
        description="`proportion`: the share of units with at least one such event. `mean`: the unit's "
        "events aggregated, averaged over all exposed units; units without one count as zero. "
        "`ratio`: the sum of that over all units, divided by the sum of the denominator. "
        "`retention`: the share of units with such an event from day `from_day` to before `to_day`. "
        "`count_distinct`: how many different values of a property the unit's events have. "
        "`quantile`: a quantile of the events' values, or of the units' aggregated ones. "
        "`funnel`: the share of units that came through all steps in their order."
    )
    aggregation: Aggregation = Field(
        Aggregation.SUM,
        description="Of a mean, a ratio's numerator, or a quantile of units: `sum` of the events' values, "
        "`count` of the events, `maximum` of the values, or the `last` event's value.",
    )
    filters: Filters = ()
    denominator: EventMeasure | None = Field(
        None, description="Of a ratio: what it is divided by, with the same delay and window."
    )
    delay_hours: Annotated[int, Field(ge=0, le=MAX_HOURS)] = Field(
        0, description="Events count from so many hours after the unit's first exposure on."
    )
    window_hours: Annotated[int, Field(ge=1, le=MAX_HOURS)] | None = Field(
        None,
        description="Events count up to so many hours after the unit's first exposure, that moment not "
        "included, and only units whose window has passed count at all; null: without end.",
    )

    property: PropertyName | None = Field(
        None,
        description="Of a count of distinct values: the events' property; missing and null count as none.",
    )
    from_day: Annotated[int, Field(ge=0, le=366)] | None = Field(
        None,
        description="Of retention: events count from so many times 24 hours after the first exposure on.",
    )
    to_day: Annotated[int, Field(ge=1, le=366)] | None = Field(
        None, description="Of retention: and up to so many times 24 hours after it, that moment not included."
    )
    quantile: Annotated[float, Field(ge=0.000001, le=0.999999)] | None = Field(
        None, description="Of a quantile: which one, such as 0.9 (to six decimals)."
    )
    level: Level | None = Field(
        None,
        description="Of a quantile: `event` for the values of all events of an arm, whose clustering by unit "
        "is allowed for, or `unit` for one aggregated value a unit.",
    )
    steps: Annotated[tuple[Step, ...], Field(max_length=9)] = Field(
        (), description="Of a funnel: the steps that follow the first one, which is `event` with `filters`."
    )
    within_hours: Annotated[int, Field(ge=1, le=MAX_HOURS)] | None = Field(
        None,
        description="Of a funnel: steps count up to so many hours after the unit's first step, that moment "
        "not included; null: without end.",
    )
    winsorize: Annotated[float, Field(ge=0.5, lt=1)] | None = Field(
        None,
        description="Of a mean: a unit's value above this quantile of the values that are not zero, of all "
        "arms together, is set to that quantile, such as 0.999 (to six decimals); of a ratio the numerator "
        "and the denominator, each at its own; null: values stay.",
    )
    pre_period_days: Days | None = Field(
        None,
        description="The same over so many days before the unit's first exposure is a covariate that the "
        "comparison is adjusted for (CUPED); null: it is not.",
    )
    covariate: Covariate | None = Field(
        None,
        description="Instead of that, another number from before the first exposure, of the same source; "
        "null: there is none.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        aggregated = self.type in (MetricType.MEAN, MetricType.RATIO) or self.level is Level.UNIT
        if not aggregated and self.aggregation is not Aggregation.SUM:
            raise ValueError(
                "aggregation belongs to a mean, a ratio or a quantile of units, not to "
                f"{'a quantile of events' if self.level else f'a {self.type}'}; leave it out"
            )
        self._check_quantile()
        self._check_funnel()
        self._check_adjustment()
        if (self.type is MetricType.COUNT_DISTINCT) != (self.property is not None):
            raise ValueError("a count_distinct has a property, and nothing else has")
        self._check_days()
        if (self.type is MetricType.RATIO) != (self.denominator is not None):
            raise ValueError("a ratio has a denominator, and nothing else has")
        if self.winsorize is not None and self.type not in _WINSORIZED:
            raise ValueError(f"winsorize belongs to a mean or a ratio, not to a {self.type}; leave it out")
        if self.window_hours is not None and self.window_hours <= self.delay_hours:
            raise ValueError(
                "window_hours ends at or before delay_hours; both are from the first exposure on"
            )
        return self

    def _check_quantile(self) -> None:
        wanted = self.type is MetricType.QUANTILE
        if (self.quantile is not None) != wanted or (self.level is not None) != wanted:
            raise ValueError("a quantile says which quantile and at which level, and nothing else does")
        if self.quantile is not None and round(self.quantile, 6) != self.quantile:
            raise ValueError("a quantile has at most six decimals")

    def _check_funnel(self) -> None:
        wanted = self.type is MetricType.FUNNEL
        if bool(self.steps) != wanted:
            raise ValueError("a funnel has steps after its first one, and nothing else has")
        if self.within_hours is not None and not wanted:
            raise ValueError(f"within_hours belongs to a funnel, not to a {self.type}")

    def _check_adjustment(self) -> None:
        given = [
            name
            for name, value in (("pre_period_days", self.pre_period_days), ("covariate", self.covariate))
            if value is not None
        ]
        if given and self.type in (MetricType.QUANTILE, MetricType.FUNNEL):
            raise ValueError(f"there is no adjustment of {self.type}s; leave {' and '.join(given)} out")
        if len(given) > 1:
            raise ValueError(
                "a metric is adjusted for its own pre-period (pre_period_days) or for another covariate, "
                "which has days of its own; leave one of them out"
            )

    def _check_days(self) -> None:
        if self.type is not MetricType.RETENTION:
            if self.from_day is not None or self.to_day is not None:
                raise ValueError(f"from_day and to_day belong to retention, not to a {self.type}")
            return
        if self.from_day is None or self.to_day is None or self.to_day <= self.from_day:
            raise ValueError("retention has from_day and to_day, and to_day is the later one")
        if self.delay_hours or self.window_hours is not None:
            raise ValueError("retention counts in days; leave delay_hours and window_hours out")

    def hours(self) -> tuple[int, int | None]:
        """From when to when events count, in hours after the first exposure; None without end."""
        if self.from_day is not None and self.to_day is not None:
            return 24 * self.from_day, 24 * self.to_day
        return self.delay_hours, self.window_hours


class Metric(Definition):
    """A metric over the events that units send."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"key": "converted", "type": "proportion", "event": "converted"}},
    )

    key: Key = Field(description="The metric's name in the readout.")
    event: EventName = Field(description="Name of the events that it is made of.")
    source: Key | None = Field(
        None, description="Key of the source whose facts it measures; null: the events sent to the service."
    )
    role: Role = Field(Role.SUCCESS, description="What the metric is for in the decision.")
    direction: Direction = Field(Direction.INCREASE, description="Which way is better.")
