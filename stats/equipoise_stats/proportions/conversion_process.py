"""Conversion counts at any time: an exact e-process that needs no units, no rates and no model of the day."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import betainc, betaln

from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.inference.comparison import Alternative, Effect, HypothesisTest, Interval, Method
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.multinomial import dirichlet_multinomial_log_e
from equipoise_stats.results import Serialisable, Status

_NEGLIGIBLE = 1e-15
_TINY = 1e-290
_FARTHEST = 300.0
_LARGEST_LIFT = 1e9


@dataclass(frozen=True, slots=True)
class ConversionComparison(Serialisable):
    """Two arms compared by their numbers of conversions.

    Attributes:
        method: The inference, its version and parameters.
        treatment: Conversions of the treatment arm.
        control: Conversions of the control arm.
        log_rate_ratio: ln(rate of the treatment / rate of the control). Where only one arm has conversions,
            the estimate and one end of the interval are infinite.
        lift: Treatment / control − 1 of the rates.
        test: The test of the null value, which is a lift.
        log_e_value: Natural logarithm of the e-value against the null value.
    """

    method: Method
    treatment: int
    control: int
    log_rate_ratio: Effect
    lift: Effect
    test: HypothesisTest
    log_e_value: float


def conversion_process(
    *,
    treatment: int,
    control: int,
    concentration: float,
    share: float = 0.5,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
) -> ConversionComparison:
    """Compares two conversion rates by counts of conversions alone, at as many looks as one likes.

    Whatever the rate does over the day, as long as both arms' rates keep their ratio, each conversion belongs
    to the treatment with the same probability, ρ e^δ / (1 − ρ + ρ e^δ): ρ is its share of the units, δ the
    log rate ratio. So the conversions are coin tosses, and no approximation is needed. It serves rare events,
    too: errors, crashes, refunds.

    Args:
        treatment: Conversions of the treatment arm so far.
        control: Conversions of the control arm so far.
        concentration: Weight of the mixture in conversions, **fixed before the data came**: the mixture's
            standard deviation of δ is about 1/√(k ρ (1 − ρ)), so 1000 looks for lifts of some 6 %, 100 of
            some 20 %.
        share: Planned share ρ of the two arms' units that the treatment gets.
        alpha: Level over all looks. Two-sided, both sides share it; one-sided, all of it lies on that side.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value, a lift above −1.

    Returns:
        The comparison at this look. p ≤ α exactly when the intervals exclude the null value. Without a
        conversion the effects have the status `no_events`, and p is 1.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Lindon and Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS 35 (two-sided:
        mixture over Beta(kρ, k(1 − ρ)); one-sided: the part of it on the side of the null value).

    Example:
        >>> look = conversion_process(treatment=580, control=450, concentration=1000)
        >>> round(look.lift.interval.lower, 4), round(look.lift.interval.upper, 4)
        (0.013, 0.644)
        >>> round(look.test.p_value, 5)
        0.02207
    """
    tail_alpha(check_alpha(alpha), alternative)
    check_null(null, "lift")
    if null > _LARGEST_LIFT:
        raise ValueError(f"The null value is a lift of {null!r}; it must be at most {_LARGEST_LIFT:g}.")
    _check(treatment, control, concentration, share)
    centre = math.log(share) - math.log1p(-share)
    process = _Process(treatment, control, share, centre, concentration)
    log_null = math.log1p(null)
    if alternative == "two-sided":
        log_e = process.log_e(log_null)
        lower = process.end(process.log_e, alpha, -1.0) if treatment else -math.inf
        upper = process.end(process.log_e, alpha, 1.0) if control else math.inf
    elif alternative == "greater":
        log_e = process.log_half_e(log_null)
        lower, upper = process.end(process.log_half_e, alpha, -1.0) if treatment else -math.inf, math.inf
    else:
        other = _Process(control, treatment, 1 - share, -centre, concentration)
        log_e = other.log_half_e(-log_null)
        lower, upper = -math.inf, -other.end(other.log_half_e, alpha, -1.0) if control else math.inf
    method = Method(
        "conversion_process",
        1,
        (
            ("alpha", alpha),
            ("alternative", alternative),
            ("null", null),
            ("share", share),
            ("concentration", concentration),
        ),
    )
    log_p = min(0.0, -log_e)
    test = HypothesisTest(
        Status.OK,
        "lift",
        null,
        alternative,
        alpha,
        p_value=p_value_from_log(log_p),
        log_p_value=log_p,
        rejected=log_null < lower or log_null > upper,
    )
    effects = _effects(treatment, control, centre, lower, upper)
    return ConversionComparison(method, treatment, control, *effects, test, log_e)


@dataclass(frozen=True, slots=True)
class _Process:
    """The e-process of conversions as a function of the log rate ratio that is tested."""

    events: int
    others: int
    share: float
    centre: float
    concentration: float

    def log_e(self, log_ratio: float) -> float:
        log_odds = self.centre + log_ratio
        return float(
            dirichlet_multinomial_log_e(
                (self.events, self.others),
                null=(_logistic(log_odds), _logistic(-log_odds)),
                prior=(self.concentration * self.share, self.concentration * (1 - self.share)),
            )
        )

    def log_half_e(self, log_ratio: float) -> float:
        """The one-sided e-value: the mixture over the larger ratios alone.

        It falls with the ratio wherever it is above 1, so that what it does not reject is a half line. For
        its derivative in the log odds is h (1 − 1/M) − s, with M the e-value, s > 0 the score and h the
        hazard of the mixture; M is at most the moment-generating function at s of the mixture's excess over
        the ratio, which is log-concave, so that 1 − 1/M ≤ s m with m its mean; and h m ≤ 1 because its hazard
        increases.
        """
        a, b = self.concentration * self.share, self.concentration * (1 - self.share)
        log_odds = self.centre + log_ratio
        side = _log_beta_beyond(log_odds, a + self.events, b + self.others)
        return self.log_e(log_ratio) + side - _log_beta_beyond(log_odds, a, b)

    def middle(self) -> float:
        """A log rate ratio close to the most likely one, where the e-value is below 2."""
        return math.log((self.events + 0.5) / (self.others + 0.5)) - self.centre

    def end(self, log_e: Callable[[float], float], alpha: float, side: float) -> float:
        """Where, on a side of the middle, an e-value reaches 1/α; infinite beyond a rate ratio of e³⁰⁰."""
        from scipy.optimize import brentq

        def excess(x: float) -> float:
            return log_e(x) + math.log(alpha)

        inside, step = self.middle(), side
        outside = inside + step
        while excess(outside) < 0:
            if abs(outside) == _FARTHEST:
                return side * math.inf
            step *= 2
            outside = min(max(inside + step, -_FARTHEST), _FARTHEST)
        return float(brentq(excess, inside, outside, xtol=_NEGLIGIBLE, rtol=_NEGLIGIBLE))


def _effects(
    treatment: int, control: int, centre: float, lower: float, upper: float
) -> tuple[Effect, Effect]:
    if treatment + control == 0:
        nothing = Effect(Status.NO_EVENTS, "There is no conversion yet in either arm.")
        return nothing, nothing
    ratio, error = -math.inf if treatment == 0 else math.inf, None
    if treatment and control:
        ratio = math.log(treatment) - math.log(control) - centre
        error = math.sqrt(1 / treatment + 1 / control)
    log_ratio = Effect(Status.OK, None, ratio, error, Interval(lower, upper))
    lift = Effect(
        Status.OK,
        None,
        math.expm1(ratio),
        None if error is None else error * math.exp(ratio),
        Interval(math.expm1(lower), math.expm1(upper)),
    )
    return log_ratio, lift


def _logistic(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _log_beta_beyond(log_odds: float, a: float, b: float) -> float:
    """Logarithm of the probability that a Beta(a, b) variable has larger log odds, without underflow."""
    p, q = _logistic(log_odds), _logistic(-log_odds)
    tail = float(betainc(b, a, q))
    if tail > _TINY:
        return math.log(tail)
    # I_q(b, a) = q^b p^a F(a + b, 1; b + 1; q)/(b B(a, b)), DLMF 8.17.8: all terms are positive, and so far
    # in the tail they fall fast.
    total, term, j = 0.0, 1.0, 0
    while term > _NEGLIGIBLE * total:
        total += term
        term *= (a + b + j) / (b + 1 + j) * q
        j += 1
    return b * math.log(q) + a * math.log(p) - math.log(b) - float(betaln(a, b)) + math.log(total)


def _check(treatment: int, control: int, concentration: float, share: float) -> None:
    for name, count in (("treatment", treatment), ("control", control)):
        if count < 0:
            raise ValueError(f"{name} has {count} conversions; a count cannot be negative.")
    if not (1 <= concentration <= 1e9):
        raise ValueError(
            f"concentration is {concentration!r}; it must lie between 1 and 1e9, for example 1000 for lifts "
            "of some 6 %."
        )
    if not 0.001 <= share <= 0.999:
        raise ValueError(f"share is {share!r}; it must lie between 0.001 and 0.999, for example 0.5.")
