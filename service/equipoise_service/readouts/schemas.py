"""The readout, as it goes over the wire: `equipoise.readout/1`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import Plan
from equipoise_stats import CheckStatus, Status

SCHEMA: Literal["equipoise.readout/1"] = "equipoise.readout/1"

_CONFIG = ConfigDict(extra="forbid", frozen=True)

Number = Annotated[float, Field(allow_inf_nan=False)]
Bounds = Annotated[list[Number], Field(min_length=2, max_length=2)]
EffectStatus = Status | Literal["not_finite"]
Immature = Annotated[
    int, Field(ge=0, description="Units of the arm whose window had not passed; they are not counted.")
]
Reason = Annotated[str | None, Field(description="What the status means here; null when it is `ok`.")]


class Arm(BaseModel):
    """One arm. An arm that is in the data and not in the plan has an expected share of 0."""

    model_config = _CONFIG

    variant: str = Field(description="The variant's key.")
    units: int = Field(description="Units exposed to this variant and no other.")
    expected_share: Number = Field(description="Planned share of the units.")


class SampleRatio(BaseModel):
    """Whether the arms got their planned shares of the units (chi-square, level 0.001)."""

    model_config = _CONFIG

    status: CheckStatus = Field(description="`ok`, `failed`, or `unavailable` without units.")
    reason: Reason
    p_value: Number | None = Field(description="P-value of the check; null where there is none.")


class Crossovers(BaseModel):
    """Units that met several variants. They are left out of every arm."""

    model_config = _CONFIG

    status: CheckStatus = Field(description="`ok`, or `warning` above 0.1 % of all units seen.")
    reason: Reason
    units: int = Field(description="How many there are.")
    share: Number | None = Field(description="Their share of all units seen; null without units.")


class IncompleteRows(BaseModel):
    """Rows of a file that lack unit, variant or time. They are left out."""

    model_config = _CONFIG

    status: CheckStatus = Field(description="`ok`, or `warning` when there are any.")
    reason: Reason
    rows: int = Field(description="How many there are.")


class Health(BaseModel):
    """Whether the data can be believed."""

    model_config = _CONFIG

    sample_ratio: SampleRatio
    crossovers: Crossovers
    incomplete_rows: IncompleteRows | None = Field(description="Only for a file; null for the event store.")


class Difference(BaseModel):
    """Variant minus baseline, in the metric's unit (a proportion's is 1: 0.01 is one percentage point)."""

    model_config = _CONFIG

    status: EffectStatus = Field(description="`ok`, or why there is no number.")
    reason: Reason
    estimate: Number | None = Field(description="The difference.")
    interval: Bounds | None = Field(description="Lower and upper end of its interval, at level 1 − alpha.")
    p_value: Number | None = Field(description="Two-sided p-value of no difference; never 0.")


class Lift(BaseModel):
    """The difference as a fraction of the baseline's value, with Fieller's interval."""

    model_config = _CONFIG

    status: EffectStatus = Field(description="`ok`, or why there is no number.")
    reason: Reason
    estimate: Number | None = Field(description="Variant over baseline, minus 1.")
    interval: Bounds | None = Field(description="Lower and upper end of its interval, at level 1 − alpha.")


class ProportionStatistics(BaseModel):
    """Sufficient statistics of a proportion in one arm."""

    model_config = _CONFIG

    n: int = Field(ge=0, description="Units of the arm that are mature.")
    immature: Immature
    successes: int = Field(ge=0, description="Those with at least one of the metric's events.")

    @property
    def value(self) -> float | None:
        """The share; None without units."""
        return self.successes / self.n if self.n else None


class MeanStatistics(BaseModel):
    """Sufficient statistics of a mean in one arm; the numbers are null where values are too large to add."""

    model_config = _CONFIG

    n: int = Field(
        ge=0,
        description="Units of the arm that are mature, those without any of the metric's events included.",
    )
    immature: Immature
    mean: Number | None = Field(description="Mean of the units' values.")
    m2: Annotated[Number, Field(ge=0)] | None = Field(
        description="Sum of squared deviations from the mean; over n − 1 it is the sample variance."
    )

    @property
    def value(self) -> float | None:
        """The mean; None without units, or where it is no finite number."""
        return self.mean if self.n else None


class MomentsStatistics(BaseModel):
    """Sufficient statistics of several numbers a unit; null where values are too large to add."""

    model_config = _CONFIG

    n: int = Field(ge=0, description="Units of the arm that are mature, those without any event included.")
    immature: Immature
    columns: Annotated[list[Literal["y", "d", "y_before", "d_before"]], Field(min_length=2)] = Field(
        description="Names of the numbers: `y` is the outcome or the numerator, `d` the denominator, "
        "`y_before` and `d_before` the same in the pre-period."
    )
    means: list[Number] | None = Field(description="Mean of each.")
    comoments: list[list[Number]] | None = Field(
        description="Sums of products of deviations from the means, a row a number; over n − 1 they are the "
        "sample covariances."
    )

    @property
    def value(self) -> float | None:
        """The mean, or the ratio of the means; None where there is none."""
        if not self.n or self.means is None:
            return None
        if "d" not in self.columns:
            return self.means[0]
        under = self.means[self.columns.index("d")]
        return self.means[0] / under if under > 0 else None


ArmStatistics = ProportionStatistics | MeanStatistics | MomentsStatistics


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


class Comparison(BaseModel):
    """One variant against the control, on one metric."""

    model_config = _CONFIG

    variant: str = Field(description="The variant.")
    baseline: str = Field(description="The control.")
    difference: Difference
    lift: Lift
    method: str = Field(description="Estimator, inference and the inference's version.")
    warnings: list[Warning] = Field(description="What to know before relying on it; usually empty.")
    details: list[Detail] = Field(description="Figures of the estimator; usually empty.")
    statistics: ComparisonStatistics


class MetricResult(BaseModel):
    """One metric: each treatment against the control."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    role: Role = Field(description="Its role in the plan.")
    cut: Number | None = Field(description="Where values were cut; null where none were.")
    cut_before: Number | None = Field(description="Where those of the pre-period were cut.")
    comparisons: list[Comparison]


class Readout(BaseModel):
    """The result of one analysis."""

    model_config = _CONFIG

    # `schema` would hide a method of pydantic's, so the attribute has another name.
    schema_: Literal["equipoise.readout/1"] = Field(
        SCHEMA, alias="schema", description="Version of this form."
    )
    experiment: str = Field(description="The experiment's key; for a file, its name.")
    revision: int | None = Field(description="Number of the revision; null for a file.")
    generated_at: str = Field(description="When it was computed, RFC 3339 in UTC.")
    watermark: str | None = Field(
        description="When the newest fact that was considered was received (for a file, the newest time)."
    )
    plan: Plan
    plan_digest: str = Field(description="`sha256:` and the SHA-256 of the plan's canonical JSON (RFC 8785).")
    arms: list[Arm]
    health: Health
    metrics: list[MetricResult]
    summary: str = Field(description="The result in plain words.")
    digest: str = Field(
        description="`sha256:` and the SHA-256 of the canonical JSON (RFC 8785) of all other members."
    )
