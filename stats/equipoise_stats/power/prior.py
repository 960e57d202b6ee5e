"""The size of a test with a prior: its critical value depends on the size."""

import math

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.power.planned import Precision, critical_at

_HALF = 0.5
"""The power without data of a prior that lies on the edge of what it shows by itself."""


def units_with_prior(per_unit: Precision, critical: float, power: float) -> float:
    """The units from which on a test with a prior has a power.

    Power need not grow with the units: a prior beyond the null value speaks for the effect, and the less so
    the more data there are. So fewer units can have the power, too, and others between them and these not.

    Args:
        per_unit: The precision of the test, its drift positive and its prior proper.
        critical: The design's critical value.
        power: The power.

    Returns:
        Units of both arms together; 0 where every size has the power, as the prior gives it by itself.

    Raises:
        OverflowError: They are more than a number can hold.
    """
    from scipy.optimize import brentq

    slope, distance = per_unit.drift / per_unit.prior_ratio, per_unit.prior_distance

    def excess(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        return slope * ratio - critical_at(per_unit, critical, ratio) + normal_upper_quantile(power)

    low = high = _last_trough(slope, critical, distance)
    while excess(low) >= 0:
        # Without data only the prior decides; what it shows then it shows even where power is lowest.
        if distance > critical or (distance == critical and power <= _HALF):
            return 0.0
        low -= 1
    while excess(high) < 0:
        high += 1
    ratio = math.exp(float(brentq(excess, low, high, xtol=1e-14, rtol=1e-14)))
    return float((ratio / per_unit.prior_ratio) ** 2)


def _last_trough(slope: float, critical: float, distance: float) -> float:
    """The logarithm of the ratio from which on power only grows; 0 where it always does.

    With y the square of the ratio, power falls while distance − critical / √(y + 1) − slope y is positive.
    That is concave in y, so it changes its sign for the last time beyond its maximum.
    """
    from scipy.optimize import brentq

    def falls(y: float) -> float:
        return distance - critical / math.sqrt(y + 1) - slope * y

    top = max(0.0, (critical / (2 * slope)) ** (2 / 3) - 1)
    if falls(top) <= 0:
        return 0.0
    return 0.5 * math.log(float(brentq(falls, top, distance / slope, xtol=1e-14, rtol=1e-14)))
