"""The difference of two proportions from exact counts, with the large-sample, unpooled variance."""

from equipoise_stats.counts import Counts
from equipoise_stats.estimates.estimate import ArmEstimate, Estimate, NoEstimate, contrast, too_few_units
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

_FEWEST_EVENTS = 5


def proportion_difference(*, treatment: Counts, control: Counts) -> Estimate | NoEstimate:
    """Estimates the difference of two proportions, treatment − control.

    The variance is p(1 − p)/n in each arm and the reference is normal, for p-value and interval alike, so
    the two always agree. With fewer than five successes or failures in an arm the estimate carries the
    warning `few_events`.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.

    Returns:
        The estimate as a fraction (0.01 is one percentage point), or `NoEstimate` (`too_few_units`,
        `no_variance`).

    Example:
        >>> e = proportion_difference(treatment=Counts(144389, 17268), control=Counts(144300, 17468))
        >>> round(e.difference, 6)
        -0.00146
    """
    if treatment.n < 2 or control.n < 2:
        return too_few_units("proportion", treatment=treatment.n, control=control.n)
    arm_t, arm_c = _arm(treatment), _arm(control)
    variance = arm_t.variance + arm_c.variance
    return contrast(
        "proportion",
        treatment=arm_t,
        control=arm_c,
        skewness=(_third_cumulant(arm_t) - _third_cumulant(arm_c)) / variance**1.5 if variance > 0 else None,
        warnings=_few_events(treatment, control),
    )


def _arm(counts: Counts) -> ArmEstimate:
    p = counts.successes / counts.n
    return ArmEstimate(counts.n, p, p * (1 - p) / counts.n)


def _third_cumulant(arm: ArmEstimate) -> float:
    """Third cumulant of a proportion: p(1 − p)(1 − 2p)/n²."""
    return arm.variance * (1 - 2 * arm.value) / arm.n


def _few_events(treatment: Counts, control: Counts) -> tuple[Notice, ...]:
    fewest = min(min(arm.successes, arm.n - arm.successes) for arm in (treatment, control))
    if fewest >= _FEWEST_EVENTS:
        return ()
    return (notice("few_events", events=fewest, needed=_FEWEST_EVENTS),)
