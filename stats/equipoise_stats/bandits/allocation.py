"""Shares of the next units: Thompson sampling and top-two, with a floor."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from equipoise_stats.bandits.best_arm import ArmBelief, best_arm_log_probabilities
from equipoise_stats.results import Serialisable


@dataclass(frozen=True, slots=True)
class ArmAllocation(Serialisable):
    """One arm of an allocation.

    Attributes:
        arm: Name of the arm.
        best: Probability that it is the best.
        weight: Share of the next units that it gets.
    """

    arm: str
    best: float
    weight: float


@dataclass(frozen=True, slots=True)
class BanditAllocation(Serialisable):
    """Shares of the next units.

    Attributes:
        method: `thompson` or `top_two`.
        floor: The smallest share of an arm.
        leader_share: How often top-two plays its first choice; None for Thompson sampling.
        arms: Every arm, in the order given; their weights sum to 1.
    """

    method: str
    floor: float
    leader_share: float | None
    arms: tuple[ArmAllocation, ...]


def thompson_allocation(beliefs: Mapping[str, ArmBelief], *, floor: float = 0.05) -> BanditAllocation:
    """Gives each arm the share of units that is the probability of its being the best.

    Args:
        beliefs: Independent beliefs by arm, two or more; the largest mean is the best.
        floor: Share that every arm keeps; the rest is shared out. Inference afterwards divides by these
            shares, so that 0.05 is a sensible smallest one.

    Raises:
        ValueError: There are fewer than two arms, or the floor is negative or too large for them.

    Source:
        Thompson 1933, Biometrika 25, 285–294.

    Example:
        >>> allocation = thompson_allocation({"a": ArmBelief(0.0, 3.0), "b": ArmBelief(5.0, 4.0)}, floor=0.1)
        >>> [round(arm.weight, 4) for arm in allocation.arms]
        [0.2269, 0.7731]
    """
    log_best = best_arm_log_probabilities(beliefs)
    return _allocation("thompson", beliefs, floor, None, log_best, np.exp(log_best))


def top_two_allocation(
    beliefs: Mapping[str, ArmBelief], *, floor: float = 0.05, leader_share: float = 0.5
) -> BanditAllocation:
    """Shares of top-two Thompson sampling, which finds the best arm sooner than Thompson sampling.

    Each unit draws a first choice as in Thompson sampling, gets it with probability β, and otherwise the best
    of a draw that has another arm first: the shares are β P_j + (1 − β) Σ_{i≠j} P_i P_j / (1 − P_i).

    Args:
        beliefs: Independent beliefs by arm, two or more; the largest mean is the best.
        floor: Share that every arm keeps.
        leader_share: β, between 0 and 1.

    Raises:
        ValueError: There are fewer than two arms, the floor is negative or too large for them, or the
        leader's
            share is out of range.

    Source:
        Russo 2020, Simple Bayesian algorithms for best-arm identification, Operations Research 68, 1625–1647.

    Example:
        >>> sure = {"a": ArmBelief(9.0, 0.1), "b": ArmBelief(5.0, 0.1), "c": ArmBelief(4.0, 0.1)}
        >>> [round(arm.weight, 4) for arm in top_two_allocation(sure, floor=0.0).arms]
        [0.5, 0.5, 0.0]
    """
    if not 0 <= leader_share <= 1:
        raise ValueError(f"leader_share is {leader_share!r}; it must lie between 0 and 1, for example 0.5.")
    log_best = best_arm_log_probabilities(beliefs)
    # 1 − P_i is the sum of the others: as a difference it would be 0 once a leader is all but certain.
    others = np.where(np.eye(log_best.size, dtype=bool), -np.inf, log_best)
    log_second = others - logsumexp(others, axis=1, keepdims=True)
    best = np.exp(log_best)
    shares = leader_share * best + (1 - leader_share) * best @ np.exp(log_second)
    return _allocation("top_two", beliefs, floor, leader_share, log_best, shares)


def _allocation(
    method: str,
    beliefs: Mapping[str, ArmBelief],
    floor: float,
    leader_share: float | None,
    log_best: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> BanditAllocation:
    if not 0 <= floor * len(beliefs) <= 1:
        raise ValueError(
            f"The floor is {floor!r}; {len(beliefs)} arms can keep between 0 and {1 / len(beliefs):.6g} each."
        )
    weights = floor + (1 - floor * len(beliefs)) * shares / shares.sum()
    return BanditAllocation(
        method,
        floor,
        leader_share,
        tuple(
            ArmAllocation(arm, best, weight)
            for arm, best, weight in zip(beliefs, np.exp(log_best).tolist(), weights.tolist(), strict=True)
        ),
    )
