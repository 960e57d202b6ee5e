"""The analysis plan that a readout follows, complete and by itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Definition, Direction, Role
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans.schemas import Design, MarginScale, Method, PlanIn, Positive, Target, Units

_CONFIG = ConfigDict(extra="forbid", frozen=True)

# A file has no events, so nothing of a definition but its type says anything about its rows.
_OF_COLUMNS = {
    "key",
    "type",
    "role",
    "direction",
    "event",
    "column",
    "source",
    "version",
    "margin",
    "mde",
    "scale",
}
_PLAIN = {
    name: field.get_default() for name, field in Definition.model_fields.items() if name not in _OF_COLUMNS
}


DEFAULT_TUNING_UNITS = 10_000
"""Units at which a confidence sequence is tightest where a plan has no horizon in units."""


class PlannedVariant(BaseModel):
    """One planned arm."""

    model_config = _CONFIG

    key: str = Field(description="The variant's key.")
    weight: Annotated[int | float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="Its weight; the expected share is the weight over the sum of all weights."
    )
    control: bool = Field(description="Whether it is the arm that the others are compared with.")


class PlannedMetric(Definition):
    """One metric of the plan. Exactly one of `event` and `column` is not null."""

    key: str = Field(description="The metric's name.")
    role: Role = Field(description="What it is for in the decision.")
    direction: Direction = Field(description="Which way is better.")
    event: str | None = Field(None, description="Name of the events that it is made of.")
    column: str | None = Field(None, description="Column of the file that it is made of.")
    source: str | None = Field(None, description="Key of the source of its events; null: the event store.")
    version: int | None = Field(None, description="Version of the stored metric; null: it was given here.")
    margin: Positive | None = Field(
        None, description="Of a guardrail: the largest acceptable loss; null: it is watched for harm only."
    )
    mde: Positive | None = Field(None, description="Of a success metric: the smallest effect to be found.")
    scale: MarginScale = Field(MarginScale.LIFT, description="What margin and mde are measured in.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.event is None) == (self.column is None):
            raise ValueError("a metric is made of events or of a column")
        if self.margin is not None and self.role is not Role.GUARDRAIL:
            raise ValueError(f"only a guardrail has a margin; {self.key} is a {self.role} metric")
        if self.mde is not None and self.role is not Role.SUCCESS:
            raise ValueError(f"only a success metric has an effect to find; {self.key} is a {self.role} one")
        losable = self.scale is MarginScale.DIFFERENCE or self.direction is Direction.DECREASE
        if self.margin is not None and self.margin >= 1 and not losable:
            raise ValueError(f"the margin of {self.key} is {self.margin:g}; nothing can lose 100 % or more")
        if self.column is not None and self.model_dump(exclude=_OF_COLUMNS) != _PLAIN:
            raise ValueError("a metric made of a column has no aggregation, filters or window")
        return self

    @property
    def matures(self) -> bool:
        """Whether a unit counts only once its window has passed."""
        return self.measure.matures_after > 0

    @property
    def measure(self) -> Measure:
        """How the values of units come about."""
        return Measure(
            self.key,
            self.type,
            self.event if self.event is not None else self.column or "",
            aggregation=self.aggregation,
            filters=self.filters,
            delay_hours=self.hours()[0],
            window_hours=self.hours()[1],
            distinct=self.property,
            denominator=self.denominator,
            winsorize=self.winsorize,
            pre_period_days=self.pre_period_days,
            covariate=self.covariate,
            quantile=self.quantile,
            level=self.level,
            steps=self.steps,
            within_hours=self.within_hours,
        )


class Plan(Design):
    """What was decided before the data came."""

    model_config = _CONFIG

    unit_type: str = Field(description="What is randomised.")
    variants: list[PlannedVariant] = Field(description="The arms.")
    metrics: list[PlannedMetric] = Field(description="What is measured, the most important first.")
    method: Method = Field(Method.FIXED_HORIZON, description="The inference.")
    tuning_units: Units = Field(
        DEFAULT_TUNING_UNITS, description="Units at which the confidence sequences are tightest."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(variant.control for variant in self.variants) != 1:
            raise ValueError("a plan has exactly one control")
        for keys in ([variant.key for variant in self.variants], [metric.key for metric in self.metrics]):
            if len(set(keys)) != len(keys):
                raise ValueError(f"a key is there twice: {keys}")
        if not sum(variant.weight for variant in self.variants) > 0:
            raise ValueError("no variant has a positive weight")
        return self

    @model_validator(mode="after")
    def _one_population(self) -> Self:
        if self.identity is not None and self.identity.anonymous == self.unit_type:
            raise ValueError(f"identity joins units of another unit type with {self.unit_type}, not the same")
        declared = bool(self.segments) or self.bots is not None or self.identity is not None
        if declared and any(metric.column is not None for metric in self.metrics):
            raise ValueError("segments, bots and identity are made of events; a file has none")
        if declared and len({metric.source for metric in self.metrics}) > 1:
            raise ValueError(
                "segments, bots and identity are read where the metrics are, and these metrics are of "
                "several sources, whose units would not be the same"
            )
        return self

    @property
    def document(self) -> dict[str, Any]:
        """Its JSON.

        Of a plan that was read, with the members that it had there: those that later releases add have their
        defaults, which say what the plan meant, and its digest stays the one that was locked.
        """
        return self.model_dump(mode="json", exclude_unset=True)

    def complete(self) -> "Plan":
        """The same plan, with every member in its document."""
        return Plan.model_validate(self.model_dump(mode="json"))

    @property
    def is_always_valid(self) -> bool:
        """Whether it may be concluded from at any moment, so that it may end whenever somebody likes."""
        return self.method is Method.CONFIDENCE_SEQUENCE

    @property
    def control(self) -> str:
        """The control's key."""
        return next(variant.key for variant in self.variants if variant.control)

    @property
    def treatments(self) -> tuple[str, ...]:
        """The other variants' keys."""
        return tuple(variant.key for variant in self.variants if not variant.control)

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each variant."""
        return {variant.key: variant.weight for variant in self.variants}

    @property
    def sources(self) -> tuple[str, ...]:
        """The keys of the sources that its metrics name, in order."""
        return tuple(sorted({metric.source for metric in self.metrics if metric.source is not None}))

    @property
    def measures(self) -> tuple[Measure, ...]:
        """How the values of units come about, metric by metric."""
        return tuple(metric.measure for metric in self.metrics)


def make_plan(
    design: PlanIn,
    *,
    starts_at: datetime | None,
    unit_type: str,
    variants: Sequence[PlannedVariant],
    metrics: Sequence[PinnedMetric],
) -> Plan:
    """The complete plan: every default resolved, so that it says the same whatever later defaults are.

    Args:
        design: What was asked for.
        starts_at: When the randomisation begins, from which days are counted; None: nobody knows.
        unit_type: What is randomised.
        variants: The arms.
        metrics: What is measured.

    Raises:
        NoSuchEnd: It cannot end on the date that it names.
        ValueError: The design does not fit the metrics.
    """
    horizon = None if design.horizon is None else design.horizon.counted_from(starts_at)
    units = horizon.units if horizon is not None else None
    tuning = design.tuning_units or (max(1, units // 2) if units else DEFAULT_TUNING_UNITS)
    return Plan(
        **design.model_dump(exclude={"targets", "horizon", "method", "tuning_units"}),
        horizon=horizon,
        unit_type=unit_type,
        variants=list(variants),
        metrics=[planned_metric(metric, design.targets.get(metric.key)) for metric in metrics],
        method=design.inference,
        tuning_units=tuning,
    ).complete()


def planned_metric(metric: PinnedMetric, target: Target | None) -> PlannedMetric:
    """A metric with what is asked of it.

    Raises:
        ValueError: The target does not fit the metric's role.
    """
    asked = {} if target is None else target.model_dump()
    return PlannedMetric.model_validate(metric.model_dump() | asked)
