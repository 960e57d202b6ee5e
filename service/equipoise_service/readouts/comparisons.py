"""From the sufficient statistics of two arms to a comparison."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from equipoise_service.analysis.statistics import ArmValues, NotFinite, QuantileValues, StepCounts
from equipoise_service.readouts.inference import Corrected
from equipoise_service.readouts.measured import (
    ArmStatistics,
    FunnelStatistics,
    MeanStatistics,
    MomentsStatistics,
    ProportionStatistics,
    QuantileStatistics,
)
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
from equipoise_service.readouts.unanswered import (
    NO_ESTIMATOR,
    notice_text,
    why_no_difference,
    why_no_lift,
    why_no_test,
)
from equipoise_service.texts.saying import say
from equipoise_stats import (
    ArmQuantile,
    ArmSummary,
    Compare,
    Counts,
    Cut,
    Effect,
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

_NOT_FINITE = say("no_result.not_finite")
_NO_QUANTILE = say("no_result.too_few_values")


CUT_NAMES = {
    "y": "cut",
    "d": "denominator_cut",
    "y_before": "cut_before",
    "d_before": "denominator_cut_before",
}
"""For each number of a unit what its cut is called in a readout."""


@dataclass(frozen=True, slots=True)
class Side:
    """One arm of a comparison.

    Attributes:
        variant: The variant's key.
        values: The statistics of its mature units.
        immature: How many units are not mature.
        winsorized: Of how many units a value was cut.
    """

    variant: str
    values: ArmValues
    immature: int
    winsorized: int = 0


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the numbers of a metric were cut.

    Attributes:
        known: The cut of each number, by its column; None where nothing was cut.
    """

    known: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, float | None]:
        """All four that a metric can have, by their names in a readout."""
        return {name: self.known.get(column) for column, name in CUT_NAMES.items()}

    @property
    def details(self) -> list[Detail]:
        """Those that there are, as figures of a comparison."""
        return [Detail(name=name, value=value) for name, value in self.named.items() if value is not None]


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
        NO_ESTIMATOR, Status.UNBOUNDED, _NOT_FINITE, ArmSummary(values.n), ArmSummary(others.n)
    )
    return Pair(variant, baseline, cuts, nothing, finite=False)


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


def moments_of(side: Side) -> Moments | None:
    """The moments of an arm, where its statistics are moments."""
    return side.values if isinstance(side.values, Moments) else None


def has_third(sides: Iterable[Side]) -> bool:
    """Whether the third moments of all of them are known."""
    found = [moments_of(side) for side in sides]
    return all(each is not None and each.third is not None for each in found)


def _is_cut(name: str) -> bool:
    # Their open ends are infinite; the readout names the cuts by itself.
    return name.startswith("cut_")


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
            reason=_NOT_FINITE,
            estimate=None,
            interval=None,
            p_value=None,
            p_value_reason=_NOT_FINITE,
        ),
        lift=Lift(status="not_finite", reason=_NOT_FINITE, estimate=None, interval=None),
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


def values_in(statistics: ArmStatistics) -> ArmValues:
    """Reads what a readout holds of one arm.

    Raises:
        ValueError: The numbers are impossible.
    """
    if isinstance(statistics, FunnelStatistics):
        if statistics.steps[-1] != statistics.successes:
            raise ValueError("the last step of a funnel was not reached by as many units as completed it")
        return StepCounts(statistics.n, tuple(statistics.steps))
    if isinstance(statistics, QuantileStatistics):
        return _quantile_in(statistics)
    if isinstance(statistics, ProportionStatistics):
        return Counts(statistics.n, statistics.successes)
    if isinstance(statistics, MomentsStatistics):
        columns = tuple(statistics.columns)
        if statistics.means is None or statistics.comoments is None:
            return NotFinite(statistics.n, columns)
        rows = tuple(tuple(row) for row in statistics.comoments)
        third = None if statistics.third is None else tuple(statistics.third)
        return Moments(statistics.n, columns, tuple(statistics.means), rows, third)
    if statistics.mean is None or statistics.m2 is None:
        return NotFinite(statistics.n)
    third = None if statistics.m3 is None else (statistics.m3,)
    return Moments(statistics.n, ("y",), (statistics.mean,), ((statistics.m2,),), third)


def statistics_out(side: Side, *, third: bool) -> ArmStatistics:
    """What a readout holds of one arm.

    Args:
        side: The arm.
        third: Whether third moments are among it, where they are known.
    """
    values, immature = side.values, side.immature
    if isinstance(values, StepCounts):
        return FunnelStatistics(
            n=values.n,
            immature=immature,
            successes=values.completed.successes,
            steps=list(values.reached),
        )
    if isinstance(values, QuantileValues):
        return _quantile_out(values, immature)
    if isinstance(values, Counts):
        return ProportionStatistics(n=values.n, immature=immature, successes=values.successes)
    if values.columns != ("y",):
        known = values if isinstance(values, Moments) else None
        return MomentsStatistics.model_validate(
            {
                "n": values.n,
                "immature": immature,
                "columns": list(values.columns),
                "means": list(known.mean) if known else None,
                "comoments": [list(row) for row in known.comoments] if known else None,
                "third": list(known.third) if known and known.third is not None and third else None,
            }
        )
    if isinstance(values, NotFinite):
        return MeanStatistics(n=values.n, immature=immature, mean=None, m2=None)
    return MeanStatistics(
        n=values.n,
        immature=immature,
        mean=values.mean[0],
        m2=values.comoments[0][0],
        m3=values.third[0] if third and values.third is not None else None,
    )


def _bounds(effect: Effect) -> list[float] | None:
    return None if effect.interval is None else [effect.interval.lower, effect.interval.upper]


def _quantile_in(statistics: QuantileStatistics) -> QuantileValues:
    value, means, comoments = statistics.value, statistics.means, statistics.comoments
    if value is None or means is None or comoments is None:
        return QuantileValues(statistics.n, statistics.quantile, None)
    counts = Moments(
        statistics.acting, ("below", "events"), tuple(means), tuple(tuple(row) for row in comoments)
    )
    found = ArmQuantile(statistics.quantile, counts, value, statistics.lower, statistics.upper)
    return QuantileValues(statistics.n, statistics.quantile, found)


def _quantile_out(values: QuantileValues, immature: int) -> QuantileStatistics:
    found = values.found
    return QuantileStatistics(
        n=values.n,
        immature=immature,
        quantile=values.q,
        value=found.value if found else None,
        lower=found.lower if found else None,
        upper=found.upper if found else None,
        acting=found.counts.n if found else 0,
        means=list(found.counts.mean) if found else None,
        comoments=[list(row) for row in found.counts.comoments] if found else None,
    )
