"""What is measured, and the band that it must fall into."""

import math
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

import equipoise_stats as es

SEED = 20240607
"""One seed for the whole table; each cell derives its own from it and from its name."""

FULL = 10_000
"""Runs from which on the band of an approximation is held without an allowance."""

STANDARD_ERRORS = 3
"""Width of a band on either side, in Monte Carlo standard errors."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    Attributes:
        method: What was run.
        condition: On which data.
        quantity: What was measured: size, coverage, power, …
        replications: Number of simulated experiments.
        measured: The figure.
        low: Lower end of the band that it must fall into.
        high: Upper end.
        naive: Whether the method is a counterpart that is known not to hold, and must be seen to fail.
    """

    method: str
    condition: str
    quantity: str
    replications: int
    measured: float
    low: float
    high: float
    naive: bool = False

    @property
    def inside(self) -> bool:
        """Whether the figure is in its band."""
        return self.low <= self.measured <= self.high

    @property
    def as_claimed(self) -> bool:
        """Whether a method holds, and a naive counterpart does not."""
        return self.inside != self.naive

    @property
    def verdict(self) -> str:
        """The row's verdict in words."""
        if self.naive:
            return "holds, though shown as naive" if self.inside else "fails, as known"
        return "holds" if self.inside else "DOES NOT HOLD"


@dataclass(frozen=True, slots=True)
class Cell:
    """A simulation that yields rows.

    Attributes:
        section: Heading under which its rows stand.
        name: Its name, distinct in the section.
        run: Draws with a generator and measures, so many times.
        full: Replications of the published table.
        short: Replications of the short form that the tests run; None leaves the cell out of it.
    """

    section: str
    name: str
    run: Callable[[int, np.random.Generator], list[Row]]
    full: int
    short: int | None = None

    def rows(self, replications: int) -> list[Row]:
        """The rows of so many replications; the same ones every time."""
        key = zlib.crc32(f"{self.section}/{self.name}".encode())
        return self.run(replications, np.random.default_rng([SEED, key]))

    def published(self) -> tuple[list[Row], float]:
        """The rows of the published table, and the seconds that they took."""
        begin = time.perf_counter()
        return self.rows(self.full), time.perf_counter() - begin


def margin(level: float, replications: int) -> float:
    """Three Monte Carlo standard errors of a share whose expectation is `level`.

    Example:
        >>> round(margin(0.05, 10_000), 4)
        0.0065
    """
    return STANDARD_ERRORS * math.sqrt(level * (1 - level) / replications)


@dataclass(frozen=True, slots=True)
class Case:
    """A method on data, of which several figures are measured.

    Example:
        >>> Case("Welch", "normal", 10_000).exact("size", 0.049, 0.05).verdict
        'holds'
    """

    method: str
    condition: str
    replications: int
    naive: bool = False

    def exact(self, quantity: str, measured: float, level: float) -> Row:
        """A share that must be its level, up to three standard errors."""
        reach = margin(level, self.replications)
        return self.between(quantity, measured, level - reach, level + reach)

    def at_most(self, quantity: str, measured: float, level: float) -> Row:
        """A share that must not exceed its level by more than three standard errors."""
        return self.between(quantity, measured, 0.0, level + margin(level, self.replications))

    def at_least(self, quantity: str, measured: float, level: float) -> Row:
        """A share that must not fall below its level by more than three standard errors."""
        return self.between(quantity, measured, level - margin(level, self.replications), 1.0)

    def approximate(self, quantity: str, measured: float, low: float, high: float) -> Row:
        """A share of a method that is an approximation, known to lie between two ends.

        With fewer runs than a published table's 10,000, it may lie three standard errors beyond them.
        """
        few = self.replications < FULL
        below, above = (margin(end, self.replications) if few else 0.0 for end in (low, high))
        return self.between(quantity, measured, low - below, high + above)

    def between(self, quantity: str, measured: float, low: float, high: float) -> Row:
        """A figure with a band of its own."""
        return Row(
            self.method,
            self.condition,
            quantity,
            self.replications,
            float(measured),
            float(low),
            float(high),
            self.naive,
        )


@dataclass(frozen=True, slots=True)
class Shares:
    """What comparisons did, as shares of all of them.

    Attributes:
        rejected: Share that rejected.
        above: Share that rejected with an effect above the null value.
        covered: Share whose interval of the difference did not exclude the true one.
        lift_covered: The same of the lift.
        unanswered: Share without a test.
    """

    rejected: float
    above: float
    covered: float
    lift_covered: float
    unanswered: float


def shares(
    comparisons: Iterable[es.Comparison],
    *,
    difference: float = 0.0,
    lift: float = 0.0,
    weights: Iterable[int] | None = None,
) -> Shares:
    """Counts what comparisons did.

    Args:
        comparisons: The comparisons, at least one.
        difference: The true difference.
        lift: The true lift.
        weights: How often each of them occurred; once unless given.
    """
    given = list(comparisons)
    weight = np.ones(len(given)) if weights is None else np.array(list(weights), dtype=np.float64)
    flags = np.array(
        [
            (
                bool(one.test.rejected),
                bool(one.test.rejected) and one.test.statistic is not None and one.test.statistic > 0,
                not _excludes(one.difference, difference),
                not _excludes(one.lift, lift),
                one.test.rejected is None,
            )
            for one in given
        ],
        dtype=np.float64,
    )
    return Shares(*(float(share) for share in weight @ flags / weight.sum()))


def _excludes(effect: es.Effect, value: float) -> bool:
    return effect.interval is not None and effect.interval.excludes(value)
