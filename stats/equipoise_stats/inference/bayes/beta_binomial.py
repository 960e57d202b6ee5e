"""Beta–binomial: beta priors of two proportions, counts, and the posterior of their difference."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import betaincinv

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import normal_upper_quantile
from equipoise_stats.distributions import p_value_from_log as number_from_log
from equipoise_stats.estimates.estimate import ArmSummary
from equipoise_stats.inference.bayes.beta_quadrature import (
    Parameters,
    log_expected_gap,
    log_probability_beyond,
)
from equipoise_stats.inference.bayes.normal import EffectPosterior
from equipoise_stats.inference.comparison import Effect, Interval, Method
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.results import Serialisable, Status

SMALLEST = 0.01
"""The smallest parameter of a belief."""

_LARGEST = 1e10
_TOLERANCE = 1e-14
_NARROWEST = 1e-20
_NOTHING = -1e6
_FARTHEST = 300.0


@dataclass(frozen=True, slots=True)
class BetaBelief(Serialisable):
    """A beta distribution of what a proportion may be.

    Attributes:
        successes: First parameter: 1 + successes, after a uniform prior.
        failures: Second parameter.

    Raises:
        ValueError: A parameter is below 0.01 or above 1e10.

    Example:
        >>> BetaBelief(1.0, 1.0).updated(Counts(10, 3))
        BetaBelief(successes=4.0, failures=8.0)
    """

    successes: float
    failures: float

    def __post_init__(self) -> None:
        for name, value in (("successes", self.successes), ("failures", self.failures)):
            if not SMALLEST <= value <= _LARGEST:
                raise ValueError(
                    f"The belief's {name} is {value!r}; it must lie between {SMALLEST:g} and {_LARGEST:g}, "
                    "for example 1 for a uniform prior."
                )

    @property
    def parameters(self) -> Parameters:
        """Both parameters."""
        return self.successes, self.failures

    @property
    def mean(self) -> float:
        """Its mean."""
        return self.successes / (self.successes + self.failures)

    @property
    def variance(self) -> float:
        """Its variance."""
        total = self.successes + self.failures
        return self.successes / total * (self.failures / total) / (total + 1)

    def updated(self, counts: Counts) -> "BetaBelief":
        """The belief after counts."""
        return BetaBelief(self.successes + counts.successes, self.failures + (counts.n - counts.successes))

    def quantile(self, probability: float) -> float:
        """The proportion below which the belief puts a probability.

        Example:
            >>> round(BetaBelief(4.0, 8.0).quantile(0.5), 6)
            0.323804
        """
        return float(betaincinv(self.successes, self.failures, probability))


_UNIFORM = BetaBelief(1.0, 1.0)


def beta_binomial_posterior(
    *,
    treatment: Counts,
    control: Counts,
    prior: BetaBelief = _UNIFORM,
    control_prior: BetaBelief | None = None,
    rope: float | None = None,
    alpha: float = 0.05,
) -> EffectPosterior:
    """Updates beta priors of two proportions by counts, and compares them without approximation.

    Probabilities and losses are integrals over one proportion, by quadrature in the log odds to about 1e-12
    of their own size, in the tails too; no random numbers.

    Args:
        treatment: Counts of the treatment arm.
        control: Counts of the control arm.
        prior: The belief about each arm's proportion before the data (uniform), fixed in advance.
        control_prior: The control's, where it is another one.
        rope: Half the width of the region of practical equivalence of the difference, between 0 and 1.
        alpha: The equal-tailed credible intervals hold 1 − α.

    Returns:
        The posterior; the two losses are in units of the proportion. An arm without units is believed
        to be what its prior says. The lift is `unbounded` where the control's posterior has no mean of 1/p.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Miller 2015, Formulas for Bayesian A/B Testing (the probability); Stucchio 2015, Bayesian A/B Testing
        at VWO (the losses).

    Example:
        >>> posterior = beta_binomial_posterior(treatment=Counts(1000, 120), control=Counts(1000, 100))
        >>> round(posterior.probability_above, 4), round(posterior.loss_of_treatment, 5)
        (0.9232, 0.00048)
        >>> round(posterior.difference.interval.lower, 4), round(posterior.difference.interval.upper, 4)
        (-0.0075, 0.0475)
    """
    check_alpha(alpha)
    if rope is not None and not 0 < rope < 1:
        raise ValueError(f"rope is {rope!r}; it must lie between 0 and 1, half the width of the region.")
    other = prior if control_prior is None else control_prior
    t, c = prior.updated(treatment), other.updated(control)
    above, below = _beyond(t, c, 0.0), _beyond(c, t, 0.0)
    return EffectPosterior(
        method=Method(
            "beta_binomial_posterior",
            1,
            (
                ("alpha", alpha),
                ("prior_successes", prior.successes),
                ("prior_failures", prior.failures),
                ("control_prior_successes", other.successes),
                ("control_prior_failures", other.failures),
                ("rope", rope),
            ),
        ),
        status=Status.OK,
        reason=None,
        treatment=ArmSummary(treatment.n, t.mean, math.sqrt(t.variance)),
        control=ArmSummary(control.n, c.mean, math.sqrt(c.variance)),
        difference=_difference(t, c, alpha),
        lift=_lift(t, c, alpha),
        probability_above=number_from_log(above),
        log_probability_above=above,
        probability_below=number_from_log(below),
        log_probability_below=below,
        loss_of_treatment=number_from_log(log_expected_gap(t.parameters, c.parameters)),
        loss_of_control=number_from_log(log_expected_gap(c.parameters, t.parameters)),
        probability_in_rope=None if rope is None else _within(t, c, rope),
    )


def _beyond(first: BetaBelief, second: BetaBelief, shift: float) -> float:
    """The logarithm of P(first > shift + second)."""
    return log_probability_beyond(first.parameters, second.parameters, shift=shift)


def _within(t: BetaBelief, c: BetaBelief, rope: float) -> float:
    """P(−rope < t − c < rope) as a difference of the tails that are the smaller."""
    if t.mean < c.mean:
        t, c = c, t
    # t lies above c: P(t − c < rope) − P(t − c < −rope), and t − c < x is c > t − x.
    return max(math.exp(_beyond(c, t, -rope)) - math.exp(_beyond(c, t, rope)), 0.0)


def _difference(t: BetaBelief, c: BetaBelief, alpha: float) -> Effect:
    """Mean, standard deviation and equal-tailed interval of t − c."""
    sd = math.sqrt(t.variance + c.variance)

    def end(first: BetaBelief, second: BetaBelief) -> float:
        """The x that first − second exceeds with probability α/2."""
        start = first.mean - second.mean + sd * normal_upper_quantile(alpha / 2)

        return _exceeded(
            lambda x: log_probability_beyond(first.parameters, second.parameters, shift=x),
            alpha / 2,
            start=start,
            step=sd / 4,
            farthest=1.0,
        )

    return Effect(Status.OK, None, t.mean - c.mean, sd, Interval(-end(c, t), end(t, c)))


def _lift(t: BetaBelief, c: BetaBelief, alpha: float) -> Effect:
    """Mean, standard deviation and equal-tailed interval of t/c − 1, by inverting P(t > r c) over ln r."""
    if c.successes <= 2:
        return Effect(
            Status.UNBOUNDED,
            "The control's proportion is too uncertain near 0: the lift has no finite mean and variance.",
        )

    def end(first: BetaBelief, second: BetaBelief) -> float:
        """The ln r that ln(first / second) exceeds with probability α/2."""
        spread = math.sqrt(first.variance / first.mean**2 + second.variance / second.mean**2)
        start = math.log(first.mean) - math.log(second.mean) + spread * normal_upper_quantile(alpha / 2)

        return _exceeded(
            lambda x: log_probability_beyond(first.parameters, second.parameters, ratio=math.exp(x)),
            alpha / 2,
            start=start,
            step=spread / 4,
            farthest=_FARTHEST,
        )

    # E[1/c] = (n − 1)/(a − 1) and E[1/c²] = (n − 1)(n − 2)/((a − 1)(a − 2)).
    a, n = c.successes, c.successes + c.failures
    inverse = (n - 1) / (a - 1)
    inverse_variance = inverse * (n - a) / ((a - 1) * (a - 2))
    mean = t.mean * inverse
    variance = t.variance * (inverse**2 + inverse_variance) + t.mean**2 * inverse_variance
    return Effect(
        Status.OK,
        None,
        mean - 1,
        math.sqrt(variance),
        Interval(math.expm1(-end(c, t)), math.expm1(end(t, c))),
    )


def _exceeded(
    log_tail: Callable[[float], float], tail: float, *, start: float, step: float, farthest: float
) -> float:
    """Where a decreasing log tail probability is that of `tail`, between −farthest and farthest.

    It is bracketed from a guess by steps that double.
    """
    from scipy.optimize import brentq  # a third of this package's import time

    log_target = math.log(tail)

    def excess(x: float) -> float:
        return max(log_tail(x), _NOTHING) - log_target

    low = high = max(-farthest, min(start, farthest))
    if excess(low) > 0:
        while high < farthest and excess(high) > 0:
            low, high, step = high, min(high + step, farthest), 2 * step
    else:
        while low > -farthest and excess(low) < 0:
            low, high, step = max(low - step, -farthest), low, 2 * step
    if excess(high) >= 0:
        return high
    return float(brentq(excess, low, high, xtol=_NARROWEST, rtol=_TOLERANCE))
