"""The checks of a readout, as they go over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.readouts.measured import ArmStatistics
from equipoise_stats import CheckStatus

_CONFIG = ConfigDict(extra="forbid", frozen=True)
Number = Annotated[float, Field(allow_inf_nan=False)]


class Check(BaseModel):
    """A check: whether the data can be believed in one respect."""

    model_config = _CONFIG

    status: CheckStatus = Field(description="`ok`, `warning`, `failed`, or `unavailable`.")
    reason: str | None = Field(description="What the status means here; null when it is `ok`.")
    number: str = Field(description="The figure that it rests on, in words.")
    meaning: str = Field(description="What the check asks.")
    causes: list[str] = Field(description="What is usually behind a finding; empty when it is `ok`.")
    action: str | None = Field(description="What to do about it; null when it is `ok`.")


class SampleRatio(Check):
    """Whether the arms got their planned shares of the units, by one test."""

    p_value: Number | None = Field(description="P-value of the check; null where none is valid now.")


class SegmentRatio(SampleRatio):
    """Whether the arms got their planned shares of the units of every segment value."""

    segment: str | None = Field(description="The segment with the smallest p-value; null without any.")
    value: str | None = Field(
        description="Its value there; null for units without one, for other values, and without any."
    )


class DailyRatio(SampleRatio):
    """Whether the arms got their planned shares of the units of every day."""

    days: list[str] = Field(
        description="The days, or the first of some that are taken together, on which they did not."
    )


class EarlyExposures(Check):
    """Units that were exposed before the revision began. They are analysed like all others."""

    units: int = Field(ge=0, description="How many there are, crossovers among them.")
    share: Number | None = Field(description="Their share of all units seen; null without units.")


class LateExposures(Check):
    """Exposures that arrived more than a day after they happened."""

    late: Annotated[int, Field(ge=0)] | None = Field(
        description="How many there are; null where facts do not say when they arrived."
    )
    exposures: Annotated[int, Field(ge=0)] | None = Field(
        description="Exposures of the revision; null where nobody counted them."
    )
    share: Number | None = Field(description="The one over the other; null without exposures.")


class ExposureDay(BaseModel):
    """The exposures of a whole day, in UTC."""

    model_config = _CONFIG

    day: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="The day.")
    exposures: int = Field(ge=0, description="Exposures of the revision that happened then.")
    events: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Events of the unit type; null where nobody asked, as exposures did not fall."
    )


class MissingExposures(Check):
    """Days on which there were few exposures while people went on."""

    days: list[ExposureDay] = Field(
        description="The whole days, oldest first; 120 at most, the last ones; none without times."
    )
    missing: list[str] = Field(description="Those of them with few exposures.")
    paused: list[str] | None = Field(
        None,
        description="Those of them on which the experiment was paused, for however short: they are left "
        "out. Null where nobody knows of pauses, and in readouts from before they were on record.",
    )


class Crossovers(Check):
    """Units that met several variants. They are left out of every arm."""

    units: int = Field(ge=0, description="How many there are.")
    share: Number | None = Field(description="Their share of all units seen; null without units.")


class IncompleteRows(Check):
    """Rows of a file that lack unit, variant or time. They are left out."""

    rows: int = Field(ge=0, description="How many there are.")


class BotUnits(Check):
    """Units that are left out as bots, by the variants that they met."""

    units: int = Field(ge=0, description="How many there are.")
    share: Number | None = Field(description="Their share of all units seen; null without units.")
    arms: dict[str, Annotated[int, Field(ge=0)]] = Field(
        description="How many of them met each variant, and no other."
    )
    p_value: Number | None = Field(
        description="P-value of their arms having the planned shares, at any moment; null without any."
    )


class RecomputedAssignments(Check):
    """Units that met another variant than their id gives them, among some that are drawn by their ids."""

    obstacle: Literal["hashed", "elsewhere"] | None = Field(
        description="Why nothing can be recomputed: unit ids are stored as keyed hashes, or exposures are a "
        "warehouse's; null where it can."
    )
    units: Annotated[int, Field(ge=0)] | None = Field(
        description="How many units were recomputed; null where nothing can be."
    )
    disagreeing: Annotated[int, Field(ge=0)] | None = Field(
        description="How many of them met a variant that is not the one which their id gives them."
    )
    halvings: Annotated[int, Field(ge=0, le=31)] | None = Field(
        description="Of all units one in 2 to the power of so many was drawn."
    )
    share: Number | None = Field(description="The share of those that were drawn; null without any.")
    interval: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = Field(
        description="Where the share of all units lies, at level 0.999; null where all were drawn."
    )


class DroppedItems(Check):
    """Exposures and events that senders gave up before they reached the service."""

    items: Annotated[int, Field(ge=0)] | None = Field(
        description="How many there are, at most; null where no sender reports, as of a file or a warehouse."
    )
    reasons: dict[str, Annotated[int, Field(ge=0)]] = Field(description="How many for each reason.")
    received: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="Exposures and events of the environment that came meanwhile; null where nothing was "
        "given up, and in readouts from before they were counted.",
    )
    earlier: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="How many of those given up are of senders that had lost something before the start; "
        "null where there is none.",
    )
    received_longer: Annotated[int, Field(ge=0)] | None = Field(
        None, description="What came since the first report of such a sender; null where there is none."
    )
    share: Number | None = Field(
        None, description="The part of what was logged since the start that was given up; null where unknown."
    )


class Balance(Check):
    """Whether the arms were alike before the exposure."""

    p_value: Number | None = Field(description="The smallest p-value, corrected for their number.")


class Metrics(Check):
    """Metrics of which something is to be known."""

    metrics: list[str] = Field(description="The keys of the metrics that it is about.")


class OverlapEffect(BaseModel):
    """The effect of a treatment among the units that met one variant of another experiment."""

    model_config = _CONFIG

    variant: str = Field(description="That variant.")
    estimate: Number | None = Field(description="The difference from the control; null without one.")
    standard_error: Number | None = Field(description="Its standard error.")


class OverlapTest(BaseModel):
    """Whether the effect of a treatment differs between the variants of another experiment."""

    model_config = _CONFIG

    metric: str = Field(description="A success metric, or a guardrail.")
    variant: str = Field(description="The treatment.")
    p_value: Number | None = Field(description="P-value of Cochran's Q; null where nothing is tested.")
    corrected_p_value: Number | None = Field(description="The same by Holm, over all tests of all overlaps.")
    detected: bool | None = Field(description="Whether it is at most 0.001; null where nothing is tested.")
    reason: str | None = Field(description="Why nothing is tested; null where it is.")
    effects: list[OverlapEffect] = Field(description="The effects that are compared.")


class OverlapMetric(BaseModel):
    """What an arm's part of a metric is computed from."""

    model_config = _CONFIG

    metric: str = Field(description="A success metric, or a guardrail.")
    statistics: ArmStatistics


class OverlapArm(BaseModel):
    """An arm, among the units that met one variant of another experiment."""

    model_config = _CONFIG

    variant: str = Field(description="The arm's variant.")
    units: int = Field(ge=0, description="How many such units it has.")
    metrics: list[OverlapMetric]


class OverlapPart(BaseModel):
    """The units that met one variant of another experiment and no other one of it."""

    model_config = _CONFIG

    variant: str = Field(description="That variant.")
    arms: list[OverlapArm] = Field(description="The arms of this experiment.")


class Overlap(BaseModel):
    """The units that are in another experiment too."""

    model_config = _CONFIG

    experiment: str = Field(description="The other experiment's key.")
    units: int = Field(ge=0, description="How many units are in both.")
    share: Number | None = Field(description="Their share of this experiment's units.")
    assignment_p_value: Number | None = Field(
        description="P-value, by Holm over all overlaps, of the two assignments being independent."
    )
    tests: list[OverlapTest]
    parts: list[OverlapPart]


class NotAsked(BaseModel):
    """A metric that decides and is not asked about."""

    model_config = _CONFIG

    metric: str = Field(description="A success metric, or a guardrail.")
    reason: str = Field(description="Why not.")


class Interactions(Check):
    """Whether effects depend on other experiments that ran at the same time."""

    experiments: int = Field(ge=0, description="How many ran at the same time, in other layers.")
    units: int | None = Field(
        None,
        ge=0,
        description="Units of this experiment when shared ones were counted; null where nobody did, and in "
        "readouts from before it was said.",
    )
    p_value: Number | None = Field(description="The smallest corrected p-value; null where there is none.")
    always_valid: bool | None = Field(
        None,
        description="Whether its tests hold at any moment; else they are asked once, at the planned end. "
        "Null in readouts from before there was a choice.",
    )
    overlaps: list[Overlap] | None = Field(
        description="The largest overlaps; null where nobody looked yet, see `asked_at`."
    )
    not_asked: list[NotAsked] | None = Field(
        None, description="Success metrics and guardrails that are not asked about; null where all are."
    )
    look: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The last look, where this is what it found; null where it is of these data."
    )


class Health(BaseModel):
    """Whether the data can be believed. A check that has nothing to check here is null."""

    model_config = _CONFIG

    sample_ratio: SampleRatio
    sequential_sample_ratio: SampleRatio
    segment_sample_ratio: SegmentRatio | None = Field(description="Only with segments.")
    daily_sample_ratio: DailyRatio | None = Field(None, description="Only where days are known.")
    crossovers: Crossovers
    early_exposures: EarlyExposures | None = Field(None, description="Only where the start is known.")
    late_exposures: LateExposures | None = Field(
        None, description="Null in readouts from before there was this check."
    )
    missing_exposures: MissingExposures | None = Field(
        None, description="Only after a whole day, and where there are no days."
    )
    incomplete_rows: IncompleteRows | None = Field(description="Only for a file.")
    dropped_items: DroppedItems | None = Field(
        description="Null for a file or a warehouse in readouts from before it said why."
    )
    bots: BotUnits | None = Field(None, description="Only with a rule for bots.")
    recomputed_assignments: RecomputedAssignments | None = Field(
        None, description="Null for a file, and in readouts from before there was this check."
    )
    pre_exposure_balance: Balance | None = Field(description="Only with a metric that has a pre-period.")
    quality_metrics: Metrics | None = Field(description="Only with a metric of that role.")
    moved_denominators: Metrics | None = Field(description="Only with a ratio.")
    maturity: Metrics | None = Field(description="Only with a metric that has a window.")
    skewness: Metrics | None = Field(
        description="Null where no estimate knows its skewness, as of quantiles, and of means and ratios in "
        "readouts from before third moments were collected."
    )
    interactions: Interactions | None = Field(
        None, description="Only where other experiments ran at the same time."
    )

    @property
    def all(self) -> dict[str, Check]:
        """The checks that there are, by name."""
        return {name: check for name in type(self).model_fields if (check := getattr(self, name)) is not None}
