"""Bounds: from an error rate and the looks' information fractions to critical values.

All of this concerns the upper side: an error rate here is that of one side, and the lower bound of a
two-sided test mirrors the upper one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equipoise_stats.inference.group_sequential.recursion import (
    Grid,
    Stage,
    grid_towards,
    solve_exit,
)
from equipoise_stats.inference.group_sequential.spending import Spending

_UNSPENDABLE = math.log(3e-22)
"""Log share of an error rate too small to spend at a look: at α = 0.05 two-sided, a bound beyond 10."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Looks passed so far, as the next one needs them.

    Attributes:
        stage: The last look that could stop; None before the first.
        log_spent: Natural logarithm of the error rate spent on one side; −∞ before the first.
    """

    stage: Stage | None = None
    log_spent: float = -math.inf

    def pass_look(
        self, grid: Grid | None, time: float, critical: float, log_spent: float, mirrored: bool
    ) -> "Walk":
        """The walk after a look; one with an infinite critical value stops nothing and leaves it as it was.

        Args:
            grid: What `grid_towards(self.stage, time)` gave.
            time: The look's information fraction.
            critical: Its critical value.
            log_spent: Natural logarithm of the error rate spent on one side by now.
            mirrored: Whether there is a lower bound that mirrors the upper one.
        """
        if math.isinf(critical):
            return self
        bound = critical * math.sqrt(time)
        return Walk(Stage(time, -bound if mirrored else -math.inf, bound, grid), log_spent)


def spending_critical(
    walk: Walk, grid: Grid | None, time: float, log_target: float, *, least: float = -math.inf
) -> float:
    """The critical value at which a look spends what is left of a target.

    Args:
        walk: The looks before.
        grid: What `grid_towards(walk.stage, time)` gave.
        time: The look's information fraction.
        log_target: Natural logarithm of the error rate that may be spent by now.
        least: Natural logarithm of the least increment that is spent.

    Returns:
        The critical value; infinite when the increment is below the least, to be carried forward.
    """
    if log_target <= walk.log_spent:
        return math.inf
    log_increment = log_target + math.log(-math.expm1(walk.log_spent - log_target))
    if log_increment < least:
        return math.inf
    return solve_exit(grid, time, log_increment) / math.sqrt(time)


def least_increment(log_tail: float) -> float:
    """Natural logarithm of the least increment that is spent, for an error rate of one side."""
    return log_tail + _UNSPENDABLE


def last_critical(
    spending: Spending,
    log_tail: float,
    times: Sequence[float],
    spending_times: Sequence[float],
    mirrored: bool,
) -> float:
    """The last look's critical value if the error rate had been another one from the start.

    Args:
        spending: The spending function.
        log_tail: Natural logarithm of that error rate on one side.
        times: Information fractions of all looks.
        spending_times: The fractions at which the spending function was read.
        mirrored: Whether there is a lower bound that mirrors the upper one.

    Returns:
        The critical value, infinite when nothing was left to spend; an increment that is too small to be
        spent in earnest is spent here.
    """
    walk, least = Walk(), least_increment(log_tail)
    for time, spending_time in zip(times[:-1], spending_times[:-1], strict=True):
        grid, target = grid_towards(walk.stage, time), spending.log_spent(spending_time, log_tail)
        critical = spending_critical(walk, grid, time, target, least=least)
        walk = walk.pass_look(grid, time, critical, target, mirrored)
    grid = grid_towards(walk.stage, times[-1])
    return spending_critical(walk, grid, times[-1], spending.log_spent(spending_times[-1], log_tail))
