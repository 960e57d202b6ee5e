"""Differences from one control with the variance of all arms pooled: what the classical Dunnett test uses."""

from collections.abc import Mapping

from equipoise_stats.estimates.estimate import (
    ArmEstimate,
    Estimate,
    NoEstimate,
    contrast,
    too_few_units,
)
from equipoise_stats.estimates.mean import centred_squares
from equipoise_stats.moments import Moments


def pooled_differences(
    treatments: Mapping[str, Moments], *, control: Moments, column: str | None = None
) -> dict[str, Estimate | NoEstimate]:
    """Estimates each difference from the control's mean with one variance for all arms.

    Assumes equal variances in all arms. With N units in k + 1 arms there are N − k − 1 degrees of freedom.

    Args:
        treatments: Moments of each treatment arm.
        control: Moments of the control arm.
        column: The column; may be left out when there is only one.

    Returns:
        For each treatment its estimate, or `NoEstimate` (`too_few_units` where an arm has fewer than two
        units, which leaves the pool; `no_variance`).

    Source:
        Dunnett 1955, J. Am. Stat. Assoc. 50, 1096–1121.

    Example:
        >>> arms = {"a": Moments.scalar(9, 12.0, 4.0), "b": Moments.scalar(9, 11.0, 4.0)}
        >>> effects = pooled_differences(arms, control=Moments.scalar(9, 10.0, 4.0))
        >>> effects["a"].difference, effects["a"].df, round(effects["a"].variance, 9)
        (2.0, 24, 0.888888889)
    """
    usable = [arm for arm in (control, *treatments.values()) if arm.n >= 2]
    df = sum(arm.n - 1 for arm in usable)
    squares = sum(centred_squares(arm, arm.index(column)) for arm in usable)
    results: dict[str, Estimate | NoEstimate] = {}
    for name, arm in treatments.items():
        if arm.n < 2 or control.n < 2:
            results[name] = too_few_units("mean_pooled_all", treatment=arm.n, control=control.n)
            continue
        results[name] = contrast(
            "mean_pooled_all",
            treatment=ArmEstimate(arm.n, arm.mean[arm.index(column)], squares / df / arm.n),
            control=ArmEstimate(control.n, control.mean[control.index(column)], squares / df / control.n),
            df=df,
        )
    return results
