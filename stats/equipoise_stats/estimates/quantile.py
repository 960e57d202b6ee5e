"""The difference of two quantiles of events (latency, order value), the events clustered in units."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.estimates.estimate import (
    ArmEstimate,
    ArmSummary,
    Estimate,
    NoEstimate,
    contrast,
    too_few_units,
    welch_satterthwaite,
)
from equipoise_stats.moments import Moments
from equipoise_stats.results import Serialisable, Status

_Z = normal_upper_quantile(0.025)


@dataclass(frozen=True, slots=True)
class ArmQuantile(Serialisable):
    """What a quantile's estimate needs of one arm; an engine computes it in two passes, see `order_ranks`.

    Attributes:
        q: Which quantile, between 0 and 1.
        counts: Moments over the units of the arm (those with events) of two columns: `below`, the unit's
            number of events at or below the quantile, and `events`, its number of events.
        value: The quantile: the event of rank ⌈qN⌉ among the arm's N, an observed value.
        lower: The event of the lower of `order_ranks`; None where that rank is below 1.
        upper: The event of the upper of `order_ranks`; None where that rank is above N.

    Raises:
        ValueError: q is not between 0 and 1, a column is missing, or the three values are out of order.
    """

    q: float
    counts: Moments
    value: float
    lower: float | None
    upper: float | None

    def __post_init__(self) -> None:
        _check_q(self.q)
        if not {"below", "events"} <= set(self.counts.columns):
            raise ValueError(f"counts has columns {self.counts.columns!r}; 'below' and 'events' are needed.")
        known = [end for end in (self.lower, self.value, self.upper) if end is not None]
        if not all(map(math.isfinite, known)) or known != sorted(known):
            raise ValueError(
                f"lower, value and upper are {self.lower!r}, {self.value!r} and {self.upper!r}; they must be "
                "finite and ascend."
            )


def arm_quantile(values: ArrayLike, *, q: float, units: ArrayLike | None = None) -> ArmQuantile:
    """Reduces the events of one arm to what the estimate of a quantile needs.

    Args:
        values: The events' values, of shape (N,), at least one.
        q: Which quantile, between 0 and 1.
        units: The unit of each event, of shape (N,); left out, each event is its own unit.

    Raises:
        ValueError: q is out of range, there are no events, shapes differ, or a value is not finite.

    Example:
        >>> arm = arm_quantile([float(i) for i in range(1, 1001)], q=0.5)
        >>> arm.value, arm.lower, arm.upper
        (500.0, 468.0, 533.0)
    """
    _check_q(q)
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0:
        raise ValueError(f"values has shape {data.shape}; a list of at least one event is needed.")
    if not np.isfinite(data).all():
        raise ValueError("values holds numbers that are not finite; decide what they mean first.")
    ordered = np.sort(data)
    value = float(ordered[_rank(q, data.size) - 1])
    below = data <= value
    if units is None:
        counts = Moments.from_arrays({"below": below, "events": np.ones(data.size)}, third=False)
    else:
        owners = np.asarray(units)
        if owners.shape != data.shape:
            raise ValueError(
                f"units has shape {owners.shape}, values has {data.shape}; give one unit an event."
            )
        index = np.unique(owners, return_inverse=True)[1]
        counts = Moments.from_arrays(
            {"below": np.bincount(index, weights=below), "events": np.bincount(index)}, third=False
        )
    low, high = order_ranks(counts, q)
    return ArmQuantile(
        q,
        counts,
        value,
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= data.size else None,
    )


def order_ranks(counts: Moments, q: float) -> tuple[int, int]:
    """The ranks (from 1) of the two events that are the 95 % confidence limits of the arm's quantile.

    An engine finds the quantile first, then counts the events of each unit at or below it, then asks for
    the events of these ranks. A rank below 1 or above the number of events means that there are too few.

    Args:
        counts: Moments over units of `below` and `events`, see `ArmQuantile`.
        q: Which quantile.

    Returns:
        The two ranks; 0 and N + 1, which no event has, for fewer than two units.

    Source:
        Deng, Knoblich and Lu 2018, arXiv 1803.06336, section 4; Yao, Li and Lu 2024, arXiv 2401.14549: the
        share of events at or below a point is a ratio of unit totals, whose standard error σ the delta method
        gives; the ranks are ⌊N(q − zσ)⌋ and ⌈N(q + zσ)⌉ + 1.

    Example:
        >>> counts = Moments.from_aggregates(
        ...     1000,
        ...     {"below": 5.0, "events": 10.0},
        ...     {"below": 2.5, "events": 0.0},
        ...     {("below", "events"): 0.0},
        ... )
        >>> order_ranks(counts, 0.5)
        (4902, 5099)
    """
    events = counts.mean[counts.index("events")]
    total = counts.n * events
    if counts.n < 2:
        return 0, round(total) + 1
    spread = counts.variance("below") - 2 * q * counts.covariance("below", "events")
    spread += q * q * counts.variance("events")
    reach = _Z * math.sqrt(max(0.0, spread) / counts.n) / events
    return math.floor(total * (q - reach)), math.ceil(total * (q + reach)) + 1


def quantile_difference(*, treatment: ArmQuantile, control: ArmQuantile) -> Estimate | NoEstimate:
    """Estimates the difference of two quantiles, treatment − control, allowing for clustered events.

    An arm's standard error is the width of its 95 % interval of order statistics over 2z; no density has to
    be estimated.

    Args:
        treatment: The treatment arm.
        control: The control arm, of the same quantile.

    Returns:
        The estimate in the events' unit (`n` counts units), or `NoEstimate`: `too_few_units` (fewer than two
        units, or too few events for a quantile so far out), `tied` (so many events have exactly the value of
        the quantile that their order says nothing about its uncertainty).

    Raises:
        ValueError: The arms are of different quantiles.

    Source:
        Deng, Knoblich and Lu 2018, arXiv 1803.06336, section 4; Yao, Li and Lu 2024, arXiv 2401.14549.

    Example:
        >>> import numpy as np
        >>> generator = np.random.default_rng(1)
        >>> arms = [arm_quantile(generator.exponential(m, 5000), q=0.9) for m in (1.2, 1.0)]
        >>> e = quantile_difference(treatment=arms[0], control=arms[1])
        >>> round(e.difference, 1), round(e.standard_error, 2)
        (0.4, 0.06)
    """
    if treatment.q != control.q:
        raise ValueError(f"The arms are of different quantiles: {treatment.q!r} and {control.q!r}.")
    n_t, n_c = treatment.counts.n, control.counts.n
    if n_t < 2 or n_c < 2:
        return too_few_units("quantile", treatment=n_t, control=n_c)
    variances: list[float] = []
    for name, arm in (("treatment", treatment), ("control", control)):
        found = _variance(arm)
        if isinstance(found, Status):
            return NoEstimate(
                "quantile",
                found,
                _REASONS[found].format(arm=name, q=arm.q, value=arm.value),
                ArmSummary(n_t, treatment.value),
                ArmSummary(n_c, control.value),
            )
        variances.append(found)
    v_t, v_c = variances
    return contrast(
        "quantile",
        treatment=ArmEstimate(n_t, treatment.value, v_t),
        control=ArmEstimate(n_c, control.value, v_c),
        df=welch_satterthwaite(v_t, n_t - 1, v_c, n_c - 1),
    )


_REASONS = {
    Status.TOO_FEW_UNITS: (
        "The {arm} arm has too few events for quantile {q:g}: a limit of its interval lies beyond the data."
    ),
    Status.TIED: (
        "Too many events of the {arm} arm have exactly the value {value:g}: quantile {q:g} has no measurable "
        "uncertainty. Record finer values, or compare the share of events above a threshold."
    ),
}


def _variance(arm: ArmQuantile) -> float | Status:
    """The sampling variance of an arm's quantile, or why there is none."""
    if arm.lower is None or arm.upper is None:
        return Status.TOO_FEW_UNITS
    if not arm.lower < arm.value < arm.upper:
        return Status.TIED
    return ((arm.upper - arm.lower) / (2 * _Z)) ** 2


def _rank(q: float, events: int) -> int:
    """⌈qN⌉, taking 0.07 × 100 = 7.000000000000001 for the 7 that was meant."""
    product = q * events
    nearest = round(product)
    return nearest if math.isclose(product, nearest, rel_tol=1e-12) else math.ceil(product)


def _check_q(q: float) -> None:
    if not 0 < q < 1:
        raise ValueError(f"q is {q!r}; a quantile lies between 0 and 1, for example 0.9.")
