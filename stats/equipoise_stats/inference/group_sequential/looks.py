"""The record of looks: what was looked at, what it spent, what it takes to reject.

The record holds everything that the next look needs, so that nothing about an earlier one is ever computed
again. It depends on the information only, never on the effect.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from equipoise_stats.inference.comparison import Alternative
from equipoise_stats.inference.group_sequential.bounds import Walk, least_increment, spending_critical
from equipoise_stats.inference.group_sequential.recursion import grid_towards
from equipoise_stats.inference.group_sequential.spending import Spending
from equipoise_stats.inference.settings import check_alpha, tail_alpha
from equipoise_stats.results import Serialisable

MOST_LOOKS = 1000
"""Looks of one analysis."""

O_BRIEN_FLEMING = Spending("obrien_fleming")
"""The spending function of choice: early looks cost the last one next to nothing."""

_LARGEST_FRACTION = 100.0
_LEAST_GAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Look(Serialisable):
    """One look.

    Attributes:
        fraction: Information at the look as a fraction of the planned one; above 1 in an over-run.
        spending_time: The fraction at which the spending function was read: `fraction`, or the part of the
            planned time that had passed where alpha is spent by the calendar; 1 from the planned end on and
            at a look that was declared the last.
        spent: The part of α spent by now, on both sides together.
        critical: Critical value of a normal statistic; infinite where the look cannot reject, and its part of
            α is carried forward.
    """

    fraction: float
    spending_time: float
    spent: float
    critical: float


@dataclass(frozen=True, slots=True)
class LookHistory(Serialisable):
    """The looks of an analysis so far; every one more makes a new history.

    A look's critical value follows from the information fractions alone, so looks need no schedule. Their
    timing must not depend on the effect seen. Two-sided, α/2 is spent on each side (the convention of
    gsDesign, rpact and ldbounds): each side's spending function gets α/2.

    Attributes:
        spending: The spending function.
        alpha: Level of the whole analysis.
        alternative: `two-sided`, `greater` or `less`.
        looks: The looks, in time.

    Raises:
        ValueError: alpha or alternative is out of range, or the looks are not a possible record.

    Source:
        Lan and DeMets 1983 (Biometrika 70, 659–663).

    Example:
        >>> history = LookHistory().next_look(0.31).next_look(0.52)
        >>> [round(look.critical, 4) for look in history.looks]
        [3.8595, 2.9006]
        >>> under_run = history.next_look(0.9, final=True)
        >>> round(under_run.current.critical, 4), under_run.current.spent
        (1.9682, 0.05)
        >>> LookHistory.from_dict(under_run.to_dict()) == under_run
        True
    """

    spending: Spending = O_BRIEN_FLEMING
    alpha: float = 0.05
    alternative: Alternative = "two-sided"
    looks: tuple[Look, ...] = ()

    def __post_init__(self) -> None:
        tail_alpha(check_alpha(self.alpha), self.alternative)
        if len(self.looks) > MOST_LOOKS:
            raise ValueError(f"There are {len(self.looks)} looks; there may be {MOST_LOOKS} at most.")
        earlier, spent = 0.0, 0.0
        for number, look in enumerate(self.looks, 1):
            _check_fraction(look.fraction, earlier, number)
            possible = 0 < look.spending_time <= 1 and look.critical > 0
            if not (possible and spent <= look.spent <= self.alpha * (1 + 1e-12)):
                raise ValueError(
                    f"Look {number} of the record is impossible: {look}. Spending times lie in (0, 1], "
                    f"critical values are positive, and what is spent grows up to alpha, {self.alpha!r}."
                )
            earlier, spent = look.fraction, look.spent

    @property
    def current(self) -> Look:
        """The last look.

        Raises:
            ValueError: There is none yet.
        """
        if not self.looks:
            raise ValueError("There is no look yet; take one with next_look(fraction).")
        return self.looks[-1]

    @property
    def two_sided(self) -> bool:
        """Whether there are bounds on both sides."""
        return self.alternative == "two-sided"

    @property
    def critical_values(self) -> tuple[float, ...]:
        """The critical value of each look."""
        return tuple(look.critical for look in self.looks)

    @property
    def fractions(self) -> tuple[float, ...]:
        """The information fraction of each look."""
        return tuple(look.fraction for look in self.looks)

    def next_look(
        self, fraction: float, *, final: bool = False, spending_time: float | None = None
    ) -> "LookHistory":
        """The history with one more look.

        Args:
            fraction: Information at the look as a fraction of the planned one: units of this comparison over
                the planned ones, or 1/se² over the planned 1/se². Above 1 after an over-run.
            final: Whether this is the last look though the planned information is not reached (an under-run):
                all that is left of α is spent. To be decided before looking.
            spending_time: Where to read the spending function, in (0, 1]: the part of the planned time that
                has passed, say. Of the fractions only the ratios matter then, so any scale does. None: at the
                fraction.

        Returns:
            A new history. When there is nothing to spend (too early, or all of α is gone) the new look's
            critical value is infinite.

        Raises:
            ValueError: The fraction is out of range or brings no new information (less than a millionth more
                than the look before), the spending time is out of range or before that of the look before, or
                there are 1000 looks already.

        Source:
            Lan and DeMets 1989 (Statistics in Medicine 8, 1191–1198), for spending by the calendar.
        """
        times = None if spending_time is None else (float(spending_time),)
        return _extended(self, (float(fraction),), final, times)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "LookHistory":
        """The history that `to_dict()` wrote.

        Raises:
            ValueError: The record is impossible.
            KeyError: A part is missing.
        """
        looks = tuple(
            Look(
                float(look["fraction"]),
                float(look["spending_time"]),
                float(look["spent"]),
                math.inf if look["critical"] is None else float(look["critical"]),
            )
            for look in record["looks"]
        )
        spending = Spending(record["spending"]["family"], record["spending"]["parameter"])
        return cls(spending, float(record["alpha"]), record["alternative"], looks)


def plan_looks(
    fractions: Sequence[float],
    *,
    spending: Spending = O_BRIEN_FLEMING,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    spending_times: Sequence[float] | None = None,
) -> LookHistory:
    """The history of looks that are taken as planned: the critical values of a whole design.

    Args:
        fractions: Information fractions, ascending.
        spending: The spending function.
        alpha: Level of the whole analysis; two-sided, α/2 is spent on each side.
        alternative: `two-sided`, `greater` or `less`.
        spending_times: Where the spending function is read at each look, as `next_look` takes it; None: at
            the fractions.

    Raises:
        ValueError: fractions, alpha, alternative or spending_times is out of range.

    Example:
        >>> plan = plan_looks([0.2, 0.4, 0.6, 0.8, 1.0])
        >>> [round(critical, 4) for critical in plan.critical_values]
        [4.8769, 3.357, 2.6803, 2.2898, 2.031]

        Spent by the calendar, at the end of each of four weeks, with the units that there were by then:

        >>> weekly = plan_looks([0.09, 0.41, 0.48, 0.93], spending_times=[0.25, 0.5, 0.75, 1.0])
        >>> [round(critical, 4) for critical in weekly.critical_values]
        [4.3326, 2.9638, 2.3438, 2.0665]
    """
    times = None if spending_times is None else tuple(map(float, spending_times))
    history = LookHistory(spending, alpha, alternative)
    return _extended(history, tuple(map(float, fractions)), False, times)


@lru_cache(maxsize=256)
def _extended(
    history: LookHistory, fractions: tuple[float, ...], final: bool, times: tuple[float, ...] | None
) -> LookHistory:
    if len(history.looks) + len(fractions) > MOST_LOOKS:
        raise ValueError(f"There are {MOST_LOOKS} looks at most.")
    sides = 2 if history.two_sided else 1
    log_tail = math.log(history.alpha / sides)
    if times is not None and len(times) != len(fractions):
        raise ValueError(
            f"There are {len(fractions)} fractions and {len(times)} spending times; give as many."
        )
    looks, walk = list(history.looks), _walk(history)
    for fraction, time in zip(fractions, fractions if times is None else times, strict=True):
        _check_fraction(fraction, looks[-1].fraction if looks else 0.0, len(looks) + 1)
        if times is not None:
            _check_time(time, looks[-1].spending_time if looks else 0.0, len(looks) + 1)
        spending_time = 1.0 if final else min(1.0, time)
        grid = grid_towards(walk.stage, fraction)
        target = history.spending.log_spent(spending_time, log_tail)
        critical = spending_critical(walk, grid, fraction, target, least=least_increment(log_tail))
        walk = walk.pass_look(grid, fraction, critical, target, history.two_sided)
        spent = _spent(history, looks, spending_time, critical)
        looks.append(Look(fraction, spending_time, spent, critical))
    return replace(history, looks=tuple(looks))


def _spent(history: LookHistory, looks: list[Look], spending_time: float, critical: float) -> float:
    if math.isinf(critical):
        return looks[-1].spent if looks else 0.0
    sides = 2 if history.two_sided else 1
    return sides * history.spending.spent(spending_time, alpha=history.alpha / sides)


def _walk(history: LookHistory) -> Walk:
    walk, sides = Walk(), 2 if history.two_sided else 1
    for look in history.looks:
        grid = grid_towards(walk.stage, look.fraction)
        log_spent = math.log(look.spent / sides) if look.spent > 0 else -math.inf
        walk = walk.pass_look(grid, look.fraction, look.critical, log_spent, history.two_sided)
    return walk


def _check_fraction(fraction: float, earlier: float, number: int) -> None:
    if not 0 < fraction <= _LARGEST_FRACTION:
        raise ValueError(
            f"The information fraction of look {number} is {fraction!r}; it must lie in "
            f"(0, {_LARGEST_FRACTION:g}]."
        )
    if fraction < earlier * (1 + _LEAST_GAIN):
        raise ValueError(
            f"Look {number} at the information fraction {fraction!r} brings no new information after the one "
            f"at {earlier!r}; leave it out."
        )


def _check_time(time: float, earlier: float, number: int) -> None:
    if not 0 < time <= 1 or time < earlier:
        raise ValueError(
            f"The spending time of look {number} is {time!r}; it must lie in (0, 1], and not before "
            f"{earlier!r}, that of the look before."
        )
