"""What goes over the wire about experiments."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from equipoise import BUCKETS
from equipoise_service.experiments.allocation import equal_weights
from equipoise_service.experiments.lifecycle import Move, Status
from equipoise_service.flags.values import common_type
from equipoise_service.keys import Key
from equipoise_service.metrics.schemas import Metric

_EXAMPLE: dict[str, Any] = {
    "key": "new-landing-page",
    "name": "New landing page",
    "hypothesis": "A shorter page makes more visitors convert.",
    "variants": [
        {"key": "control", "weight": 5000, "value": "old_page", "control": True},
        {"key": "treatment", "weight": 5000, "value": "new_page"},
    ],
    "metrics": [{"key": "converted", "type": "proportion", "event": "converted"}],
}


class VariantIn(BaseModel):
    """One arm of an experiment."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    weight: int | None = Field(
        None, ge=0, le=BUCKETS, description="Share in basis points; leave it out of all for equal shares."
    )
    value: JsonValue = Field(
        None, description="What the flag is for units in this arm; absent: the variant's key."
    )
    control: bool = Field(False, description="Whether this is the arm that the others are compared with.")

    @model_validator(mode="before")
    @classmethod
    def _value_is_key(cls, data: Any) -> Any:
        if isinstance(data, dict) and "value" not in data and "key" in data:
            return {**data, "value": data["key"]}
        return data


def _check_variants(variants: list[VariantIn]) -> list[VariantIn]:
    keys = [variant.key for variant in variants]
    if len(set(keys)) != len(keys):
        raise ValueError("each variant needs a key of its own")
    controls = sum(variant.control for variant in variants)
    if controls != 1:
        raise ValueError(f"exactly one variant is the control; {controls} say that they are")
    common_type(variant.value for variant in variants)
    given = [variant.weight for variant in variants if variant.weight is not None]
    if not given:
        shares = equal_weights(len(variants))
        pairs = zip(variants, shares, strict=True)
        return [variant.model_copy(update={"weight": share}) for variant, share in pairs]
    if len(given) != len(variants):
        raise ValueError("give every variant a weight, or none")
    if sum(given) != BUCKETS:
        raise ValueError(f"the weights are basis points and sum to {BUCKETS}; these sum to {sum(given)}")
    return variants


def _check_metrics(metrics: list[Metric]) -> list[Metric]:
    keys = [metric.key for metric in metrics]
    if len(set(keys)) != len(keys):
        raise ValueError("each metric needs a key of its own")
    return metrics


Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people.")]
Hypothesis = Annotated[
    str, Field(max_length=10_000, description="What you expect to happen, to which units, and why.")
]
Variants = Annotated[list[VariantIn], Field(min_length=2, max_length=50)]
Traffic = Annotated[
    int, Field(ge=0, le=BUCKETS, description="Share of units that take part, in basis points.")
]
Metrics = Annotated[list[Metric], Field(max_length=200, description="What is measured.")]


class ExperimentIn(BaseModel):
    """An experiment to be registered."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    key: Key
    name: Name
    hypothesis: Hypothesis = ""
    unit_type: Key = Field("user", description="What is randomised.")
    variants: Variants
    traffic: Traffic = BUCKETS
    metrics: Metrics = []

    _variants = field_validator("variants")(_check_variants)
    _metrics = field_validator("metrics")(_check_metrics)


class ExperimentPatch(BaseModel):
    """What to change of an experiment; what is absent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"traffic": 5000}})

    name: Name | SkipJsonSchema[None] = None
    hypothesis: Hypothesis | SkipJsonSchema[None] = None
    unit_type: Key | SkipJsonSchema[None] = Field(
        None, description="What is randomised; only before the first start."
    )
    variants: Variants | SkipJsonSchema[None] = None
    traffic: Traffic | SkipJsonSchema[None] = None
    metrics: Metrics | SkipJsonSchema[None] = None

    @field_validator("variants")
    @classmethod
    def _variants(cls, variants: list[VariantIn] | None) -> list[VariantIn] | None:
        return None if variants is None else _check_variants(variants)

    @field_validator("metrics")
    @classmethod
    def _metrics(cls, metrics: list[Metric] | None) -> list[Metric] | None:
        return None if metrics is None else _check_metrics(metrics)

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self


class VariantOut(BaseModel):
    """One arm of an experiment."""

    key: str
    weight: int
    value: JsonValue
    control: bool


class ExperimentOut(BaseModel):
    """An experiment, as it stands in the key's environment."""

    key: str
    name: str
    hypothesis: str
    unit_type: str
    flag: str = Field(description="Key of the flag whose value it randomises.")
    layer: str = Field(description="Key of the layer whose slots it owns.")
    variants: list[VariantOut]
    traffic: int
    metrics: list[Metric]
    environment: str
    status: Status
    allowed: list[Move] = Field(description="The moves that the status allows.")
    revision: int | None = Field(description="Number of the latest revision; null before the first start.")
    started_at: datetime | None
    stopped_at: datetime | None
    created_at: datetime
    updated_at: datetime
