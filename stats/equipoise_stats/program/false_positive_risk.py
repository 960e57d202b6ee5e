"""False-positive risk: how often a significant win is none."""

from equipoise_stats.inference.comparison import Alternative
from equipoise_stats.inference.settings import check_alpha, tail_alpha


def false_positive_risk(
    success_rate: float, *, power: float = 0.8, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> float:
    """The probability that a significant improvement is a false positive.

    Args:
        success_rate: Share π of experiments whose change truly helps, between 0 and 1: past experience, see
            `success_rate_from_wins`.
        power: Power 1 − β of the experiments, between the level and 1.
        alpha: Level of the test.
        alternative: Two-sided, only the half of α on the winning side makes false wins.

    Returns:
        (α/2)(1 − π) / ((α/2)(1 − π) + (1 − β) π), with α in place of α/2 for a one-sided test.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Kohavi, Deng and Vermeer 2022, A/B Testing Intuition Busters, KDD, section 3; Wacholder et al. 2004.

    Example:
        >>> [round(false_positive_risk(rate), 3) for rate in (1 / 3, 0.2, 0.15, 0.1, 0.08)]
        [0.059, 0.111, 0.15, 0.22, 0.264]
    """
    tail = tail_alpha(check_alpha(alpha), alternative)
    if not 0 <= success_rate <= 1:
        raise ValueError(f"success_rate is {success_rate!r}; it must lie between 0 and 1.")
    _check_power(power, tail)
    false = tail * (1 - success_rate)
    return false / (false + power * success_rate)


def success_rate_from_wins(
    win_rate: float, *, power: float = 0.8, alpha: float = 0.05, alternative: Alternative = "two-sided"
) -> float:
    """The share of changes that truly help, from the share of experiments that won.

    Args:
        win_rate: Share of past experiments with a significant improvement.
        power: Power of the experiments.
        alpha: Level of the test.
        alternative: Two-sided, false wins have probability α/2.

    Returns:
        π at which (α/2)(1 − π) + (1 − β) π is the win rate; 0 or 1 for a win rate beyond what any π gives.

    Raises:
        ValueError: An argument is out of range.

    Source:
        Kohavi and Chen 2024, False Positives in A/B Tests, KDD.

    Example:
        >>> round(success_rate_from_wins(0.12), 4)
        0.1226
    """
    tail = tail_alpha(check_alpha(alpha), alternative)
    if not 0 <= win_rate <= 1:
        raise ValueError(f"win_rate is {win_rate!r}; it must lie between 0 and 1.")
    _check_power(power, tail)
    return min(1.0, max(0.0, (win_rate - tail) / (power - tail)))


def _check_power(power: float, tail: float) -> None:
    if not tail < power <= 1:
        raise ValueError(f"power is {power!r}; it must lie between the level {tail:g} and 1.")
