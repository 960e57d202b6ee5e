"""Centred moments of the units of one arm: the sufficient statistics everything else starts from.

An engine (or numpy) reduces the units of an arm to their number, the means of some named columns, the sums of
cross products *about those means*, and optionally those of products of three. These merge by addition
(Chan, Golub and LeVeque 1983; Pébay 2008) and, unlike raw sums of squares, lose nothing when the data lie
far from zero.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from itertools import combinations_with_replacement
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from equipoise_stats.results import Serialisable

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]
Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Moments(Serialisable):
    """Centred moments of one arm.

    Attributes:
        n: Number of units, those without any event included (they count as zeros).
        columns: Names of the k columns, distinct.
        mean: Mean of each column, in the column's unit; zeros when n is 0.
        comoments: k × k sums of cross products about the means, Σ (u − ū)(v − v̄): divide by n − 1 for
            covariances.
        third: Sums of products of three deviations from the means, Σ (u − ū)(v − v̄)(w − w̄), for the columns'
            `combinations_with_replacement(columns, 3)` in that order: for one column Σ (y − ȳ)³. None where
            they were not collected, or are no finite numbers.

    Raises:
        ValueError: On sizes that do not match, on numbers that are not finite, on a negative sum of squares.

    Example:
        >>> a, b = Moments.from_arrays({"y": [1.0, 2.0, 3.0]}), Moments.from_arrays({"y": [10.0, 20.0]})
        >>> both = a.merge(b)
        >>> both.n, both.mean, round(both.variance("y"), 9)
        (5, (7.2,), 63.7)
    """

    n: int
    columns: tuple[str, ...]
    mean: Vector
    comoments: Matrix
    third: Vector | None = None

    def __post_init__(self) -> None:
        k = len(self.columns)
        if self.n < 0:
            raise ValueError(f"n is {self.n}; a number of units cannot be negative.")
        if k == 0 or len(set(self.columns)) != k:
            raise ValueError(f"columns are {self.columns!r}; at least one is needed, each named once.")
        if len(self.mean) != k or len(self.comoments) != k or any(len(row) != k for row in self.comoments):
            raise ValueError(f"{k} columns need {k} means and {k} × {k} co-moments.")
        if self.third is not None and len(self.third) != len(triples(k)):
            raise ValueError(f"{k} columns need {len(triples(k))} third moments, not {len(self.third)}.")
        for i, name in enumerate(self.columns):
            row = self.comoments[i]
            if not (math.isfinite(self.mean[i]) and all(map(math.isfinite, row))):
                raise ValueError(f"A moment of column {name!r} is not a finite number.")
            if row[i] < 0:
                raise ValueError(f"The centred sum of squares of column {name!r} is negative: {row[i]!r}.")
            if any(row[j] != self.comoments[j][i] for j in range(i)):
                raise ValueError(f"The co-moments of column {name!r} are not symmetric.")
        if self.third is not None and not all(map(math.isfinite, self.third)):
            raise ValueError(f"A third moment of columns {self.columns!r} is not a finite number.")

    @classmethod
    def scalar(
        cls, n: int, mean: float, variance: float | None, third: float | None = None, *, column: str = "y"
    ) -> Self:
        """Moments of one column from its count, mean and sample variance.

        Args:
            n: Number of units.
            mean: Mean of the column (ignored when n is 0).
            variance: Sample variance (divisor n − 1), as `var_samp` gives it; None when n < 2.
            third: Sum of third powers about the mean, Σ (y − ȳ)³.
            column: Name of the column.

        Example:
            >>> Moments.scalar(100, 2.5, 4.0).comoments
            ((396.0,),)
        """
        return cls.from_aggregates(
            n, {column: mean}, {column: variance}, third=None if third is None else {column: third}
        )

    @classmethod
    def from_aggregates(
        cls,
        n: int,
        means: Mapping[str, float | None],
        variances: Mapping[str, float | None],
        covariances: Mapping[tuple[str, str], float | None] | None = None,
        third: Mapping[str | tuple[str, str, str], float | None] | None = None,
    ) -> Self:
        """Moments from what SQL computes: `count(*)`, `avg`, `var_samp`, `covar_samp`.

        Args:
            n: Number of units (`count(*)`, not the count of non-null values).
            means: `avg` of each column; None (SQL's NULL) is taken when n is 0. Its order is the order of
                the columns.
            variances: `var_samp` of each column; None is taken when n < 2.
            covariances: `covar_samp` of each pair of columns, once a pair in either order; None is taken
                when n < 2.
            third: Sums of products of three deviations from the means: Σ (u − ū)³ by the column's name, and
                with several columns Σ (u − ū)(v − v̄)(w − w̄) by each three of them, once in any order.

        Raises:
            ValueError: A number is missing or not finite, or a variance is negative.

        Example:
            >>> m = Moments.from_aggregates(10, {"y": 2.0, "x": 1.0}, {"y": 4.0, "x": 1.0}, {("x", "y"): 0.5})
            >>> m.covariance("y", "x")
            0.5
        """
        columns = tuple(means)
        pairs = dict(covariances or {})

        def scaled(value: float | None, what: str) -> float:
            if n < 2:
                return 0.0
            if value is None:
                raise ValueError(f"{what} is missing, though there are {n} units.")
            return float(value) * (n - 1)

        def entry(u: str, v: str) -> float:
            if u == v:
                return scaled(variances.get(u), f"The variance of {u!r}")
            return scaled(pairs.get((u, v), pairs.get((v, u))), f"The covariance of {u!r} and {v!r}")

        def known(value: float | None, what: str) -> float:
            if n == 0:
                return 0.0
            if value is None:
                raise ValueError(f"{what} is missing, though there are {n} units.")
            return float(value)

        cubes: dict[tuple[str, ...], float | None] = {
            (name,) * 3 if isinstance(name, str) else tuple(sorted(name, key=columns.index)): value
            for name, value in (third or {}).items()
        }

        return cls(
            n=int(n),
            columns=columns,
            mean=tuple(known(means.get(name), f"The mean of {name!r}") for name in columns),
            comoments=_mirror([[entry(u, v) for v in columns[: i + 1]] for i, u in enumerate(columns)]),
            third=None
            if third is None
            else tuple(
                known(cubes.get(names), f"The third moment of {', '.join(map(repr, dict.fromkeys(names)))}")
                for names in combinations_with_replacement(columns, 3)
            ),
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, ArrayLike], *, third: bool = True) -> Self:
        """Moments of unit-level data.

        Args:
            arrays: One-dimensional array of shape (n,) for each column, a value a unit.
            third: Whether to collect third moments (for the skewness guard).

        Raises:
            ValueError: The arrays differ in length or hold values that are not finite.

        Example:
            >>> Moments.from_arrays({"y": [1.0, 2.0, 6.0]}).third
            (18.0,)
        """
        data = [_checked_column(name, values) for name, values in arrays.items()]
        lengths = {name: len(values) for name, values in zip(arrays, data, strict=True)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Columns have different lengths: {lengths}.")
        n = next(iter(lengths.values()), 0)
        if n == 0:
            return cls.empty(tuple(arrays))
        # Deviations from the first value are exact for constant data and small for data far from zero.
        shifted = [values - values[0] for values in data]
        offsets = [float(values.mean()) for values in shifted]
        centred = [values - offset for values, offset in zip(shifted, offsets, strict=True)]
        return cls(
            n=n,
            columns=tuple(arrays),
            mean=tuple(float(values[0]) + offset for values, offset in zip(data, offsets, strict=True)),
            comoments=_mirror(
                [[float(u @ v) for v in centred[: i + 1]] for i, u in enumerate(centred)],
            ),
            third=_third_of(np.array(centred)) if third else None,
        )

    @classmethod
    def empty(cls, columns: tuple[str, ...]) -> Self:
        """The moments of no units: merging with them changes nothing.

        Example:
            >>> Moments.empty(("y",)).n
            0
        """
        zeros = (0.0,) * len(columns)
        return cls(0, columns, zeros, (zeros,) * len(columns), (0.0,) * len(triples(len(columns))))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote, exactly.

        Example:
            >>> m = Moments.scalar(3, 0.1, 0.7)
            >>> Moments.from_dict(m.to_dict()) == m
            True
        """
        third = data.get("third")
        return cls(
            n=int(data["n"]),
            columns=tuple(data["columns"]),
            mean=tuple(map(float, data["mean"])),
            comoments=tuple(tuple(map(float, row)) for row in data["comoments"]),
            third=None if third is None else tuple(map(float, third)),
        )

    def index(self, column: str | None = None) -> int:
        """Position of a column; of the only one when no name is given.

        Raises:
            KeyError: There is no such column.
            ValueError: No name is given and there are several columns.
        """
        if column is None:
            if len(self.columns) > 1:
                raise ValueError(f"Name one of the columns {self.columns!r}.")
            return 0
        try:
            return self.columns.index(column)
        except ValueError:
            raise KeyError(f"There is no column {column!r}; there are {self.columns!r}.") from None

    def variance(self, column: str | None = None) -> float:
        """Sample variance (divisor n − 1) of a column, in its unit squared.

        Raises:
            ValueError: There are fewer than two units.
        """
        i = self.index(column)
        return self.comoments[i][i] / self._divisor()

    def covariance(self, u: str, v: str) -> float:
        """Sample covariance (divisor n − 1) of two columns.

        Raises:
            ValueError: There are fewer than two units.
        """
        return self.comoments[self.index(u)][self.index(v)] / self._divisor()

    def covariance_matrix(self) -> NDArray[np.float64]:
        """Sample covariance matrix of all columns, of shape (k, k).

        Raises:
            ValueError: There are fewer than two units.
        """
        return np.array(self.comoments, dtype=np.float64) / self._divisor()

    def third_moment(self, i: int, j: int, m: int) -> float:
        """Σ (u − ū)(v − v̄)(w − w̄) of the columns at three positions, in any order.

        Raises:
            ValueError: Third moments were not collected.

        Example:
            >>> Moments.from_arrays({"y": [1.0, 2.0, 6.0], "x": [0.0, 0.0, 3.0]}).third_moment(1, 0, 0)
            13.0
        """
        if self.third is None:
            raise ValueError("Third moments were not collected.")
        return self.third[_positions(len(self.columns))[tuple(sorted((i, j, m)))]]

    def select(self, columns: Iterable[str]) -> Self:
        """The moments of some of the columns, in the given order.

        Example:
            >>> m = Moments.from_arrays({"y": [1.0, 3.0], "x": [0.0, 4.0]})
            >>> m.select(["x"]).mean
            (2.0,)
        """
        names = tuple(columns)
        at = [self.index(name) for name in names]
        return type(self)(
            n=self.n,
            columns=names,
            mean=tuple(self.mean[i] for i in at),
            comoments=tuple(tuple(self.comoments[i][j] for j in at) for i in at),
            third=None
            if self.third is None
            else tuple(self.third_moment(at[i], at[j], at[m]) for i, j, m in triples(len(at))),
        )

    def linear(self, combinations: Mapping[str, Mapping[str, float]]) -> Self:
        """The moments of linear combinations of the columns: scores, linearised ratios, contrasts.

        Args:
            combinations: For each new column, its weights on the old ones (those left out weigh 0).

        Raises:
            KeyError: A weight is on a column that there is not.

        Example:
            >>> m = Moments.from_arrays({"y": [1.0, 3.0], "d": [1.0, 2.0]})
            >>> m.linear({"score": {"y": 1.0, "d": -1.5}}).comoments
            ((0.125,),)
        """
        weights = np.zeros((len(combinations), len(self.columns)))
        for row, given in enumerate(combinations.values()):
            for column, weight in given.items():
                weights[row, self.index(column)] += weight
        spread = weights @ np.array(self.comoments) @ weights.T
        return type(self)(
            n=self.n,
            columns=tuple(combinations),
            mean=tuple(float(value) for value in weights @ np.array(self.mean)),
            # A combination that is constant in the data may come out below 0 by a rounding error.
            comoments=_mirror(
                [
                    [max(0.0, float(spread[i, j])) if i == j else float(spread[i, j]) for j in range(i + 1)]
                    for i in range(len(combinations))
                ]
            ),
            third=None if self.third is None else self._combined(weights),
        )

    def _combined(self, weights: NDArray[np.float64]) -> Vector | None:
        """The third moments of combinations, by their weights of shape (combinations, columns)."""
        k = len(self.columns)
        cube = np.array([self.third_moment(*at) for at in np.ndindex(k, k, k)]).reshape(k, k, k)
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.einsum("ai,bj,cl,ijl->abc", weights, weights, weights, cube, optimize=True)
        return _finite(found[at] for at in triples(len(weights)))

    def merge(self, other: Self) -> Self:
        """The moments of the units of both (Chan, Golub and LeVeque 1983; Pébay 2008).

        Third moments are kept when both have them, and theirs are finite numbers.

        Raises:
            ValueError: The columns differ.
        """
        if self.columns != other.columns:
            raise ValueError(f"Columns {self.columns!r} and {other.columns!r} do not match.")
        if self.n == 0:
            return other
        if other.n == 0:
            return self
        n = self.n + other.n
        share = other.n / n
        weight = self.n * share
        delta = [b - a for a, b in zip(self.mean, other.mean, strict=True)]
        third: Vector | None = None
        if self.third is not None and other.third is not None:
            shift = weight * ((self.n - other.n) / n)
            # What the squares of one add to the third powers of both, for a shift of 1.
            moved = [
                [(self.n * b - other.n * a) / n for a, b in zip(row_a, row_b, strict=True)]
                for row_a, row_b in zip(self.comoments, other.comoments, strict=True)
            ]
            third = _finite(
                a
                + b
                + delta[i] * delta[j] * delta[m] * shift
                + delta[i] * moved[j][m]
                + delta[j] * moved[i][m]
                + delta[m] * moved[i][j]
                for a, b, (i, j, m) in zip(self.third, other.third, triples(len(delta)), strict=True)
            )
        return type(self)(
            n=n,
            columns=self.columns,
            mean=tuple(a + d * share for a, d in zip(self.mean, delta, strict=True)),
            comoments=tuple(
                tuple(a + b + di * dj * weight for a, b, dj in zip(row_a, row_b, delta, strict=True))
                for row_a, row_b, di in zip(self.comoments, other.comoments, delta, strict=True)
            ),
            third=third,
        )

    def _divisor(self) -> int:
        if self.n < 2:
            raise ValueError(f"A variance needs at least two units; there are {self.n}.")
        return self.n - 1


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """Merges any number of parts of one arm (partitions, days, strata) into one.

    Args:
        parts: At least one `Moments`, all with the same columns.

    Raises:
        ValueError: There are no parts, or their columns differ.

    Example:
        >>> merge_moments(Moments.from_arrays({"y": [float(i), i + 1.0]}) for i in range(4)).n
        8
    """
    given = list(parts)
    if not given:
        raise ValueError(
            "There is nothing to merge; start from Moments.empty(columns) where that can happen."
        )
    return reduce(Moments.merge, given)


@cache
def triples(k: int) -> tuple[Triple, ...]:
    """The positions of the columns that each third moment is of, for k columns.

    Example:
        >>> triples(2)
        ((0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1))
    """
    return tuple(combinations_with_replacement(range(k), 3))


@cache
def _positions(k: int) -> dict[tuple[int, ...], int]:
    """At which place the third moment of columns at some positions is."""
    return {at: place for place, at in enumerate(triples(k))}


def _third_of(centred: NDArray[np.float64]) -> Vector | None:
    """The third moments of centred columns, of shape (k, n)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _finite(
            value
            for i, u in enumerate(centred)
            for j in range(i, len(centred))
            for value in centred[j:] @ (u * centred[j])
        )


def _finite(values: Iterable[float]) -> Vector | None:
    """The numbers; None where one is not finite: third powers overflow where squares do not."""
    found = tuple(map(float, values))
    return found if all(map(math.isfinite, found)) else None


def _mirror(lower: list[list[float]]) -> Matrix:
    """The symmetric matrix of which the lower triangle (with the diagonal) is given, row by row."""
    k = len(lower)
    return tuple(tuple(lower[max(i, j)][min(i, j)] for j in range(k)) for i in range(k))


def _checked_column(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"Column {name!r} has shape {array.shape}; one value a unit is needed.")
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise ValueError(
            f"Column {name!r} holds {bad} values that are not finite; decide what they mean first."
        )
    return array
