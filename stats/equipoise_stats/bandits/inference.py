"""Inference after adaptive allocation: inverse weighting, and a confidence sequence in variance time.

The naive mean of an arm in a bandit is biased: an arm that starts badly by chance gets no units to recover.
Weighting each unit by the inverse of the probability with which its arm was drawn *then* removes the bias,
whatever the rule of allocation. The scores are martingale differences, so a confidence sequence may be looked
at as often as the allocation is changed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise_stats.estimates.estimate import ArmEstimate, Estimate, NoEstimate, contrast, too_few_units
from equipoise_stats.inference.anytime.mixture import optimal_mixture_ratio
from equipoise_stats.inference.anytime.mixture_comparison import conclude_mixture
from equipoise_stats.inference.comparison import Alternative, Comparison, Method, Scale
from equipoise_stats.inference.conclude import unanswered
from equipoise_stats.inference.settings import check_alpha, check_null, tail_alpha
from equipoise_stats.moments import Moments, merge_moments
from equipoise_stats.notices import notice
from equipoise_stats.results import Notice

_NAME = "inverse_weighted"
_SCORES = ("treatment", "control")
_SMALLEST_PROBABILITY = 0.05
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class AllocationPeriod:
    """A stretch of a bandit in which the probabilities of the arms did not change.

    Attributes:
        arms: Moments by arm of the units that were assigned in it.
        probabilities: The probability of each arm, fixed before the period began; they sum to 1.

    Raises:
        ValueError: A probability is negative, they do not sum to 1, or an arm has units without a
        probability.
    """

    arms: Mapping[str, Moments]
    probabilities: Mapping[str, float]

    def __post_init__(self) -> None:
        total = math.fsum(self.probabilities.values())
        if min(self.probabilities.values(), default=-1.0) < 0 or not abs(total - 1) <= _ROUNDING:
            raise ValueError(f"Probabilities {dict(self.probabilities)} must be 0 or more and sum to 1.")
        for arm, moments in self.arms.items():
            if moments.n > 0 and not self.probabilities.get(arm, 0.0) > 0:
                raise ValueError(
                    f"Arm {arm!r} has {moments.n} units in a period in which it had probability 0."
                )


def inverse_weighted_difference(
    periods: Sequence[AllocationPeriod],
    *,
    treatment: str,
    control: str,
    prior_mean: float = 0.0,
    column: str | None = None,
) -> Estimate | NoEstimate:
    """Estimates the difference of two arms' means over all units of a bandit, without bias.

    Every unit, of whatever arm, has a score for each of the two: g + 1{assigned to it} (y − g)/π, where π is
    the arm's probability in the unit's period and g a guess of its mean from earlier periods alone (augmented
    inverse weighting; the guess costs no bias and saves most of the variance). Where means change over time,
    the effect is the average over the units.

    Args:
        periods: All periods in order; in each, both arms must have had a positive probability.
        treatment: Name of the treatment arm.
        control: Name of the control arm.
        prior_mean: The guess in the first period: what the metric's mean is expected to be, fixed before the
            data. Any number is valid; a close one keeps the variance small.
        column: The column of the metric; may be left out when there is only one.

    Returns:
        The estimate in the column's unit, or `NoEstimate` (`too_few_units`, `no_variance`). Its variance
        grows in jumps with the allocation: hand it to `adaptive_confidence_sequence`, not to an inference for
        fixed allocation.

    Raises:
        ValueError: The arms are the same, or one had probability 0 in a period, or the prior mean is not
        finite.

    Source:
        Hadad, Hirshberg, Zhan, Wager and Athey 2021, Confidence intervals for policy evaluation in adaptive
        experiments, PNAS 118.

    Example:
        >>> even = {"a": 0.5, "b": 0.5}
        >>> first = {"a": Moments.scalar(50, 10.0, 4.0), "b": Moments.scalar(50, 11.0, 4.0)}
        >>> second = {"a": Moments.scalar(20, 10.0, 4.0), "b": Moments.scalar(80, 11.0, 4.0)}
        >>> estimate = inverse_weighted_difference(
        ...     [AllocationPeriod(first, even), AllocationPeriod(second, {"a": 0.2, "b": 0.8})],
        ...     treatment="b",
        ...     control="a",
        ...     prior_mean=10.0,
        ... )
        >>> round(estimate.difference, 6), round(estimate.standard_error, 4)
        (1.0, 0.3195)
    """
    if not math.isfinite(prior_mean):
        raise ValueError(f"prior_mean is {prior_mean!r}; it must be a finite number in the metric's unit.")
    if treatment == control:
        raise ValueError(f"Arm {treatment!r} cannot be compared with itself.")
    scores = Moments.empty(_SCORES)
    seen = {treatment: (0, 0.0), control: (0, 0.0)}
    for number, period in enumerate(periods, start=1):
        for arm in (treatment, control):
            if not period.probabilities.get(arm, 0.0) > 0:
                raise ValueError(
                    f"Arm {arm!r} had probability 0 in period {number}; nothing can be said of its mean "
                    "then. Compare over the periods in which both arms could be drawn."
                )
        guesses = tuple(seen[arm][1] if seen[arm][0] else prior_mean for arm in (treatment, control))
        scores = merge_moments([scores, *_scores(period, treatment, control, guesses, column)])
        for arm in seen:
            seen[arm] = _with(seen[arm], period.arms.get(arm), column)
    units_t, units_c = seen[treatment][0], seen[control][0]
    if units_t < 2 or units_c < 2:
        return too_few_units(_NAME, treatment=units_t, control=units_c)
    (v_t, covariance), (_, v_c) = (
        tuple(entry / (scores.n - 1) / scores.n for entry in row) for row in scores.comoments
    )
    return contrast(
        _NAME,
        treatment=ArmEstimate(units_t, scores.mean[0], v_t),
        control=ArmEstimate(units_c, scores.mean[1], v_c),
        covariance=covariance,
        warnings=_small_probability(periods, treatment, control),
    )


def adaptive_confidence_sequence(
    periods: Sequence[AllocationPeriod],
    *,
    treatment: str,
    control: str,
    tuning_units: float,
    tuning_variance: float,
    tuning_alpha: float | None = None,
    prior_mean: float = 0.0,
    column: str | None = None,
    burn_in: int = 100,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    scale: Scale = "difference",
) -> Comparison:
    """Compares two arms of a bandit so that one may look after every period and stop at any time.

    The confidence sequence runs in the time of the scores' summed variance, because under adaptive allocation
    the variance of a unit's score changes. The tuning constants, **fixed before the data came**, say where it
    is tightest and do not touch its validity.

    Args:
        periods: All periods so far, in order.
        treatment: Name of the treatment arm.
        control: Name of the control arm.
        tuning_units: Units of all arms at which the sequence is to be tightest.
        tuning_variance: Guess of the variance of one unit's score: s² (1/π_t + 1/π_c) for a metric of
            variance s² and the probabilities that are expected to prevail.
        tuning_alpha: Level for which it is tightest there; the test's own unless given.
        prior_mean: As in `inverse_weighted_difference`.
        column: The column of the metric; may be left out when there is only one.
        burn_in: Units that each of the two arms needs before anything can be rejected.
        alpha: Level over all looks.
        alternative: `two-sided`, `greater` or `less`.
        null: The null value.
        scale: Whether the null value is a difference in the metric's unit or a lift, above −1.

    Returns:
        The comparison at this look. p ≤ α exactly when the interval on the null value's scale excludes it.

    Raises:
        ValueError: An argument is out of range, or an arm had probability 0 in a period.

    Source:
        Waudby-Smith et al. 2024, Annals of Statistics 52, 2613–2640 (Lyapunov-type sequences); Liang and
        Bojinov 2023, An experimental design for anytime-valid causal inference on multi-armed bandits, arXiv
        2311.05794.

    Example:
        >>> even = {"a": 0.5, "b": 0.5}
        >>> arms = {"a": Moments.scalar(500, 10.0, 4.0), "b": Moments.scalar(500, 11.0, 4.0)}
        >>> look = adaptive_confidence_sequence(
        ...     [AllocationPeriod(arms, even)],
        ...     treatment="b",
        ...     control="a",
        ...     prior_mean=10.0,
        ...     tuning_units=1000,
        ...     tuning_variance=16.0,
        ... )
        >>> round(look.difference.interval.lower, 3), look.test.rejected
        (0.604, True)
    """
    tail_alpha(check_alpha(alpha), alternative)
    check_null(null, scale)
    _check_tuning(tuning_units, tuning_variance, burn_in)
    optimum = optimal_mixture_ratio(alpha if tuning_alpha is None else tuning_alpha, alternative)
    method = Method(
        "adaptive_confidence_sequence",
        1,
        (
            ("alpha", alpha),
            ("alternative", alternative),
            ("null", null),
            ("scale", scale),
            ("tuning_units", tuning_units),
            ("tuning_variance", tuning_variance),
            ("tuning_alpha", alpha if tuning_alpha is None else tuning_alpha),
            ("prior_mean", prior_mean),
            ("burn_in", burn_in),
        ),
    )
    estimate = inverse_weighted_difference(
        periods, treatment=treatment, control=control, prior_mean=prior_mean, column=column
    )
    if isinstance(estimate, NoEstimate):
        return unanswered(
            estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale
        )
    ratio = None
    if min(estimate.treatment.n, estimate.control.n) >= burn_in:
        units = sum(moments.n for period in periods for moments in period.arms.values())
        summed = units * (units * estimate.variance)
        ratio = optimum * (summed / tuning_units / tuning_variance)
    return conclude_mixture(
        estimate, method=method, alpha=alpha, alternative=alternative, null=null, scale=scale, ratio=ratio
    )


def _scores(
    period: AllocationPeriod, treatment: str, control: str, guesses: tuple[float, ...], column: str | None
) -> list[Moments]:
    """Moments of the pair of scores: of the treatment's units, the control's, and all others'."""
    blocks = []
    others = sum(moments.n for arm, moments in period.arms.items() if arm not in (treatment, control))
    for position, arm in enumerate((treatment, control)):
        moments = period.arms.get(arm)
        if moments is None or moments.n == 0:
            continue
        index, probability = moments.index(column), period.probabilities[arm]
        mean, squares = list(guesses), [[0.0, 0.0], [0.0, 0.0]]
        mean[position] += (moments.mean[index] - guesses[position]) / probability
        squares[position][position] = moments.comoments[index][index] / probability / probability
        blocks.append(Moments(moments.n, _SCORES, (mean[0], mean[1]), (tuple(squares[0]), tuple(squares[1]))))
    if others:
        blocks.append(Moments(others, _SCORES, (guesses[0], guesses[1]), ((0.0, 0.0), (0.0, 0.0))))
    return blocks


def _with(seen: tuple[int, float], arm: Moments | None, column: str | None) -> tuple[int, float]:
    """Units and mean of an arm after one more period."""
    if arm is None or arm.n == 0:
        return seen
    n, mean = seen
    return n + arm.n, mean + (arm.mean[arm.index(column)] - mean) * arm.n / (n + arm.n)


def _small_probability(
    periods: Sequence[AllocationPeriod], treatment: str, control: str
) -> tuple[Notice, ...]:
    smallest = min(period.probabilities[arm] for period in periods for arm in (treatment, control))
    if smallest >= _SMALLEST_PROBABILITY - _ROUNDING:
        return ()
    return (notice("small_probability", probability=smallest, floor=_SMALLEST_PROBABILITY),)


def _check_tuning(tuning_units: float, tuning_variance: float, burn_in: int) -> None:
    for name, value in (("tuning_units", tuning_units), ("tuning_variance", tuning_variance)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value!r}; it must be a positive number, fixed in advance.")
    if burn_in < 0:
        raise ValueError(f"burn_in is {burn_in!r}; it must be 0 or more units an arm, for example 100.")
