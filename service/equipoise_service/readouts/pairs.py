"""Two arms and what is estimated of their difference."""

from dataclasses import dataclass

from equipoise_service.analysis.statistics import NotFinite, QuantileValues, StepCounts
from equipoise_service.readouts.sides import Cuts, Side
from equipoise_service.readouts.unanswered import NO_ESTIMATOR
from equipoise_service.texts.saying import say
from equipoise_stats import (
    ArmSummary,
    Counts,
    Cut,
    Estimate,
    Moments,
    NoEstimate,
    Notice,
    Status,
    adjusted_difference,
    fixed_horizon,
    guarded_mean_difference,
    mean_difference,
    proportion_difference,
    quantile_difference,
    ratio_difference,
    skewness_guard,
    winsorized,
)

NOT_FINITE = say("no_result.not_finite")
_NO_QUANTILE = say("no_result.too_few_values")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two arms and what is estimated of their difference.

    Attributes:
        variant: The variant.
        baseline: What it is compared with.
        cuts: Where the values were cut.
        found: The estimate; where numbers are not finite, one without an answer.
        plain: The estimate without adjustment for a pre-period; None where there is no adjustment.
        finite: Whether every number is finite.
    """

    variant: Side
    baseline: Side
    cuts: Cuts
    found: Estimate | NoEstimate
    plain: Estimate | NoEstimate | None = None
    finite: bool = True


def pair_of(variant: Side, baseline: Side, cuts: Cuts, *, guarded: bool = True) -> Pair:
    """Estimates the difference of two arms, whose statistics are of the same kind.

    Args:
        variant: The arm.
        baseline: What it is compared with.
        cuts: Where the values were cut.
        guarded: Whether the skewness of a mean decides how its variance is estimated.
    """
    values, others = variant.values, baseline.values
    if not (isinstance(values, NotFinite) or isinstance(others, NotFinite)):
        try:
            found, plain = _estimates(values, others, cuts, guarded=guarded)
            for each in (found, plain):
                if each is not None:
                    fixed_horizon(each)  # numbers that overflow do so here
            return Pair(variant, baseline, cuts, found, plain)
        except OverflowError:
            pass  # said by the status of the pair without numbers
    nothing = NoEstimate(
        NO_ESTIMATOR, Status.UNBOUNDED, NOT_FINITE, ArmSummary(values.n), ArmSummary(others.n)
    )
    return Pair(variant, baseline, cuts, nothing, finite=False)


def _estimates(
    values: Counts | StepCounts | QuantileValues | Moments,
    others: Counts | StepCounts | QuantileValues | Moments,
    cuts: Cuts,
    *,
    guarded: bool,
) -> tuple[Estimate | NoEstimate, Estimate | NoEstimate | None]:
    """The estimate, and the one without adjustment where there is an adjustment."""
    if isinstance(values, Counts) and isinstance(others, Counts):
        return proportion_difference(treatment=values, control=others), None
    if isinstance(values, StepCounts) and isinstance(others, StepCounts):
        return proportion_difference(treatment=values.completed, control=others.completed), None
    if isinstance(values, QuantileValues) and isinstance(others, QuantileValues):
        return _quantiles(values, others), None
    if not (isinstance(values, Moments) and isinstance(others, Moments)):
        raise ValueError("the two arms of a comparison have statistics of different kinds")
    if values.columns != others.columns or values.columns[0] != "y":
        raise ValueError(f"the arms have the columns {values.columns} and {others.columns}")
    covariates = [column for column in values.columns if column.endswith("_before")]
    if not covariates:
        return _cut(_guarded(values, others) if guarded else _plain(values, others), cuts), None
    under = "d" if "d" in values.columns else None
    adjusted = adjusted_difference(
        treatment=values, control=others, covariates=covariates, column="y", denominator=under
    )
    # With arms' variances of their own, like the adjusted ones that it is compared with.
    return _cut(_warned(adjusted), cuts), _cut(_plain(values, others), cuts)


def _quantiles(treatment: QuantileValues, control: QuantileValues) -> Estimate | NoEstimate:
    if treatment.found is not None and control.found is not None:
        return quantile_difference(treatment=treatment.found, control=control.found)
    return NoEstimate(
        "quantile",
        Status.TOO_FEW_UNITS,
        _NO_QUANTILE,
        ArmSummary(treatment.n, treatment.found.value if treatment.found else None),
        ArmSummary(control.n, control.found.value if control.found else None),
    )


def _guarded(treatment: Moments, control: Moments) -> Estimate | NoEstimate:
    """Where skewness puts the test in doubt: of a mean by the pooled variance, of a ratio with a warning."""
    if "d" in treatment.columns:
        return _warned(_plain(treatment, control))
    if treatment.third is not None and control.third is not None:
        return guarded_mean_difference(treatment=treatment, control=control, column="y")
    return _plain(treatment, control)


def _plain(treatment: Moments, control: Moments) -> Estimate | NoEstimate:
    if "d" in treatment.columns:
        return ratio_difference(treatment=treatment, control=control, numerator="y", denominator="d")
    return mean_difference(treatment=treatment, control=control, column="y")


def _warned(found: Estimate | NoEstimate) -> Estimate | NoEstimate:
    guard = skewness_guard(found)
    if isinstance(found, NoEstimate) or guard.skewness is None or guard.reason is None:
        return found
    return found.with_warning(Notice("skewness", guard.reason, (("skewness", guard.skewness),)))


def _cut(found: Estimate | NoEstimate, cuts: Cuts) -> Estimate | NoEstimate:
    # Of a ratio the numerator may have no cut where the denominator has one.
    upper = next((cut for column in ("y", "d") if (cut := cuts.known.get(column)) is not None), None)
    return found if upper is None else winsorized(found, Cut(upper=upper))
