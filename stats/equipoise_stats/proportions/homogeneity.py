"""Pearson's chi-square test that several arms have one proportion."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from equipoise_stats.counts import Counts
from equipoise_stats.distributions import chi_square_log_upper_tail, p_value_from_log
from equipoise_stats.results import Serialisable, Status


@dataclass(frozen=True, slots=True)
class Homogeneity(Serialisable):
    """The test that all arms have the same proportion.

    Attributes:
        status: `ok`, or why there is no test.
        reason: A sentence for a person, None when the status is `ok`.
        statistic: Pearson's chi-square, without a continuity correction.
        df: Degrees of freedom, the number of arms − 1.
        p_value: The p-value, never below the smallest normal double.
        log_p_value: Its natural logarithm.
    """

    status: Status
    reason: str | None = None
    statistic: float | None = None
    df: int | None = None
    p_value: float | None = None
    log_p_value: float | None = None


def proportion_homogeneity(arms: Mapping[str, Counts]) -> Homogeneity:
    """Tests whether two or more arms have one proportion. For two arms it is `score_test`'s test.

    Args:
        arms: Counts of each arm by its name.

    Returns:
        The test; `too_few_units` where an arm is empty, `no_variance` where all units succeeded, or none.

    Raises:
        ValueError: There are fewer than two arms.

    Source:
        Pearson 1900.

    Example:
        >>> smokers = {"a": Counts(86, 83), "b": Counts(93, 90), "c": Counts(136, 129), "d": Counts(82, 70)}
        >>> round(proportion_homogeneity(smokers).statistic, 5)
        12.60041
    """
    if len(arms) < 2:
        raise ValueError(f"There are {len(arms)} arms; a comparison needs at least two.")
    empty = [name for name, arm in arms.items() if arm.n == 0]
    if empty:
        return Homogeneity(Status.TOO_FEW_UNITS, f"There are no units in {', '.join(empty)}.")
    units = sum(arm.n for arm in arms.values())
    successes = sum(arm.successes for arm in arms.values())
    if successes in (0, units):
        return Homogeneity(
            Status.NO_VARIANCE, f"{successes} of {units} units succeeded: no arm differs from another."
        )
    pooled = successes / units
    statistic = math.fsum(arm.n * (arm.successes / arm.n - pooled) ** 2 for arm in arms.values()) / (
        pooled * (1 - pooled)
    )
    df = len(arms) - 1
    log_p = chi_square_log_upper_tail(statistic, df)
    return Homogeneity(Status.OK, None, statistic, df, p_value_from_log(log_p), log_p)
