"""The analysis plan that a readout follows."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Definition, Direction, Role

_CONFIG = ConfigDict(extra="forbid", frozen=True)

# A file has no events, so nothing of a definition but its type says anything about its rows.
_OF_COLUMNS = {"key", "type", "role", "direction", "event", "column", "source", "version"}
_PLAIN = {
    name: field.get_default() for name, field in Definition.model_fields.items() if name not in _OF_COLUMNS
}


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

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.event is None) == (self.column is None):
            raise ValueError("a metric is made of events or of a column")
        if self.column is not None and self.model_dump(exclude=_OF_COLUMNS) != _PLAIN:
            raise ValueError("a metric made of a column has no aggregation, filters or window")
        return self

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
        )


class Plan(BaseModel):
    """What was decided before the data came."""

    model_config = _CONFIG

    unit_type: str = Field(description="What is randomised.")
    variants: list[PlannedVariant] = Field(description="The arms.")
    metrics: list[PlannedMetric] = Field(description="What is measured, the most important first.")
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.05, description="Two-sided level of each comparison; the intervals cover 1 − alpha."
    )
    method: Literal["fixed-horizon"] = Field("fixed-horizon", description="The inference.")

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
    def measures(self) -> tuple[Measure, ...]:
        """How the values of units come about, metric by metric."""
        return tuple(metric.measure for metric in self.metrics)
