"""The analysis plan that a readout follows."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise_service.analysis.requests import Measure
from equipoise_service.metrics.schemas import Direction, MetricType, Role

_CONFIG = ConfigDict(extra="forbid", frozen=True)


class PlannedVariant(BaseModel):
    """One planned arm."""

    model_config = _CONFIG

    key: str = Field(description="The variant's key.")
    weight: Annotated[int | float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="Its weight; the expected share is the weight over the sum of all weights."
    )
    control: bool = Field(description="Whether it is the arm that the others are compared with.")


class PlannedMetric(BaseModel):
    """One metric of the plan. Exactly one of `event` and `column` is not null."""

    model_config = _CONFIG

    key: str = Field(description="The metric's name.")
    type: MetricType = Field(description="`proportion` or `mean`.")
    role: Role = Field(description="What it is for in the decision.")
    direction: Direction = Field(description="Which way is better.")
    event: str | None = Field(None, description="Name of the events that it is made of.")
    column: str | None = Field(None, description="Column of the file that it is made of.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.event is None) == (self.column is None):
            raise ValueError("a metric is made of events or of a column")
        return self

    @property
    def measure(self) -> Measure:
        """How the values of units come about."""
        return Measure(self.key, self.type, self.event if self.event is not None else self.column or "")


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
