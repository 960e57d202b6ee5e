"""What came of the experiments of each kind, against what chance allows where the plan's rates hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rehearsal.bounds import FAMILY, least, most
from rehearsal.kinds import KINDS
from rehearsal.registering import Rehearsed


@dataclass(frozen=True, slots=True)
class Line:
    """What came of the experiments of a kind, or of several kinds together.

    Attributes:
        name: Which.
        several: Whether it is of several kinds.
        number: How many experiments there were.
        right: How many recommendations were right.
        planned: The least probability of that.
        least_right: The least number of right ones that chance allows.
        ship: How many were recommended to ship.
        most_ship: The largest number of these that chance allows.
        days: Median of the days until the recommendation.
    """

    name: str
    several: bool
    number: int
    right: int
    planned: float
    least_right: int
    ship: int
    most_ship: int
    days: float

    @property
    def holds(self) -> bool:
        """Whether both counts are possible by chance."""
        return self.right >= self.least_right and self.ship <= self.most_ship


def count(rehearsed: Sequence[Rehearsed]) -> list[Line]:
    """A line for each kind, and one for each recommendation that is right of several kinds."""
    groups = [(kind.name, False, [each for each in rehearsed if each.kind == kind]) for kind in KINDS]
    groups += [
        (f"all whose right one is `{right}`", True, [each for each in rehearsed if each.kind.right == right])
        for right in ("ship", "do_not_ship", "investigate")
    ]
    groups = [group for group in groups if group[2]]
    # Each line has two bounds, and together they are to fail by chance once in a thousand runs.
    level = FAMILY / (2 * len(groups))
    return [_line(name, several, group, level) for name, several, group in groups]


def _line(name: str, several: bool, group: Sequence[Rehearsed], level: float) -> Line:
    outcomes = [None if each.decided is None else each.decided["recommendation"]["outcome"] for each in group]
    planned = min(each.kind.planned for each in group)
    may_ship = max(each.kind.may_ship for each in group)
    return Line(
        name=name,
        several=several,
        number=len(group),
        right=sum(found == each.kind.right for found, each in zip(outcomes, group, strict=True)),
        planned=planned,
        least_right=least(len(group), planned, level=level),
        ship=outcomes.count("ship"),
        most_ship=most(len(group), may_ship, level=level),
        days=median(each.day for each in group),
    )
