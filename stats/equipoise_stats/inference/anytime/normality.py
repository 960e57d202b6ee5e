"""Doubts about the normal reference: an early look that is wrong is not mended by later ones."""

from equipoise_stats.estimates.estimate import Estimate
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
        doubts.append(
            Notice(
                "few_degrees_of_freedom",
                f"The variance has only {estimate.df:.4g} degrees of freedom; use the anytime-valid t test, "
                "which takes that into account.",
            )
        )
    if estimate.skewness is not None and abs(estimate.skewness) > _LARGEST_SKEWNESS:
        doubts.append(
            Notice(
                "skewness",
                f"The difference is skewed ({estimate.skewness:.3g}): one side is rejected too often. Use "
                "arms of equal size, or winsorize the metric.",
            )
        )
    known = {notice.code for notice in estimate.warnings}
    return tuple(notice for notice in doubts if notice.code not in known)
