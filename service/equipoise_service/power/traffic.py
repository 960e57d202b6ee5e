"""How units come: by when how many have been seen, and when a number is reached."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Traffic:
    """Units that are new, day by day, and how many come each day after that.

    Units that come back are not new, so fewer are from day to day; what comes after the history is taken to
    be as in its last week.

    Attributes:
        new: New units of each day of the history.
        rate: New units a day afterwards.

    Example:
        >>> traffic = traffic_of([100, 60, 40], share=0.5)
        >>> traffic.by(2), traffic.by(4.5)
        (80.0, 150.0)
        >>> traffic.day_of(80.0), traffic.day_of(150.0)
        (2.0, 4.5)
    """

    new: tuple[float, ...]
    rate: float

    def by(self, day: float) -> float:
        """Units that have come by a day, fractions of days counting evenly."""
        if day <= 0:
            return 0.0
        whole = int(day)
        if whole < len(self.new):
            return sum(self.new[:whole]) + (day - whole) * self.new[whole]
        return sum(self.new) + (day - len(self.new)) * self.rate

    def day_of(self, units: float) -> float | None:
        """The day by which so many have come; None where they never do."""
        reached = list(accumulate(self.new))
        if not reached or units > reached[-1]:
            missing = units - (reached[-1] if reached else 0.0)
            return len(reached) + missing / self.rate if self.rate > 0 else None
        at = bisect_left(reached, units)
        before = reached[at - 1] if at else 0.0
        return at + (units - before) / self.new[at] if units > before else float(at)


def traffic_of(new: Sequence[float], *, share: float) -> Traffic:
    """The traffic of an experiment, from a history.

    Args:
        new: New units of each day of the history; empty for none.
        share: Share of them that takes part.
    """
    last = new[-_WEEK:]
    rate = sum(last) / len(last) if last else 0.0
    return Traffic(tuple(units * share for units in new), rate * share)
