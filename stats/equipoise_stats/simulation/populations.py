"""Populations to draw experiments from: normal, Bernoulli, revenue, correlated events, real data."""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from equipoise_stats.simulation.sums import Counts, Sums, single_column, sums_of_columns


class Population(Protocol):
    """Where the units of one arm come from."""

    @property
    def value(self) -> float:
        """The true mean or ratio."""
        ...

    @property
    def exact_proportion(self) -> bool:
        """Whether the units are 0 or 1, so that the estimate is `proportion_difference`'s."""
        ...

    @property
    def draws_per_unit(self) -> float:
        """Random numbers that one unit costs; bounds the memory of a simulation."""
        ...

    def sums(self, generator: Generator, replications: int, sizes: Counts) -> Sums:
        """The sums of the units that each look adds, `sizes` of shape (looks,)."""
        ...


@dataclass(frozen=True, slots=True)
class NormalPopulation:
    """Normal units; their sums are drawn directly, so that size costs nothing.

    Attributes:
        mean: Mean.
        sd: Standard deviation, positive.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> NormalPopulation(10.0, 3.0).value
        10.0
    """

    mean: float
    sd: float
    exact_proportion = False
    draws_per_unit = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.sd > 0 and math.isfinite(self.sd)):
            raise ValueError(f"A normal population has a finite mean and a positive sd; these are {self}.")

    @property
    def value(self) -> float:
        """The mean."""
        return self.mean

    def sums(self, generator: Generator, replications: int, sizes: Counts) -> Sums:
        """Sums are normal, and sums of squares about the sample mean chi-square."""
        shape = (replications, sizes.size)
        total = generator.normal(size=shape) * (self.sd * np.sqrt(sizes))
        within = np.where(sizes > 1, generator.chisquare(np.maximum(sizes - 1, 1), size=shape), 0.0)
        return single_column(self.mean, total, self.sd**2 * within + total**2 / sizes)


@dataclass(frozen=True, slots=True)
class BernoulliPopulation:
    """Units that succeed or not; only their number is drawn.

    Attributes:
        probability: Probability of success, between 0 and 1.

    Raises:
        ValueError: The probability is out of range.

    Example:
        >>> BernoulliPopulation(0.1).value
        0.1
    """

    probability: float
    exact_proportion = True
    draws_per_unit = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.probability < 1:
            raise ValueError(f"The probability is {self.probability!r}; it must lie between 0 and 1.")

    @property
    def value(self) -> float:
        """The probability."""
        return self.probability

    def sums(self, generator: Generator, replications: int, sizes: Counts) -> Sums:
        """From binomial numbers of successes."""
        p = self.probability
        successes = generator.binomial(sizes, p, size=(replications, sizes.size)).astype(np.float64)
        squares = successes * (1 - p) ** 2 + (sizes - successes) * p**2
        return single_column(p, successes - sizes * p, squares)


@dataclass(frozen=True, slots=True)
class RevenuePopulation:
    """Most units spend nothing, the others a lognormal amount.

    Attributes:
        mean: Mean over all units, positive.
        buyers: Share of the units that spend, in (0, 1].
        log_sd: Standard deviation of the logarithm of what a buyer spends, positive.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> RevenuePopulation(mean=2.0, buyers=0.05, log_sd=1.5).value
        2.0
    """

    mean: float
    buyers: float = 0.05
    log_sd: float = 1.5
    exact_proportion = False

    def __post_init__(self) -> None:
        if not (self.mean > 0 and math.isfinite(self.mean) and 0 < self.buyers <= 1 and 0 < self.log_sd < 10):
            raise ValueError(
                "Revenue has a positive mean, a share of buyers in (0, 1] and a log_sd in (0, 10); these "
                f"are {self}."
            )

    @property
    def value(self) -> float:
        """The mean."""
        return self.mean

    @property
    def draws_per_unit(self) -> float:
        """One for each buyer."""
        return self.buyers

    def sums(self, generator: Generator, replications: int, sizes: Counts) -> Sums:
        """From the number of buyers at each look, and what each of them spends."""
        shape = (replications, sizes.size)
        buyers = generator.binomial(sizes, self.buyers, size=shape)
        spent = generator.lognormal(
            math.log(self.mean / self.buyers) - self.log_sd**2 / 2, self.log_sd, size=int(buyers.sum())
        )
        where, cells = np.repeat(np.arange(buyers.size), buyers.ravel()), buyers.size
        amount = np.bincount(where, weights=spent, minlength=cells).reshape(shape)
        squares = np.bincount(where, weights=(spent - self.mean) ** 2, minlength=cells).reshape(shape)
        return single_column(self.mean, amount - sizes * self.mean, squares + (sizes - buyers) * self.mean**2)


@dataclass(frozen=True, slots=True)
class RatioPopulation:
    """Units with several events that share the unit's own rate of success: a ratio of sums.

    A unit has Poisson events around its own lognormal level; each succeeds with the unit's own probability,
    which is beta-distributed.

    Attributes:
        ratio: Successes over events, between 0 and 1.
        events: Mean number of events of a unit, positive.
        events_log_sd: Standard deviation of the logarithm of a unit's level, not negative.
        concentration: Sum of the two parameters of the beta distribution; the smaller, the more units differ.

    Raises:
        ValueError: A number is out of range.

    Example:
        >>> RatioPopulation(ratio=0.2, events=5.0).value
        0.2
    """

    ratio: float
    events: float = 5.0
    events_log_sd: float = 0.5
    concentration: float = 5.0
    exact_proportion = False
    draws_per_unit = 4.0

    def __post_init__(self) -> None:
        if not (
            0 < self.ratio < 1
            and 0 < self.events < 1e6
            and 0 <= self.events_log_sd < 10
            and self.concentration > 0
        ):
            raise ValueError(
                f"A ratio lies between 0 and 1, events and concentration are positive; these are {self}."
            )

    @property
    def value(self) -> float:
        """The ratio."""
        return self.ratio

    def sums(self, generator: Generator, replications: int, sizes: Counts) -> Sums:
        """From every unit's events and successes."""
        shape = (replications, int(sizes.sum()))
        level = generator.lognormal(
            math.log(self.events) - self.events_log_sd**2 / 2, self.events_log_sd, size=shape
        )
        events = generator.poisson(level)
        rate = generator.beta(
            self.ratio * self.concentration, (1 - self.ratio) * self.concentration, size=shape
        )
        successes = generator.binomial(events, rate)
        return sums_of_columns(
            [successes.astype(np.float64), events.astype(np.float64)],
            sizes,
            np.array([self.ratio * self.events, self.events]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class EmpiricalPopulation:
    """Real units, drawn with replacement, with an effect put on them.

    Attributes:
        values: One value a unit, of shape (n,), finite.
        lift: Every value is multiplied by 1 + lift.

    Raises:
        ValueError: There are no values, or a number is not finite.

    Example:
        >>> EmpiricalPopulation([1.0, 2.0, 6.0], lift=0.1).value
        3.3000000000000003
    """

    values: ArrayLike
    lift: float = 0.0
    exact_proportion = False
    draws_per_unit = 2.0

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if (
            values.ndim != 1
            or values.size == 0
            or not (np.isfinite(values).all() and math.isfinite(self.lift))
        ):
            raise ValueError("Give one finite value a unit, in one dimension, and a finite lift.")

    @property
    def value(self) -> float:
        """The mean of the values, with the effect."""
        return float(np.mean(np.asarray(self.values, dtype=np.float64))) * (1 + self.lift)

    def sums(self, generator: Generator, replications: int, sizes: Counts) -> Sums:
        """From values drawn with replacement."""
        values = np.asarray(self.values, dtype=np.float64) * (1 + self.lift)
        drawn = values[generator.integers(values.size, size=(replications, int(sizes.sum())))]
        return sums_of_columns([drawn], sizes, np.array([self.value]))
