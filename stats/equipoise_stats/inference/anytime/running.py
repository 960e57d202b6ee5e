"""The running result of an anytime-valid inference: everything that all looks so far have shown together."""

from collections.abc import Sequence
from dataclasses import replace

from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.inference.comparison import Comparison, Effect, Interval
from equipoise_stats.results import Status

_ANYTIME_VALID = frozenset(
    {"confidence_sequence", "mixture_sprt", "anytime_t", "adaptive_confidence_sequence"}
)


def running_comparison(looks: Sequence[Comparison]) -> Comparison:
    """Puts the looks of one inference together: the smallest p-value, the intersected intervals.

    Because the intervals of all looks hold together with probability 1 − α, so does their intersection; and
    what was rejected once stays rejected. An intersection can become empty, which says that the effect has
    changed over time or that an assumption fails; then it has the status `empty` and no interval.

    Args:
        looks: The comparisons at each look so far, in order, all made with the same method and parameters.
            Looks without an answer (too few units, say) are passed over.

    Returns:
        A comparison like the last look that has an answer, with the running test and intervals. p ≤ α exactly
        when the interval on the null value's scale excludes it, or is empty.

    Raises:
        ValueError: There is no look, or the looks differ in method or parameters, or the method is not valid
        at
            more than one look.

    Example:
        >>> from equipoise_stats import Moments, confidence_sequence, mean_difference
        >>> looks = [
        ...     confidence_sequence(
        ...         mean_difference(
        ...             treatment=Moments.scalar(n, mean, 4.0), control=Moments.scalar(n, 10.0, 4.0)
        ...         ),
        ...         tuning_units=2000,
        ...     )
        ...     for n, mean in ((500, 10.6), (1000, 10.2))
        ... ]
        >>> [look.test.rejected for look in looks], running_comparison(looks).test.rejected
        ([True, False], True)
    """
    if not looks:
        raise ValueError("There are no looks; give the comparisons of one or more.")
    method = looks[-1].method
    if method.name not in _ANYTIME_VALID:
        raise ValueError(
            f"{method.name!r} is valid at one look each; only {', '.join(sorted(_ANYTIME_VALID))} may be put "
            "together over looks."
        )
    if any(look.method != method for look in looks):
        raise ValueError(
            "The looks differ in method or parameters; tuning constants are fixed before the first one."
        )
    answered = [look for look in looks if look.test.log_p_value is not None]
    if not answered:
        return looks[-1]
    last = answered[-1]
    log_p = min(look.test.log_p_value for look in answered if look.test.log_p_value is not None)
    return replace(
        last,
        method=replace(method, name=f"running_{method.name}"),
        difference=_intersection(last.difference, [look.difference for look in answered]),
        lift=_intersection(last.lift, [look.lift for look in answered]),
        test=replace(
            last.test,
            statistic=None,
            critical=None,
            p_value=p_value_from_log(log_p),
            log_p_value=log_p,
            rejected=any(look.test.rejected for look in answered),
        ),
    )


def _intersection(last: Effect, effects: list[Effect]) -> Effect:
    intervals = [effect.interval for effect in effects if effect.interval is not None]
    if not intervals:
        return last
    lower = max(interval.lower for interval in intervals)
    upper = min(interval.upper for interval in intervals)
    if lower > upper:
        return replace(
            last,
            status=Status.EMPTY,
            reason="The intervals of the looks have no value in common: the effect changed over time, or an "
            "assumption fails.",
            interval=None,
        )
    return replace(last, status=Status.OK, reason=None, interval=Interval(lower, upper))
