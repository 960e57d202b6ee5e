"""From the sufficient statistics of two arms to a comparison."""

from dataclasses import dataclass

from equipoise_service.analysis.statistics import ArmValues, NotFinite
from equipoise_service.readouts.schemas import (
    ArmStatistics,
    Comparison,
    ComparisonStatistics,
    Detail,
    Difference,
    Lift,
    MeanStatistics,
    MomentsStatistics,
    ProportionStatistics,
    Warning,
)
from equipoise_stats import Comparison as Conclusion
from equipoise_stats import (
    Counts,
    Cut,
    Effect,
    Estimate,
    Moments,
    NoEstimate,
    adjusted_difference,
    fixed_horizon,
    mean_difference,
    proportion_difference,
    ratio_difference,
    winsorized,
)

_NOT_FINITE = "The values are so large, or so far apart, that a number needed to compare them is not finite."


@dataclass(frozen=True, slots=True)
class Side:
    """One arm of a comparison.

    Attributes:
        variant: The variant's key.
        values: The statistics of its mature units.
        immature: How many units are not mature.
    """

    variant: str
    values: ArmValues
    immature: int


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the values of a metric were cut; None where nothing was.

    Attributes:
        measured: The values themselves.
        before: Those of the pre-period.
    """

    measured: float | None = None
    before: float | None = None

    @property
    def details(self) -> list[Detail]:
        """Both, as figures of a comparison."""
        named = {"cut": self.measured, "cut_before": self.before}
        return [Detail(name=name, value=value) for name, value in named.items() if value is not None]


def compare(treatment: Side, control: Side, alpha: float, cuts: Cuts) -> Comparison:
    """Compares a variant with the control.

    Args:
        treatment: The variant.
        control: The control, with statistics of the same kind.
        alpha: Two-sided level.
        cuts: Where the values were cut.
    """
    statistics = ComparisonStatistics(variant=_statistics_out(treatment), baseline=_statistics_out(control))
    if isinstance(treatment.values, NotFinite) or isinstance(control.values, NotFinite):
        return _without_numbers(treatment.variant, control.variant, statistics, cuts)
    try:
        result = _conclude(treatment.values, control.values, alpha, cuts)
    except OverflowError:
        return _without_numbers(treatment.variant, control.variant, statistics, cuts)
    return Comparison(
        variant=treatment.variant,
        baseline=control.variant,
        difference=Difference(
            status=result.difference.status,
            reason=result.difference.reason,
            estimate=result.difference.estimate,
            interval=_bounds(result.difference),
            p_value=result.test.p_value,
        ),
        lift=Lift(
            status=result.lift.status,
            reason=result.lift.reason,
            estimate=result.lift.estimate,
            interval=_bounds(result.lift),
        ),
        method=f"{result.estimator} {result.method.name}/{result.method.version}",
        warnings=[Warning(code=notice.code, message=notice.message) for notice in result.warnings],
        details=[
            *(Detail(name=each.name, value=each.value) for each in result.details if not _is_cut(each.name)),
            *cuts.details,
        ],
        statistics=statistics,
    )


def _is_cut(name: str) -> bool:
    # Their open ends are infinite; the readout names the cuts by itself.
    return name.startswith("cut_")


def _conclude(
    values: Counts | Moments, baseline_values: Counts | Moments, alpha: float, cuts: Cuts
) -> Conclusion:
    if isinstance(values, Counts) and isinstance(baseline_values, Counts):
        return fixed_horizon(proportion_difference(treatment=values, control=baseline_values), alpha=alpha)
    if isinstance(values, Moments) and isinstance(baseline_values, Moments):
        found = _difference(values, baseline_values)
        if cuts.measured is not None:
            found = winsorized(found, Cut(upper=cuts.measured))
        return fixed_horizon(found, alpha=alpha)
    raise ValueError("the two arms of a comparison have statistics of different kinds")


def _difference(treatment: Moments, control: Moments) -> Estimate | NoEstimate:
    if treatment.columns != control.columns or treatment.columns[0] != "y":
        raise ValueError(f"the arms have the columns {treatment.columns} and {control.columns}")
    under = "d" if "d" in treatment.columns else None
    covariates = [column for column in treatment.columns if column.endswith("_before")]
    if covariates:
        return adjusted_difference(
            treatment=treatment, control=control, covariates=covariates, column="y", denominator=under
        )
    if under is not None:
        return ratio_difference(treatment=treatment, control=control, numerator="y", denominator="d")
    return mean_difference(treatment=treatment, control=control)


def _without_numbers(variant: str, baseline: str, statistics: ComparisonStatistics, cuts: Cuts) -> Comparison:
    return Comparison(
        variant=variant,
        baseline=baseline,
        difference=Difference(
            status="not_finite", reason=_NOT_FINITE, estimate=None, interval=None, p_value=None
        ),
        lift=Lift(status="not_finite", reason=_NOT_FINITE, estimate=None, interval=None),
        method="none",
        warnings=[],
        details=cuts.details,
        statistics=statistics,
    )


def values_in(statistics: ArmStatistics) -> ArmValues:
    """Reads what a readout holds of one arm.

    Raises:
        ValueError: The numbers are impossible.
    """
    if isinstance(statistics, ProportionStatistics):
        return Counts(statistics.n, statistics.successes)
    if isinstance(statistics, MomentsStatistics):
        columns = tuple(statistics.columns)
        if statistics.means is None or statistics.comoments is None:
            return NotFinite(statistics.n, columns)
        rows = tuple(tuple(row) for row in statistics.comoments)
        return Moments(statistics.n, columns, tuple(statistics.means), rows)
    if statistics.mean is None or statistics.m2 is None:
        return NotFinite(statistics.n)
    return Moments(statistics.n, ("y",), (statistics.mean,), ((statistics.m2,),))


def _statistics_out(side: Side) -> ArmStatistics:
    values, immature = side.values, side.immature
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
            }
        )
    if isinstance(values, NotFinite):
        return MeanStatistics(n=values.n, immature=immature, mean=None, m2=None)
    return MeanStatistics(n=values.n, immature=immature, mean=values.mean[0], m2=values.comoments[0][0])


def _bounds(effect: Effect) -> list[float] | None:
    return None if effect.interval is None else [effect.interval.lower, effect.interval.upper]
