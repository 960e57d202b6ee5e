"""What goes over the wire about experiments."""

import json
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema

from equipoise import BUCKETS
from equipoise_service.experiments.allocation import equal_weights
from equipoise_service.experiments.lifecycle import Move, Status
from equipoise_service.flags.values import FlagType, value_type
from equipoise_service.keys import Key
from equipoise_service.metrics.stored import MetricReference, NamedMetric, PinnedMetric
from equipoise_service.nesting import depth
from equipoise_service.plans.schemas import PlanIn

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


# What is deeper cannot be a condition that the SDK reads, and reading it must not exhaust the stack.
_MAX_AUDIENCE_DEPTH = 64


class VariantIn(BaseModel):
    """One arm of an experiment."""

    model_config = ConfigDict(extra="forbid")

    key: Key
    weight: int | None = Field(
        None, ge=0, le=BUCKETS, description="Share in basis points; leave it out of all for equal shares."
    )
    value: JsonValue = Field(
        None,
        description="What the flag is for units in this arm; absent: the value that the flag has for this "
        "variant already, or the variant's key where it is new.",
    )
    control: bool = Field(False, description="Whether this is the arm that the others are compared with.")

    @property
    def has_value(self) -> bool:
        """Whether a value was given."""
        return "value" in self.model_fields_set


def _check_variants(variants: list[VariantIn]) -> list[VariantIn]:
    keys = [variant.key for variant in variants]
    if len(set(keys)) != len(keys):
        raise ValueError("each variant needs a key of its own")
    controls = sum(variant.control for variant in variants)
    if controls != 1:
        raise ValueError(f"exactly one variant is the control; {controls} say that they are")
    for variant in variants:
        if variant.has_value:
            value_type(variant.value)
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


def _check_metrics(
    metrics: list[PinnedMetric | MetricReference],
) -> list[PinnedMetric | MetricReference]:
    keys = [metric.key for metric in metrics]
    if len(set(keys)) != len(keys):
        raise ValueError("each metric needs a key of its own")
    return metrics


def _check_nesting(audience: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if depth(audience) > _MAX_AUDIENCE_DEPTH:
        raise ValueError(f"a condition may not nest deeper than {_MAX_AUDIENCE_DEPTH} levels of JSON")
    try:
        json.dumps(audience, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        raise ValueError("every number must be finite, and every string valid Unicode") from None
    return audience


def _check_distinct(keys: list[str]) -> list[str]:
    if len(set(keys)) != len(keys):
        raise ValueError("each holdout is named once")
    return keys


Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people.")]
Hypothesis = Annotated[
    str, Field(max_length=10_000, description="What you expect to happen, to which units, and why.")
]
Variants = Annotated[list[VariantIn], Field(min_length=2, max_length=50)]
Traffic = Annotated[
    int, Field(ge=0, le=BUCKETS, description="Share of units that take part, in basis points.")
]
Metrics = Annotated[
    list[NamedMetric],
    Field(
        max_length=200,
        description="What is measured: definitions of its own, and stored metrics by their keys, which are "
        "pinned at their version.",
    ),
]
# NUL is refused because it cannot be stored: such a unit could be assigned and never be counted.
UnitId = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
Audience = Annotated[
    dict[str, JsonValue],
    Field(
        max_length=10,
        description="Who takes part: a condition on attributes; absent, everybody does.",
        examples=[{"attribute": "country", "operator": "in", "value": ["DE", "FR"]}],
    ),
    AfterValidator(_check_nesting),
]
Holdouts = Annotated[
    list[Key],
    Field(max_length=20, description="Keys of the holdouts whose units are kept out."),
    AfterValidator(_check_distinct),
]
Overrides = Annotated[
    dict[UnitId, Key],
    Field(
        max_length=10_000,
        description="Variant by unit, for units that get it whatever their bucket, while the experiment is a "
        "draft or runs. They log no exposure and the analysis leaves them out.",
        examples=[{"tester-1": "treatment"}],
    ),
]
Sticky = Annotated[
    bool, Field(description="Whether an SDK that has a store keeps a unit in the arm that it first met.")
]


class ExperimentIn(BaseModel):
    """An experiment to be registered."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    key: Key
    name: Name
    hypothesis: Hypothesis = ""
    flag: Key | None = Field(
        None, description="Key of an existing flag; null: the flag of the same key is made with it."
    )
    type: FlagType | None = Field(
        None,
        description="Type of the flag; null: what its values have in common. `number` where whole values "
        "may become others: without, those make an `integer` flag.",
    )
    layer: Key | None = Field(
        None, description="Key of an existing layer; null: a layer of the same key is made for it alone."
    )
    unit_type: Key = Field(
        "user", description="What is randomised; absent: what the existing flag is asked for, or `user`."
    )
    variants: Variants
    traffic: Traffic = BUCKETS
    audience: Audience | None = None
    holdouts: Holdouts = []
    overrides: Overrides = {}
    sticky: Sticky = False
    metrics: Metrics = []
    plan: PlanIn = Field(default_factory=PlanIn, description="How it is to be analysed and decided.")

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
    layer: Key | SkipJsonSchema[None] = Field(
        None, description="Key of an existing layer; only before the first start."
    )
    variants: Variants | SkipJsonSchema[None] = None
    traffic: Traffic | SkipJsonSchema[None] = None
    audience: Audience | None = Field(None, description="Who takes part; null: everybody.")
    holdouts: Holdouts | SkipJsonSchema[None] = None
    overrides: Overrides | SkipJsonSchema[None] = None
    sticky: Sticky | SkipJsonSchema[None] = None
    metrics: Metrics | SkipJsonSchema[None] = None
    plan: PlanIn | SkipJsonSchema[None] = Field(
        None, description="The whole plan beside the metrics; what is absent of it takes its default."
    )
    deviation: Annotated[str, Field(min_length=1, max_length=2000)] | SkipJsonSchema[None] = Field(
        None,
        description="Why metrics or plan change while it runs or is paused; every readout will show it.",
    )

    @field_validator("variants")
    @classmethod
    def _variants(cls, variants: list[VariantIn] | None) -> list[VariantIn] | None:
        return None if variants is None else _check_variants(variants)

    @field_validator("metrics")
    @classmethod
    def _metrics(
        cls, metrics: list[PinnedMetric | MetricReference] | None
    ) -> list[PinnedMetric | MetricReference] | None:
        return None if metrics is None else _check_metrics(metrics)

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set - {"audience"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self


class VariantOut(BaseModel):
    """One arm of an experiment."""

    key: str
    weight: int
    value: JsonValue
    control: bool


class PauseOut(BaseModel):
    """A stretch of time in which the control was served to everybody."""

    started_at: datetime
    started_by: str | None = Field(
        description="Public id of the API key that paused it, or began a revision of a paused experiment; "
        "null where that is not on record."
    )
    ended_at: datetime | None = Field(description="Null while it goes on.")
    ended_by: str | None = Field(
        description="Public id of the API key that resumed it, or ended the revision; null before."
    )


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
    audience: dict[str, JsonValue] | None
    holdouts: list[str]
    overrides: dict[str, str]
    sticky: bool
    metrics: list[PinnedMetric]
    plan: PlanIn
    environment: str
    status: Status
    allowed: list[Move] = Field(description="The moves that the status allows.")
    revision: int | None = Field(description="Number of the latest revision; null before the first start.")
    started_at: datetime | None
    stopped_at: datetime | None
    pauses: list[PauseOut] = Field(
        description="When the latest revision was paused, oldest first; the last 50 times at most."
    )
    shipped: str | None = Field(description="The variant that was shipped; null unless one was.")
    holdback: int | None = Field(
        description="Basis points of its units that are held back from it; null where nobody is."
    )
    created_at: datetime
    updated_at: datetime
