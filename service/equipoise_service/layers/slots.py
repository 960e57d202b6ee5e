"""Which slots of a layer an experiment holds: pure functions on half-open intervals.

What must always hold: no slot has two holders; a ramp up keeps every slot; a ramp down gives back the slots
taken last, and the next ramp up takes them again first, so that the units who were enrolled come back before
any new ones.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from equipoise import BUCKETS

Intervals = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Claim:
    """The slots of one holder.

    Attributes:
        taken: Those it holds, as intervals in the order they were taken.
        former: Those that it gave back, as intervals in the order to take them again.
    """

    taken: Intervals = ()
    former: Intervals = ()


class NoFreeSlots(Exception):
    """The layer has fewer free slots than are needed.

    Args:
        needed: How many more were asked for.
        free: How many there are.
    """

    def __init__(self, needed: int, free: int) -> None:
        super().__init__(f"{needed} slots are needed and {free} are free")
        self.needed = needed
        self.free = free


def resize(claim: Claim, count: int, others: Iterable[Intervals]) -> Claim:
    """Gives a holder exactly so many slots.

    Args:
        claim: What it has.
        count: How many it shall have, 0 to 10,000.
        others: What each other holder in the layer has taken.

    Raises:
        NoFreeSlots: There are not so many.

    Example:
        >>> claim = resize(Claim(), 30, [])
        >>> claim.taken
        [[0, 30]]
        >>> smaller = resize(claim, 10, [])
        >>> smaller.taken, smaller.former
        ([[0, 10]], [[10, 30]])
        >>> resize(smaller, 40, [[[20, 25]]]).taken
        [[0, 20], [25, 45]]
    """
    taken, former = _numbers(claim.taken), _numbers(claim.former)
    needed = count - len(taken)
    if needed <= 0:
        return Claim(_intervals(taken[:count]), _intervals(taken[count:] + former))
    unfree = {*taken, *_numbers(chain.from_iterable(others))}
    again = [slot for slot in former if slot not in unfree]
    unfree.update(again)
    free = again + [slot for slot in range(BUCKETS) if slot not in unfree]
    if len(free) < needed:
        raise NoFreeSlots(needed, len(free))
    gained = free[:needed]
    left = set(former).difference(gained)
    return Claim(_intervals(taken + gained), _intervals(slot for slot in former if slot in left))


def ascending(intervals: Intervals) -> list[list[int]]:
    """The same slots as disjoint, ascending intervals, as the configuration document has them.

    Example:
        >>> ascending([[20, 30], [0, 10], [10, 15]])
        [[0, 15], [20, 30]]
    """
    return _intervals(sorted(_numbers(intervals)))


def size(intervals: Intervals) -> int:
    """How many slots there are in disjoint intervals."""
    return sum(end - start for start, end in intervals)


def shared(one: Intervals, other: Intervals) -> int:
    """How many slots are in both of two.

    Example:
        >>> shared([[0, 10], [20, 30]], [[5, 25]])
        10
    """
    return len({*_numbers(one)} & {*_numbers(other)})


def _numbers(intervals: Iterable[Sequence[int]]) -> list[int]:
    return [slot for start, end in intervals for slot in range(start, end)]


def _intervals(slots: Iterable[int]) -> list[list[int]]:
    """Joins neighbours that follow each other; the order stays."""
    found: list[list[int]] = []
    for slot in slots:
        if found and found[-1][1] == slot:
            found[-1][1] = slot + 1
        else:
            found.append([slot, slot + 1])
    return found
