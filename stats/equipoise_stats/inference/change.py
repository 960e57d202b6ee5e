"""Whether an effect is still what it was: two analyses of the same change, one after the other."""

import math

from equipoise_stats.inference.comparison import Effect, Interval
from equipoise_stats.results import Status


def change_of_effect(*, earlier: Effect, later: Effect) -> Effect:
    """The later effect minus the earlier one, with an interval at the level of theirs.

    The interval is made of the two intervals (the method of variance estimates recovery), so it keeps their
    asymmetry and their kind: of Fieller's intervals, or of one that was widened for looks. It takes the two
    effects as independent. Where units of the earlier analysis are in the same arms of the later one, and
    resemble themselves, it covers more often than its level says.

    Args:
        earlier: The effect of then, on some scale.
        later: The effect of now, on the same scale; both intervals have the same level.

    Source:
        Zou and Donner 2008, Construction of confidence limits about effect measures: a general approach,
        Statistics in Medicine 27(10).

    Example:
        >>> then = Effect(Status.OK, None, 0.05, None, Interval(0.02, 0.08))
        >>> now = Effect(Status.OK, None, 0.01, None, Interval(-0.03, 0.05))
        >>> change = change_of_effect(earlier=then, later=now)
        >>> round(change.estimate, 3), round(change.interval.lower, 3), round(change.interval.upper, 3)
        (-0.04, -0.09, 0.01)
    """
    first, second = earlier.interval, later.interval
    if earlier.estimate is None or first is None:
        return Effect(earlier.status, earlier.reason)
    if later.estimate is None or second is None:
        return Effect(later.status, later.reason)
    change = later.estimate - earlier.estimate
    below = math.hypot(later.estimate - second.lower, first.upper - earlier.estimate)
    above = math.hypot(second.upper - later.estimate, earlier.estimate - first.lower)
    return Effect(Status.OK, None, change, None, Interval(change - below, change + above))
