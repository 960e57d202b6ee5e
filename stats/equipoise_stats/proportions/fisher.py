"""Fisher's exact test with the exact interval of the odds ratio that inverts it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.inference.comparison import Alternative, Effect, Interval, Method
from equipoise_stats.inference.settings import check_alpha, tail_alpha
from equipoise_stats.proportions.root import root
from equipoise_stats.results import Serialisable, Status

MOST_TABLES = 1_000_000
"""The most tables with the observed totals that the exact test goes through."""


@dataclass(frozen=True, slots=True)
class OddsRatioComparison(Serialisable):
    """Two proportions compared by their odds ratio, given the total number of successes.

    Attributes:
        method: The inference, its version and parameters.
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.
        odds_ratio: The conditional maximum-likelihood estimate, 0 or infinite at the edge of what the totals
            allow, with the exact interval.
        p_value: The p-value, never below the smallest normal double.
        log_p_value: Its natural logarithm.
        rejected: Whether p ≤ α, which is when the interval excludes the null value.
    """

    method: Method
    treatment: Counts
    control: Counts
    odds_ratio: Effect
    p_value: float
    log_p_value: float
    rejected: bool


def fisher_exact(
    *,
    treatment: Counts,
    control: Counts,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 1.0,
) -> OddsRatioComparison:
    """Compares two proportions by Fisher's exact test of the odds ratio.

    For rare events among any number of units. It is conservative; for small arms `boschloo` is more powerful.
    Two-sided, the p-value is twice the smaller one-sided one (the central test), which is the one that the
    usual exact interval inverts; the p-value that adds up all tables as improbable as the observed one, which
    other programs print, can disagree with that interval.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.
        alpha: Level, below 0.5.
        alternative: `two-sided`, `greater` (odds ratio above the null value) or `less`.
        null: The null value, a positive odds ratio.

    Returns:
        The comparison. Where the totals allow only the observed table (no success at all, no failure at all,
        an empty arm) the p-value is 1 and the odds ratio has the status `unbounded`.

    Raises:
        ValueError: alpha, alternative or null is out of range, or the totals allow over a million tables.

    Source:
        Fisher 1935, J. R. Stat. Soc. 98, 39–82; Cornfield 1956, Proc. 3rd Berkeley Symp. 4, 135–148.

    Example:
        >>> result = fisher_exact(treatment=Counts(13, 9), control=Counts(14, 4))
        >>> interval = result.odds_ratio.interval
        >>> round(interval.lower, 4), round(interval.upper, 4), round(result.p_value, 4)
        (0.8472, 40.4374, 0.0825)
    """
    tail = tail_alpha(check_alpha(alpha), alternative)
    if not (math.isfinite(null) and null > 0):
        raise ValueError(f"The null value is an odds ratio of {null!r}; it must be positive.")
    method = Method("fisher_exact", 1, (("alpha", alpha), ("alternative", alternative), ("null", null)))
    table = _Conditional.of(treatment, control)
    sides = []
    if alternative != "less":
        sides.append(table.log_upper_tail(math.log(null)))
    if alternative != "greater":
        sides.append(table.log_lower_tail(math.log(null)))
    log_p = min(0.0, min(sides) + math.log(len(sides)))
    return OddsRatioComparison(
        method,
        treatment,
        control,
        _odds_ratio(table, alternative, math.log(tail)),
        p_value_from_log(log_p),
        log_p,
        log_p <= math.log(alpha),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Conditional:
    """The distribution of the treatment arm's successes given all totals (noncentral hypergeometric).

    Attributes:
        k: Values that the totals allow.
        log_weight: Logarithm of their hypergeometric weights, up to a constant.
        place: Where the observed value stands among them.
    """

    k: npt.NDArray[np.float64]
    log_weight: npt.NDArray[np.float64]
    place: int

    @classmethod
    def of(cls, t: Counts, c: Counts) -> "_Conditional":
        total = t.successes + c.successes
        first, last = max(0, total - c.n), min(t.n, total)
        if last - first >= MOST_TABLES:
            raise ValueError(
                f"The totals allow {last - first + 1} tables; the exact test goes through at most "
                f"{MOST_TABLES}. Use miettinen_nurminen for arms as large as these."
            )
        k = np.arange(first, last + 1, dtype=np.float64)
        # Ratios of neighbours: differences of log-factorials lose their digits when arms are large.
        before = k[:-1]
        steps = np.log((t.n - before) / (before + 1) * ((total - before) / (c.n - total + before + 1)))
        return cls(k, np.concatenate(([0.0], np.cumsum(steps))), t.successes - first)

    def log_upper_tail(self, log_odds: float) -> float:
        """The logarithm of P(K ≥ observed)."""
        return self._log_share(log_odds, slice(self.place, None))

    def log_lower_tail(self, log_odds: float) -> float:
        """The logarithm of P(K ≤ observed)."""
        return self._log_share(log_odds, slice(None, self.place + 1))

    def mean_excess(self, log_odds: float) -> float:
        """E(K) − observed."""
        weights = self._tilted(log_odds)
        chances = np.exp(weights - weights.max())
        return float(((self.k - self.k[self.place]) * chances).sum() / chances.sum())

    def _log_share(self, log_odds: float, part: slice) -> float:
        weights = self._tilted(log_odds)
        return min(0.0, _log_sum(weights[part]) - _log_sum(weights))

    def _tilted(self, log_odds: float) -> npt.NDArray[np.float64]:
        tilted: npt.NDArray[np.float64] = self.log_weight + log_odds * (self.k - self.k[self.place])
        return tilted


def _log_sum(log_terms: npt.NDArray[np.float64]) -> float:
    top = log_terms.max()
    return float(top + np.log(np.exp(log_terms - top).sum()))


def _odds_ratio(table: _Conditional, alternative: Alternative, log_tail: float) -> Effect:
    if len(table.k) == 1:
        return Effect(
            Status.UNBOUNDED,
            "The totals allow only the observed table: every odds ratio explains it equally.",
        )
    fewest, most = table.place == 0, table.place == len(table.k) - 1
    estimate = 0.0 if fewest else math.inf if most else math.exp(_root(table.mean_excess))
    lower, upper = 0.0, math.inf
    if not fewest and alternative != "less":
        lower = math.exp(_root(lambda log_odds: table.log_upper_tail(log_odds) - log_tail))
    if not most and alternative != "greater":
        upper = math.exp(_root(lambda log_odds: log_tail - table.log_lower_tail(log_odds)))
    return Effect(Status.OK, None, estimate, interval=Interval(lower, upper))


def _root(rising: Callable[[float], float]) -> float:
    """The log odds ratio at which a function that rises with it is 0."""
    low, high = -1.0, 1.0
    while rising(low) > 0:
        low *= 2
    while rising(high) < 0:
        high *= 2
    return root(rising, low, high)
