"""Non-inferiority, superiority by a margin and equivalence: absolute and relative margins, any inference.

A margin is a null value other than 0. On the scale of lifts the test is the exact linear form
m_t − (1 + margin) m_c, so that the uncertainty of the control counts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from equipoise_stats.inference.compare import Compare
from equipoise_stats.inference.comparison import Comparison, Effect, HypothesisTest, Interval, Scale
from equipoise_stats.results import Serialisable

Better = Literal["higher", "lower"]
"""Whether higher or lower values of the metric are better."""


class MarginOutcome(StrEnum):
    """What a comparison with a margin found."""

    SHOWN = "shown"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class MarginFinding(Serialisable):
    """The answer to a question about a margin.

    Attributes:
        question: `non_inferiority`, `superiority` or `equivalence`.
        outcome: `shown`; `refuted` (the effect is shown to lie on the other side of the margin);
            `inconclusive`; `unavailable` (no test, see the reasons of the tests).
        scale: Scale of the margins.
        alpha: Level of each one-sided test.
        p_value: The p-value of what is to be shown (for equivalence the larger of two); None without a test.
        log_p_value: Its natural logarithm.
        effect: The effect on that scale with both one-sided bounds: an interval that covers 1 − 2 alpha. The
            claim is shown exactly when it lies wholly beyond, or between, the margins.
        tests: The tests of the claim: one, or two for equivalence.
    """

    question: str
    outcome: MarginOutcome
    scale: Scale
    alpha: float
    p_value: float | None
    log_p_value: float | None
    effect: Effect
    tests: tuple[HypothesisTest, ...]


def non_inferiority(
    compare: Compare,
    *,
    margin: float,
    better: Better = "higher",
    scale: Scale = "difference",
    alpha: float = 0.05,
) -> MarginFinding:
    """Tests whether the treatment is worse than the control by less than a margin.

    The null hypothesis is that it is worse by the margin or more; the test is one-sided at level alpha.

    Args:
        compare: An inference with its data bound, for example `partial(fixed_horizon, estimate)`.
        margin: The largest loss that is acceptable, positive: in the metric's unit, or as a fraction of the
            control's value on the scale of lifts. Fixed before the data come.
        better: Whether higher or lower values are better.
        scale: The margin's scale.
        alpha: Level of the one-sided test.

    Returns:
        The finding. `refuted` means that the loss is shown to exceed the margin.

    Raises:
        ValueError: The margin is not positive and finite, a relative one for a metric of which more is better
            is 1 or more, or another argument is out of range.

    Source:
        Blackwelder 1982, Control. Clin. Trials 3, 345–353; for proportions with `score_test`, Farrington and
        Manning 1990, Stat. Med. 9, 1447–1454.

    Example:
        >>> from functools import partial
        >>> from equipoise_stats import Moments, fixed_horizon, mean_difference
        >>> latency = mean_difference(
        ...     treatment=Moments.scalar(5000, 201.0, 900.0), control=Moments.scalar(5000, 200.0, 900.0)
        ... )
        >>> finding = non_inferiority(
        ...     partial(fixed_horizon, latency), margin=0.02, scale="lift", better="lower"
        ... )
        >>> finding.outcome.value, round(finding.effect.interval.upper, 4)
        ('shown', 0.01)
    """
    up = _up(better)
    _check_margin(margin)
    return _beyond("non_inferiority", compare, -margin if up else margin, up, scale, alpha)


def superiority(
    compare: Compare,
    *,
    margin: float,
    better: Better = "higher",
    scale: Scale = "difference",
    alpha: float = 0.05,
) -> MarginFinding:
    """Tests whether the treatment is better than the control by more than a margin.

    Args:
        compare: An inference with its data bound, for example `partial(fixed_horizon, estimate)`.
        margin: The smallest gain that counts, positive: in the metric's unit, or as a fraction of the
            control's value on the scale of lifts.
        better: Whether higher or lower values are better.
        scale: The margin's scale.
        alpha: Level of the one-sided test.

    Returns:
        The finding. `refuted` means that the gain is shown to be smaller than the margin.

    Raises:
        ValueError: The margin is not positive and finite, a relative one for a metric of which less is better
            is 1 or more, or another argument is out of range.

    Example:
        >>> from functools import partial
        >>> from equipoise_stats import Counts, score_test
        >>> arms = {"treatment": Counts(10_000, 1_200), "control": Counts(10_000, 1_000)}
        >>> superiority(partial(score_test, **arms), margin=0.01).outcome.value
        'shown'
    """
    up = _up(better)
    _check_margin(margin)
    return _beyond("superiority", compare, margin if up else -margin, up, scale, alpha)


def equivalence(
    compare: Compare, *, lower: float, upper: float, scale: Scale = "difference", alpha: float = 0.05
) -> MarginFinding:
    """Tests whether the effect lies between two margins (TOST, two one-sided tests).

    Both tests run at level alpha without correction, as both must reject.

    Args:
        compare: An inference with its data bound, for example `partial(fixed_horizon, estimate)`.
        lower: Lower margin, negative.
        upper: Upper margin, positive.
        scale: The margins' scale.
        alpha: Level of each one-sided test.

    Returns:
        The finding. `refuted` means that the effect is shown to lie beyond one of the margins.

    Raises:
        ValueError: 0 does not lie between the margins, they are not finite, or another argument is out of
            range.

    Source:
        Schuirmann 1987, J. Pharmacokinet. Biopharm. 15, 657–680; Lakens 2017, Soc. Psychol. Personal. Sci. 8,
        355–362.

    Example:
        >>> from functools import partial
        >>> from equipoise_stats import ArmEstimate, Estimate, fixed_horizon
        >>> effect = Estimate("mean", ArmEstimate(400, 10.1, 0.005), ArmEstimate(400, 10.0, 0.005))
        >>> finding = equivalence(partial(fixed_horizon, effect), lower=-0.5, upper=0.5)
        >>> finding.outcome.value, f"{finding.p_value:.2g}"
        ('shown', '3.2e-05')
    """
    if not (math.isfinite(lower) and math.isfinite(upper) and lower < 0 < upper):
        raise ValueError(f"The margins are {lower!r} and {upper!r}; they must be finite and lie around 0.")
    above_lower = compare(alpha=alpha, alternative="greater", null=lower, scale=scale)
    below_upper = compare(alpha=alpha, alternative="less", null=upper, scale=scale)
    below_lower = compare(alpha=alpha, alternative="less", null=lower, scale=scale)
    above_upper = compare(alpha=alpha, alternative="greater", null=upper, scale=scale)
    return _finding(
        "equivalence",
        scale,
        alpha,
        claim=(above_lower, below_upper),
        outside=(below_lower, above_upper),
        bounds=(above_lower, below_upper),
    )


def _beyond(
    question: str, compare: Compare, null: float, up: bool, scale: Scale, alpha: float
) -> MarginFinding:
    above = compare(alpha=alpha, alternative="greater", null=null, scale=scale)
    below = compare(alpha=alpha, alternative="less", null=null, scale=scale)
    return _finding(
        question,
        scale,
        alpha,
        claim=(above if up else below,),
        outside=(below if up else above,),
        bounds=(above, below),
    )


def _finding(
    question: str,
    scale: Scale,
    alpha: float,
    *,
    claim: tuple[Comparison, ...],
    outside: tuple[Comparison, ...],
    bounds: tuple[Comparison, Comparison],
) -> MarginFinding:
    tests = tuple(comparison.test for comparison in claim)
    if any(test.rejected is None for test in tests):
        outcome = MarginOutcome.UNAVAILABLE
    elif all(test.rejected for test in tests):
        outcome = MarginOutcome.SHOWN
    elif any(comparison.test.rejected for comparison in outside):
        outcome = MarginOutcome.REFUTED
    else:
        outcome = MarginOutcome.INCONCLUSIVE
    return MarginFinding(
        question,
        outcome,
        scale,
        alpha,
        _largest([test.p_value for test in tests]),
        _largest([test.log_p_value for test in tests]),
        _between_bounds(bounds, lambda one: one.difference if scale == "difference" else one.lift),
        tests,
    )


def _largest(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _between_bounds(bounds: tuple[Comparison, Comparison], side: Callable[[Comparison], Effect]) -> Effect:
    """The effect with the lower bound of one comparison and the upper one of the other."""
    above, below = side(bounds[0]), side(bounds[1])
    if above.interval is None:
        return above
    upper = below.interval.upper if below.interval is not None else math.inf
    return Effect(
        above.status,
        above.reason,
        above.estimate,
        above.standard_error,
        Interval(above.interval.lower, upper),
    )


def _up(better: Better) -> bool:
    if better not in get_args(Better):
        raise ValueError(f"better is {better!r}; it must be one of {', '.join(get_args(Better))}.")
    return better == "higher"


def _check_margin(margin: float) -> None:
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(
            f"The margin is {margin!r}; give its size, a positive number (`better` gives its direction)."
        )
