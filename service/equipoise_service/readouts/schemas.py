"""The readout, as it goes over the wire: `equipoise.readout/2`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from equipoise import BUCKETS
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Look
from equipoise_service.readouts.advice import Recommendation
from equipoise_service.readouts.by_age import ByAge
from equipoise_service.readouts.by_day import ByDay
from equipoise_service.readouts.checks import Health
from equipoise_service.readouts.counted import Population
from equipoise_service.readouts.differing import MetricHeterogeneity
from equipoise_service.readouts.measured import ArmStatistics
from equipoise_service.readouts.recorded import (
    Deviation,
    Locked,
    PartDigests,
    SourceRead,
    TrafficStep,
)
from equipoise_service.readouts.repeat import Repeat
from equipoise_service.readouts.values import Values
from equipoise_stats import Status

SCHEMA: Literal["equipoise.readout/2"] = "equipoise.readout/2"

_CONFIG = ConfigDict(extra="forbid", frozen=True)

Number = Annotated[float, Field(allow_inf_nan=False)]
Bounds = Annotated[list[Number], Field(min_length=2, max_length=2)]
Units = Annotated[int, Field(ge=0)]
EffectStatus = Status | Literal["not_finite"]
ReasonText = Annotated[str | None, Field(description="What the status means here; null when it is `ok`.")]


class Arm(BaseModel):
    """One arm. An arm that is in the data and not in the plan has an expected share of 0."""

    model_config = _CONFIG

    variant: str = Field(description="The variant's key.")
    units: int = Field(description="Units exposed to this variant and no other.")
    expected_share: Number = Field(description="Planned share of the units.")


class Difference(BaseModel):
    """Variant minus baseline, in the metric's unit (a proportion's is 1: 0.01 is one percentage point)."""

    model_config = _CONFIG

    status: EffectStatus = Field(description="`ok`, or why there is no number.")
    reason: ReasonText
    estimate: Number | None = Field(description="The difference.")
    interval: Bounds | None = Field(description="Lower and upper end of its interval, at level 1 − alpha.")
    p_value: Number | None = Field(
        description="Two-sided p-value of no difference; never 0; null where none is valid at this moment."
    )
    p_value_reason: str | None = Field(description="Why there is no p-value; null where there is one.")


class Lift(BaseModel):
    """The difference as a fraction of the baseline's value, with Fieller's interval."""

    model_config = _CONFIG

    status: EffectStatus = Field(description="`ok`, or why there is no number.")
    reason: ReasonText
    estimate: Number | None = Field(description="Variant over baseline, minus 1.")
    interval: Bounds | None = Field(description="Lower and upper end of its interval, at level 1 − alpha.")


class ComparisonStatistics(BaseModel):
    """What a comparison is computed from."""

    model_config = _CONFIG

    variant: ArmStatistics
    baseline: ArmStatistics


class Warning(BaseModel):
    """Something to know before relying on a comparison."""

    model_config = _CONFIG

    code: str = Field(description="Stable name of the warning.")
    message: str = Field(description="The warning in words.")


class Detail(BaseModel):
    """A figure of the estimator."""

    model_config = _CONFIG

    name: str = Field(description="Stable name of the figure.")
    value: Number = Field(description="The figure.")


class Corrected(BaseModel):
    """A comparison corrected for others: as the plan says, and in a part for all that its segment shows."""

    model_config = _CONFIG

    p_value: Number | None = Field(description="The adjusted p-value; null where there is none.")
    interval: Bounds | None = Field(
        description="Interval of the difference that agrees with it; null where the correction has none."
    )


class WithoutCovariates(BaseModel):
    """The same comparison without its adjustment for covariates."""

    model_config = _CONFIG

    estimate: Number = Field(description="The difference.")
    interval: Bounds | None = Field(description="Its interval, at level 1 − alpha.")
    variance_removed: Number = Field(
        description="Share of its variance that the adjustment removes; negative where it adds."
    )


class Posterior(BaseModel):
    """What a Bayesian plan believes of an effect after the data."""

    model_config = _CONFIG

    probability_above: Number = Field(description="Probability that the variant's value is the higher one.")
    probability_below: Number = Field(description="Probability that it is the lower one.")
    loss_if_lower: Number = Field(
        description="Mean of what the variant falls short of the baseline, counting 0 where it does not."
    )
    loss_if_higher: Number = Field(
        description="Mean of what the variant exceeds the baseline by, counting 0 where it does not."
    )


class Impact(BaseModel):
    """The difference projected to every unit that comes a day, were all of the traffic in the variant."""

    model_config = _CONFIG

    daily_units: Number = Field(
        description="Units a day at full traffic, by the pace so far and the traffic then."
    )
    per_day: Number = Field(description="Difference times these, in the metric's unit.")
    interval: Bounds = Field(description="Its interval; the pace is taken as known.")


class RatioPart(BaseModel):
    """The numerator of a ratio, or its denominator: its mean over the units of two arms."""

    model_config = _CONFIG

    variant: Number = Field(description="Mean of the variant's units.")
    baseline: Number = Field(description="Mean of the baseline's units.")
    difference: Number | None = Field(description="Variant minus baseline; null with too few units.")
    interval: Bounds | None = Field(
        description="Its interval, at the critical value of the ratio's; null where that has none."
    )


class RatioParts(BaseModel):
    """What a ratio is made of: a ratio may move because of either."""

    model_config = _CONFIG

    numerator: RatioPart
    denominator: RatioPart


class Comparison(BaseModel):
    """One variant against another one, on one metric."""

    model_config = _CONFIG

    variant: str = Field(description="The variant.")
    baseline: str = Field(description="What it is compared with: the control, or another treatment.")
    difference: Difference
    lift: Lift
    detected: bool | None = Field(
        description="Whether a difference is detected at alpha, corrected where the plan corrects; null "
        "where nothing can be concluded at this moment."
    )
    corrected: Corrected | None = Field(
        description="Of a success metric against the control, and in a part of a segment."
    )
    without_covariates: WithoutCovariates | None = Field(
        description="Of a comparison that is adjusted for what was before."
    )
    parts: RatioParts | None = Field(None, description="Of a ratio: its two parts, not adjusted.")
    posterior: Posterior | None = Field(description="Of a Bayesian plan at its end.")
    impact: Impact | None = Field(
        description="Of what adds up over units, after a day at least, where traffic is known."
    )
    method: str = Field(description="Estimator, inference and the inference's version.")
    warnings: list[Warning] = Field(description="What to know before relying on it; usually empty.")
    details: list[Detail] = Field(description="Figures of the estimator; usually empty.")
    statistics: ComparisonStatistics


class Winsorized(BaseModel):
    """How much of an arm was winsorized."""

    model_config = _CONFIG

    variant: str = Field(description="The variant's key.")
    units: Units = Field(
        description="Mature units whose value lay above the cut and was set to it; of a ratio, of either."
    )
    share: Number | None = Field(description="Their share of the mature units; null without any.")


class MetricResult(BaseModel):
    """One metric: each treatment against the control, and against each other."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    role: Role = Field(description="Its role in the plan.")
    cut: Number | None = Field(description="Where values were cut; null where none were.")
    cut_before: Number | None = Field(description="Where those of the covariate were cut.")
    denominator_cut: Number | None = Field(
        None, description="Of a ratio: where the denominator's values were cut."
    )
    denominator_cut_before: Number | None = Field(
        None, description="Of a ratio: where those of its denominator in the pre-period were cut."
    )
    winsorized: list[Winsorized] | None = Field(
        description="Of how many units of each arm the value was cut; null where the metric is not "
        "winsorized."
    )
    values: Values | None = Field(
        None,
        description="How the values are spread over the units; null where a unit has no one number, or the "
        "facts are a warehouse's.",
    )
    notes: list[str] = Field(
        default_factory=list,
        description="What is said of it in words: what adjusting for the pre-period and winsorizing did, "
        "and the projection to full traffic.",
    )
    comparisons: list[Comparison] = Field(description="Each treatment against the control.")
    between_treatments: list[Comparison] = Field(
        description="Each treatment against those before it: exploratory, not corrected."
    )


class Progress(BaseModel):
    """Where the plan stands."""

    model_config = _CONFIG

    units: int = Field(description="Mature units of the leading metric, all arms together.")
    fraction: Number | None = Field(
        description="Those over the units of the horizon; of a group-sequential plan with days only, the "
        "part of them that has passed; null without."
    )
    look: int | None = Field(description="Number of the look that this readout is; null where it is none.")
    valid: bool = Field(description="Whether the plan's inference may be concluded from at this moment.")
    reason: str | None = Field(description="Why not; null where it may.")
    complete: bool = Field(
        description="Whether the planned end is reached: of a group-sequential plan, whether this is its "
        "last look."
    )


class SegmentMetric(BaseModel):
    """One metric among the units with one value of a segment."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    comparisons: list[Comparison] = Field(
        description="Each treatment against the control; `detected` is corrected over all of the segment."
    )


class SegmentPart(BaseModel):
    """The units with one value of a segment."""

    model_config = _CONFIG

    value: str | None = Field(description="The value; null for units without one, and for other values.")
    others: bool = Field(description="Whether these are the units with other values than those shown.")
    arms: list[Arm]
    crossovers: Units = Field(description="Such units that met several variants.")
    metrics: list[SegmentMetric]


class SegmentResult(BaseModel):
    """Units split by a property of theirs."""

    model_config = _CONFIG

    segment: str = Field(description="The segment's key.")
    declared: bool = Field(description="Whether the plan had it when it was locked; else it is exploratory.")
    test: Literal["cochran_q", "always_valid"] | None = Field(
        None,
        description="What asks whether effects differ: Cochran's Q, once, or a test that is valid at any "
        "moment; null in readouts from before the latter, when no part was corrected either.",
    )
    text: str = Field(description="Whether any effect differs between its values, in words.")
    look: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The last look, where it answered for these newer data; null where they did."
    )
    heterogeneity: list[MetricHeterogeneity] = Field(
        description="For each metric but those of quality, and each treatment: whether its effect differs."
    )
    parts: list[SegmentPart] = Field(description="Its values, those with the most units first.")


class Readout(BaseModel):
    """The result of one analysis."""

    model_config = _CONFIG

    # `schema` would hide a method of pydantic's, so the attribute has another name.
    schema_: Literal["equipoise.readout/2"] = Field(
        SCHEMA, alias="schema", description="Version of this form."
    )
    experiment: str = Field(description="The experiment's key; for a file, its name.")
    revision: int | None = Field(description="Number of the revision; null for a file.")
    generated_at: str = Field(description="When it was computed, RFC 3339 in UTC.")
    watermark: str | None = Field(
        description="When the newest fact that was considered was received (for a file, the newest time)."
    )
    started_at: str | None = Field(description="When the randomisation began; null for a file.")
    ended_at: str | None = Field(description="When it ended; null while it goes on.")
    traffic: Annotated[float, Field(ge=0, le=1)] | None = Field(
        description="Share of units that take part, after the end those of the end; null for a file."
    )
    traffic_steps: list[TrafficStep] | None = Field(
        None,
        description="The traffic of the revision over time, oldest first; empty where it is not on "
        "record, so that no impact is projected; null for a file, and in readouts from before it was.",
    )
    paused_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None,
        description="For how long the revision was paused; null for a file, and in readouts from before "
        "pauses were on record.",
    )
    plan: Plan
    plan_digest: str = Field(description="`sha256:` and the SHA-256 of the plan's canonical JSON (RFC 8785).")
    locked: Locked | None = Field(description="When the plan was locked; null where it was not.")
    deviations: list[Deviation] = Field(description="Changes of the plan since then.")
    sources: list[SourceRead] | None = Field(
        None,
        description="The definitions of the sources that were read; absent where the plan names none, and in "
        "readouts from before they were said.",
    )
    asked_at: str | None = Field(
        None,
        description="Beside confidence sequences, while they go on: when units of other experiments and "
        "effects by age were read, once in each day since the start. Null before a day has passed, and in "
        "every other readout.",
    )
    statistics_digest: str = Field(description="Digest of all statistics, which a look is recognised by.")
    looks: list[Look] = Field(description="The looks so far, with what they spent.")
    progress: Progress
    arms: list[Arm]
    health: Health
    population: Population
    metrics: list[MetricResult]
    segments: list[SegmentResult] = Field(description="The segments of the plan.")
    by_day: ByDay | None = Field(None, description="The same for every past day; null where none is known.")
    by_age: ByAge | None = Field(
        None,
        description="Whether effects change with the days since exposure; null before anybody looked (of "
        "most plans at the planned end), for a file without times, and without a success metric.",
    )
    holdback: Annotated[int, Field(ge=1, le=BUCKETS)] | None = Field(
        None, description="Basis points of the units that are held back, of a holdback; null in every other."
    )
    repeat: Repeat | None = Field(
        None, description="Of a readout that is repeated after a ship: what became of the effects."
    )
    stands_on: dict[str, Any] | None = Field(
        None,
        description="The earlier readout, whole, whose conclusion stands in these newer data: that of the "
        "last look, or one that shipped a treatment before; null without one.",
    )
    recommendation: Recommendation
    summary: str = Field(description="The result in plain words.")
    wording: str | None = Field(
        None,
        description="Digest of all words that the service can write readouts in; null in readouts from "
        "before there was one. Words of other releases and languages cannot be recomputed.",
    )
    digests: PartDigests | None = Field(
        None, description="Short digests of its parts; null in readouts from before there were any."
    )
    digest: str = Field(
        description="`sha256:` and the SHA-256 of the canonical JSON (RFC 8785) of all other members."
    )
