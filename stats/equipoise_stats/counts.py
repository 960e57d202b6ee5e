"""Exact counts of the units of one arm for a proportion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from equipoise_stats.moments import Moments
from equipoise_stats.results import Serialisable


@dataclass(frozen=True, slots=True)
class Counts(Serialisable):
    """How many units of one arm there are and how many of them succeeded.

    Attributes:
        n: Number of units.
        successes: Units with the property counted, between 0 and n.

    Raises:
        ValueError: A count is negative, or there are more successes than units.

    Example:
        >>> Counts(100, 7).merge(Counts(50, 3))
        Counts(n=150, successes=10)
    """

    n: int
    successes: int

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.n:
            raise ValueError(f"{self.successes} successes among {self.n} units is impossible.")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote.

        Example:
            >>> Counts.from_dict(Counts(100, 7).to_dict())
            Counts(n=100, successes=7)
        """
        return cls(n=int(data["n"]), successes=int(data["successes"]))

    def merge(self, other: Self) -> Self:
        """The counts of the units of both."""
        return type(self)(self.n + other.n, self.successes + other.successes)

    def moments(self, column: str = "y") -> Moments:
        """The same units as a column of zeros and ones.

        Example:
            >>> Counts(4, 2).moments() == Moments.from_arrays({"y": [0, 1, 1, 0]})
            True
        """
        if self.n == 0:
            return Moments.empty((column,))
        p = self.successes / self.n
        squares = self.successes * (1 - p)
        return Moments(self.n, (column,), (p,), ((squares,),), (squares * (1 - 2 * p),))
