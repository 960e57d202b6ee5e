"""From two arms to a comparison, as a readout holds it."""

import math

from equipoise_service.readouts.inference import Corrected
from equipoise_service.readouts.pairs import NOT_FINITE, Pair
from equipoise_service.readouts.schemas import (
    Comparison,
    ComparisonStatistics,
    Detail,
    Difference,
    Impact,
    Lift,
    Posterior,
    RatioPart,
    RatioParts,
    Warning,
    WithoutCovariates,
)
from equipoise_service.readouts.schemas import Corrected as CorrectedOut
from equipoise_service.readouts.sides import has_third, moments_of, statistics_out
from equipoise_service.readouts.unanswered import (
    NO_ESTIMATOR,
    notice_text,
    why_no_difference,
    why_no_lift,
    why_no_test,
)
from equipoise_stats import Compare, Effect, Estimate, Moments, mean_difference


def describe(
    pair: Pair,
    compare: Compare,
    *,
    alpha: float,
    valid: bool,
    no_p_value: str | None,
    corrected: Corrected | None = None,
    posterior: Posterior | None = None,
    impact: Impact | None = None,
) -> Comparison:
    """Writes a comparison down.

    Args:
        pair: The two arms.
        compare: The inference, with the estimate bound.
        alpha: Two-sided level.
        valid: Whether anything may be concluded now.
        no_p_value: Why no p-value is shown; None where it may be.
        corrected: The comparison corrected within its family.
        posterior: What a Bayesian plan believes.
        impact: The projection.
    """
    if not pair.finite:
        return _without_numbers(pair)
    result = compare(alpha=alpha)
    p = result.test.p_value if no_p_value is None else None
    detected = result.test.rejected if corrected is None else corrected.rejected
    shown = None
    if corrected is not None:
        interval = corrected.interval
        finite = interval is not None and all(map(math.isfinite, interval))
        shown = CorrectedOut(
            p_value=corrected.p_value, interval=list(interval) if interval and finite else None
        )
    return Comparison(
        variant=pair.variant.variant,
        baseline=pair.baseline.variant,
        difference=Difference(
            status=result.difference.status,
            reason=why_no_difference(result),
            estimate=result.difference.estimate,
            interval=_bounds(result.difference),
            p_value=p,
            p_value_reason=None if p is not None else no_p_value or why_no_test(result),
        ),
        lift=Lift(
            status=result.lift.status,
            reason=why_no_lift(result),
            estimate=result.lift.estimate,
            interval=_bounds(result.lift),
        ),
        detected=detected if valid else None,
        corrected=shown,
        without_covariates=_without_covariates(pair, compare, alpha),
        parts=_parts(pair, result.difference),
        posterior=posterior,
        impact=impact,
        method=f"{result.estimator} {result.method.name}/{result.method.version}",
        warnings=[Warning(code=notice.code, message=notice_text(notice)) for notice in result.warnings],
        details=[
            *(Detail(name=each.name, value=each.value) for each in result.details if not _is_cut(each.name)),
            *_skewness(pair),
            *pair.cuts.details,
        ],
        statistics=_statistics(pair),
    )


def _skewness(pair: Pair) -> list[Detail]:
    """That of what has moments: of what is counted it follows from the counts."""
    found = pair.found
    if moments_of(pair.variant) is None or not isinstance(found, Estimate) or found.skewness is None:
        return []
    return [Detail(name="skewness", value=found.skewness)]


def _is_cut(name: str) -> bool:
    # Their open ends are infinite; the readout names the cuts by itself.
    return name.startswith("cut_")


def _without_covariates(pair: Pair, compare: Compare, alpha: float) -> WithoutCovariates | None:
    """The unadjusted numbers at the same critical value as the adjusted ones."""
    found, plain = pair.found, pair.plain
    if not (isinstance(found, Estimate) and isinstance(plain, Estimate)):
        return None
    effect = compare(alpha=alpha).difference
    interval = None
    if effect.interval is not None and effect.standard_error:
        radius = (effect.interval.upper - effect.interval.lower) / 2 / effect.standard_error
        radius *= plain.standard_error
        interval = [plain.difference - radius, plain.difference + radius]
    return WithoutCovariates(
        estimate=plain.difference,
        interval=interval,
        variance_removed=1 - found.variance / plain.variance,
    )


def _parts(pair: Pair, effect: Effect) -> RatioParts | None:
    """The parts of a ratio, at the critical value of its interval."""
    values, others = moments_of(pair.variant), moments_of(pair.baseline)
    if values is None or others is None or "d" not in values.columns or not (values.n and others.n):
        return None
    critical = None
    if effect.interval is not None and effect.standard_error:
        critical = (effect.interval.upper - effect.interval.lower) / 2 / effect.standard_error
    return RatioParts(
        numerator=_part(values, others, "y", critical), denominator=_part(values, others, "d", critical)
    )


def _part(values: Moments, others: Moments, column: str, critical: float | None) -> RatioPart:
    means = [each.mean[each.index(column)] for each in (values, others)]
    found = mean_difference(treatment=values, control=others, column=column)
    interval = None
    if critical is not None and isinstance(found, Estimate):
        radius = critical * found.standard_error
        interval = [found.difference - radius, found.difference + radius]
    return RatioPart(
        variant=means[0],
        baseline=means[1],
        difference=found.difference if isinstance(found, Estimate) else None,
        interval=interval,
    )


def _statistics(pair: Pair) -> ComparisonStatistics:
    # One arm's alone say nothing, and what says nothing cannot be verified.
    third = has_third([pair.variant, pair.baseline])
    return ComparisonStatistics(
        variant=statistics_out(pair.variant, third=third), baseline=statistics_out(pair.baseline, third=third)
    )


def _without_numbers(pair: Pair) -> Comparison:
    return Comparison(
        variant=pair.variant.variant,
        baseline=pair.baseline.variant,
        difference=Difference(
            status="not_finite",
            reason=NOT_FINITE,
            estimate=None,
            interval=None,
            p_value=None,
            p_value_reason=NOT_FINITE,
        ),
        lift=Lift(status="not_finite", reason=NOT_FINITE, estimate=None, interval=None),
        detected=None,
        corrected=None,
        without_covariates=None,
        posterior=None,
        impact=None,
        method=NO_ESTIMATOR,
        warnings=[],
        details=pair.cuts.details,
        statistics=_statistics(pair),
    )


def _bounds(effect: Effect) -> list[float] | None:
    return None if effect.interval is None else [effect.interval.lower, effect.interval.upper]
