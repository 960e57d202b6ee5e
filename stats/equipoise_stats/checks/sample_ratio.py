"""Sample ratio: did each arm get its planned share of the units?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from equipoise_stats.distributions import (
    binomial_log_upper_tail,
    chi_square_log_upper_tail,
    p_value_from_log,
)
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.results import CheckStatus, Serialisable

_SMALLEST_EXPECTED = 5.0


class SampleRatioFinding(StrEnum):
    """What the check found where it is not `ok`."""

    LEAK = "leak"
    MISMATCH = "mismatch"
    NO_UNITS = "no_units"


@dataclass(frozen=True, slots=True)
class ArmShare(Serialisable):
    """One arm of the check.

    Attributes:
        arm: Name of the arm.
        units: Units observed.
        expected_units: Units expected from the planned share.
        expected_share: Planned share, between 0 and 1.
        share: Observed share, None when there are no units at all.
    """

    arm: str
    units: int
    expected_units: float
    expected_share: float
    share: float | None


@dataclass(frozen=True, slots=True)
class SampleRatio(Serialisable):
    """The outcome of the check.

    Attributes:
        status: `ok`, `failed` or, without units, `unavailable`.
        finding: What is wrong: a `leak` into an arm with planned share 0 (or an arm that was not planned), a
            `mismatch` of shares, or `no_units`; None when the status is `ok`.
        reason: A sentence for a person, None when the status is `ok`.
        method: `chi_square`, or `exact_binomial` when a planned arm expects fewer than five units.
        alpha: Level of the check.
        statistic: Pearson's chi-square over the arms with a positive share; None for the exact method.
        df: Its degrees of freedom; None for the exact method.
        p_value: Its p-value, None where there is none: no units, or one arm only.
        log_p_value: The natural logarithm of it.
        arms: Every arm.
    """

    status: CheckStatus
    finding: SampleRatioFinding | None
    reason: str | None
    method: str
    alpha: float
    statistic: float | None
    df: int | None
    p_value: float | None
    log_p_value: float | None
    arms: tuple[ArmShare, ...]


def sample_ratio(
    units: Mapping[str, int], shares: Mapping[str, float], *, alpha: float = 0.001
) -> SampleRatio:
    """Checks the units that each arm got against the planned shares (chi-square test of goodness of fit).

    Where a planned arm expects fewer than five units the chi-square distribution is no guide; then each arm
    is tested by its exact binomial distribution and the smallest p-value is multiplied by the number of arms.

    Args:
        units: Units observed, by arm.
        shares: Planned shares by arm, in any unit (fractions, percent, basis points); 0 is allowed.
        alpha: Level; small, because the check runs on every experiment.

    Returns:
        The outcome; a unit in an arm of share 0, or in an arm that was not planned, fails as a `leak`.

    Raises:
        ValueError: A count or share is negative or not finite, or no share is positive.

    Source:
        Pearson 1900; Fabijan et al. 2019, Diagnosing Sample Ratio Mismatch (KDD).

    Example:
        >>> check = sample_ratio({"control": 821588, "treatment": 815482}, {"control": 1, "treatment": 1})
        >>> check.status.value, check.finding.value, f"{check.p_value:.3g}"
        ('failed', 'mismatch', '1.82e-06')
    """
    check_alpha(alpha)
    arms = arm_shares(units, shares)
    planned = [arm for arm in arms if arm.expected_share > 0]
    total = sum(arm.units for arm in planned)
    leaked = [arm for arm in arms if arm.expected_share == 0 and arm.units > 0]
    exact = min(arm.expected_share for arm in planned) * total < _SMALLEST_EXPECTED
    chi_square = None if exact or len(planned) < 2 else _chi_square(planned)
    log_p: float | None = None
    if total > 0 and len(planned) > 1:
        log_p = (
            _exact_log_p(planned, total)
            if chi_square is None
            else chi_square_log_upper_tail(chi_square, len(planned) - 1)
        )
    status, finding, reason = _verdict(leaked, total, log_p, alpha)
    return SampleRatio(
        status=status,
        finding=finding,
        reason=reason,
        method="exact_binomial" if exact else "chi_square",
        alpha=alpha,
        statistic=chi_square,
        df=None if chi_square is None else len(planned) - 1,
        p_value=None if log_p is None else p_value_from_log(log_p),
        log_p_value=log_p,
        arms=arms,
    )


def _verdict(
    leaked: list[ArmShare], total: int, log_p: float | None, alpha: float
) -> tuple[CheckStatus, SampleRatioFinding | None, str | None]:
    if leaked:
        who = ", ".join(f"{arm.units} units in {arm.arm!r}" for arm in leaked)
        reason = f"There are {who}, whose planned share is 0: assignment or exposure logging is wrong."
        return CheckStatus.FAILED, SampleRatioFinding.LEAK, reason
    if total == 0:
        return CheckStatus.UNAVAILABLE, SampleRatioFinding.NO_UNITS, "No unit has been exposed yet."
    if log_p is not None and log_p < math.log(alpha):
        reason = "The arms did not get their planned shares of the units: results cannot be trusted."
        return CheckStatus.FAILED, SampleRatioFinding.MISMATCH, reason
    return CheckStatus.OK, None, None


def arm_shares(units: Mapping[str, int], shares: Mapping[str, float]) -> tuple[ArmShare, ...]:
    """Sets observed units beside planned shares, planned arms first.

    Args:
        units: Units observed, by arm; arms that were not planned count as planned with share 0.
        shares: Planned shares by arm, in any unit.

    Raises:
        ValueError: A count or share is negative or not finite, or no share is positive.

    Example:
        >>> [arm.expected_units for arm in arm_shares({"a": 60, "b": 40}, {"a": 3, "b": 1})]
        [75.0, 25.0]
    """
    for arm, count in units.items():
        if count < 0:
            raise ValueError(f"Arm {arm!r} has {count} units; a count cannot be negative.")
    for arm, share in shares.items():
        if not (math.isfinite(share) and share >= 0):
            raise ValueError(f"The share of arm {arm!r} is {share!r}; it must be a finite number, 0 or more.")
    whole = math.fsum(shares.values())
    if whole <= 0:
        raise ValueError("No arm has a positive share.")
    total = sum(units.get(arm, 0) for arm, share in shares.items() if share > 0)
    everyone = sum(units.values())
    names = [*shares, *(arm for arm in units if arm not in shares)]
    return tuple(
        ArmShare(
            arm=arm,
            units=units.get(arm, 0),
            expected_units=total * (shares.get(arm, 0.0) / whole),
            expected_share=shares.get(arm, 0.0) / whole,
            share=units.get(arm, 0) / everyone if everyone else None,
        )
        for arm in names
    )


def _chi_square(planned: list[ArmShare]) -> float:
    return math.fsum((arm.units - arm.expected_units) ** 2 / arm.expected_units for arm in planned)


def _exact_log_p(planned: list[ArmShare], total: int) -> float:
    """Bonferroni over the arms of exact two-sided binomial p-values (twice the smaller tail)."""
    smallest = min(_binomial_log_tail(arm, total) for arm in planned)
    return min(0.0, smallest + math.log(2 * len(planned)))


def _binomial_log_tail(arm: ArmShare, total: int) -> float:
    above = binomial_log_upper_tail(arm.units, total, arm.expected_share)
    below = binomial_log_upper_tail(total - arm.units, total, 1 - arm.expected_share)
    return min(above, below)
