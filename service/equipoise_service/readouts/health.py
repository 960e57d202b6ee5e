"""The checks of a readout: whether its data can be believed."""

from equipoise_service.analysis.statistics import Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.schemas import Crossovers, Health, IncompleteRows, SampleRatio
from equipoise_stats import CheckStatus, sample_ratio

SAMPLE_RATIO_ALPHA = 0.001
CROSSOVER_WARNING_SHARE = 0.001


def check_health(plan: Plan, statistics: Statistics) -> Health:
    """Runs every check."""
    units = {variant: arm.units for variant, arm in statistics.arms.items()}
    ratio = sample_ratio(units, plan.weights, alpha=SAMPLE_RATIO_ALPHA)
    return Health(
        sample_ratio=SampleRatio(status=ratio.status, reason=ratio.reason, p_value=ratio.p_value),
        crossovers=_crossovers(statistics.crossovers, sum(units.values()) + statistics.crossovers),
        incomplete_rows=_incomplete_rows(statistics.incomplete_rows),
    )


def _crossovers(crossovers: int, seen: int) -> Crossovers:
    share = crossovers / seen if seen else None
    if share is None or share <= CROSSOVER_WARNING_SHARE:
        return Crossovers(status=CheckStatus.OK, reason=None, units=crossovers, share=share)
    reason = (
        f"More than {100 * CROSSOVER_WARNING_SHARE:g} % of the units met several variants: something assigns "
        "or identifies units inconsistently."
    )
    return Crossovers(status=CheckStatus.WARNING, reason=reason, units=crossovers, share=share)


def _incomplete_rows(rows: int | None) -> IncompleteRows | None:
    if rows is None:
        return None
    if rows == 0:
        return IncompleteRows(status=CheckStatus.OK, reason=None, rows=0)
    reason = "Rows without a unit, a variant or a time were left out."
    return IncompleteRows(status=CheckStatus.WARNING, reason=reason, rows=rows)
