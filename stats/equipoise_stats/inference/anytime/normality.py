"""Doubts about the normal reference: an early look that is wrong is not mended by later ones."""

from equipoise_stats.estimates.estimate import Estimate
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

_FEWEST_DF = 99
_LARGEST_SKEWNESS = 0.06


def normality_doubts(estimate: Estimate) -> tuple[Notice, ...]:
    """The notices of inferences that treat an estimate as normal with a known variance.

    Args:
        estimate: The estimate.

    Returns:
        `few_degrees_of_freedom` below 99 (100 units, less one), and `skewness` beyond 0.06 in absolute value
        (at which a one-sided test at 2.5 % is off by half a point); what the estimate says itself is not
        repeated.

    Example:
        >>> from equipoise_stats import Moments, mean_difference
        >>> arm = Moments.scalar(20, 1.0, 4.0)
        >>> [notice.code for notice in normality_doubts(mean_difference(treatment=arm, control=arm))]
        ['few_degrees_of_freedom']
    """
    doubts = []
    if estimate.df < _FEWEST_DF:
        doubts.append(notice("few_degrees_of_freedom", df=estimate.df))
    if estimate.skewness is not None and abs(estimate.skewness) > _LARGEST_SKEWNESS:
        doubts.append(notice("skewness", skewness=estimate.skewness))
    known = {each.code for each in estimate.warnings}
    if "skewed_unequal_arms" in known:
        known.add("skewness")  # the same doubt, and what was done about it
    return tuple(doubt for doubt in doubts if doubt.code not in known)
