"""Sample ratio at any time: the check that may run after every unit and still has one level."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equipoise_stats.checks.sample_ratio import ArmShare, SampleRatioFinding, arm_shares
from equipoise_stats.distributions import p_value_from_log
from equipoise_stats.inference.settings import check_alpha
from equipoise_stats.multinomial import dirichlet_multinomial_log_e
from equipoise_stats.results import CheckStatus, Serialisable


@dataclass(frozen=True, slots=True)
class AllocationEpoch:
    """A stretch of time in which the planned shares did not change.

    Attributes:
        units: Units that were first exposed in it, by arm.
        shares: Planned shares by arm, in any unit (fractions, percent, basis points); 0 is allowed.
    """

    units: Mapping[str, int]
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SequentialSampleRatio(Serialisable):
    """The outcome of the check.

    Attributes:
        status: `ok`, `failed` or, without units, `unavailable`.
        finding: What is wrong: a `leak` into an arm with planned share 0 (or an arm that was not planned), a
            `mismatch` of shares, or `no_units`; None when the status is `ok`.
        reason: A sentence for a person, None when the status is `ok`.
        alpha: Level over all looks.
        concentration: Weight of the mixture, in units.
        log_e_value: Natural logarithm of the e-value of all epochs, over the arms with a positive share.
        p_value: The running always-valid p-value, the smallest of this look and the earlier ones; None
            without units.
        log_p_value: The natural logarithm of it: pass it to the next look.
        epochs: The arms of each epoch.
    """

    status: CheckStatus
    finding: SampleRatioFinding | None
    reason: str | None
    alpha: float
    concentration: float
    log_e_value: float
    p_value: float | None
    log_p_value: float | None
    epochs: tuple[tuple[ArmShare, ...], ...]


def sequential_sample_ratio(
    epochs: Sequence[AllocationEpoch],
    *,
    alpha: float = 0.001,
    concentration: float = 1000.0,
    earlier_log_p_value: float | None = None,
) -> SequentialSampleRatio:
    """Checks the units that each arm got against the planned shares, at as many looks as one likes.

    The e-value of an epoch is the likelihood ratio of a Dirichlet mixture around its planned shares; those of
    several epochs multiply, so a change of the allocation neither hides a mismatch nor makes one.

    Args:
        epochs: Every epoch so far, in order; the last one goes on.
        alpha: Level over all looks; small, because the check runs on every experiment.
        concentration: Weight k of the mixture in units, fixed before the data came. Small values find large
            mismatches early, large ones small mismatches; 1000 finds one of 1 percentage point in 50/50 after
            some 45,000 units.
        earlier_log_p_value: `log_p_value` of the look before, where the p-value shall never rise again.

    Returns:
        The outcome; a unit in an arm of share 0, or in an arm that was not planned, fails as a `leak` at
        once.

    Raises:
        ValueError: There is no epoch, a count or share is negative or not finite, no share of an epoch is
            positive, or another argument is out of range.

    Source:
        Lindon and Malek 2022, Anytime-valid inference for multinomial count data, NeurIPS 35.

    Example:
        >>> even = {"control": 1, "treatment": 1}
        >>> check = sequential_sample_ratio(
        ...     [AllocationEpoch({"control": 821588, "treatment": 815482}, even)]
        ... )
        >>> check.status.value, check.finding.value, f"{check.p_value:.3g}"
        ('failed', 'mismatch', '0.000462')
    """
    check_alpha(alpha)
    if not epochs:
        raise ValueError("There is no epoch; give the units and shares of one or more.")
    if not 1 <= concentration <= 1e9:
        raise ValueError(
            f"concentration is {concentration!r}; it must lie between 1 and 1e9 units, for example 1000."
        )
    if earlier_log_p_value is not None and not earlier_log_p_value <= 0:
        raise ValueError(f"earlier_log_p_value is {earlier_log_p_value!r}; a log p-value is 0 or less.")
    arms = tuple(arm_shares(epoch.units, epoch.shares) for epoch in epochs)
    log_e = math.fsum(_log_e(epoch, concentration) for epoch in arms)
    log_p: float | None = None
    if earlier_log_p_value is not None or any(arm.units for epoch in arms for arm in epoch):
        log_p = min(0.0, -log_e, 0.0 if earlier_log_p_value is None else earlier_log_p_value)
    status, finding, reason = _verdict(arms, log_p, alpha)
    return SequentialSampleRatio(
        status=status,
        finding=finding,
        reason=reason,
        alpha=alpha,
        concentration=concentration,
        log_e_value=log_e,
        p_value=None if log_p is None else p_value_from_log(log_p),
        log_p_value=log_p,
        epochs=arms,
    )


def _log_e(arms: tuple[ArmShare, ...], concentration: float) -> float:
    planned = [arm for arm in arms if arm.expected_share > 0]
    shares = [arm.expected_share for arm in planned]
    return float(
        dirichlet_multinomial_log_e(
            [arm.units for arm in planned],
            null=shares,
            prior=[concentration * share for share in shares],
        )
    )


def _verdict(
    epochs: tuple[tuple[ArmShare, ...], ...], log_p: float | None, alpha: float
) -> tuple[CheckStatus, SampleRatioFinding | None, str | None]:
    leaked = [arm for arms in epochs for arm in arms if arm.expected_share == 0 and arm.units > 0]
    if leaked:
        who = ", ".join(f"{arm.units} units in {arm.arm!r}" for arm in leaked)
        reason = f"There are {who}, whose planned share was 0: assignment or exposure logging is wrong."
        return CheckStatus.FAILED, SampleRatioFinding.LEAK, reason
    if log_p is None:
        return CheckStatus.UNAVAILABLE, SampleRatioFinding.NO_UNITS, "No unit has been exposed yet."
    if log_p <= math.log(alpha):
        reason = "The arms did not get their planned shares of the units: results cannot be trusted."
        return CheckStatus.FAILED, SampleRatioFinding.MISMATCH, reason
    return CheckStatus.OK, None, None
