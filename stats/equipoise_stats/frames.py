"""From data frames to moments by arm: pandas, polars, pyarrow, DuckDB and whatever else narwhals reads."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from equipoise_stats.counts import Counts
from equipoise_stats.missing import fill_missing
from equipoise_stats.moments import Moments

if TYPE_CHECKING:
    import narwhals as nw

Columns = dict[str, NDArray[np.float64]]


def moments_by_arm(
    frame: Any,
    *,
    arm: str,
    columns: Sequence[str],
    pre_period: Sequence[str] = (),
    third: bool = True,
) -> dict[str, Moments]:
    """The moments of each arm of a frame with one row a randomised unit.

    Args:
        frame: A data frame, or a lazy one (only the columns named are collected).
        arm: Column of the arm's name; other types than strings are named by `str`.
        columns: Numeric or boolean columns without missing values: a unit that did nothing has a zero.
        pre_period: Covariate columns that new units do not have. Missing values become 0, and a column
            `has_NAME` (0 or 1) follows each; see `fill_missing`.
        third: Whether to collect third moments (for the skewness guard).

    Returns:
        Moments by name of the arm, in order of first appearance.

    Raises:
        ValueError: A column is missing, is named twice, is not numeric or holds missing values; or the arm of
            a row is missing.
        TypeError: It is no frame that narwhals knows.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame(
        ...     {"arm": ["control", "control", "new", "new"], "y": [1, 3, 2, 6], "x": [5.0, None, 4.0, 4.0]}
        ... )
        >>> arms = moments_by_arm(frame, arm="arm", columns=["y"], pre_period=["x"])
        >>> arms["new"].mean, arms["control"].columns
        ((4.0, 4.0, 1.0), ('y', 'x', 'has_x'))
    """
    table = _table(frame, [arm], columns, pre_period)
    return {
        name: Moments.from_arrays(_arrays(part, columns, pre_period), third=third)
        for name, part in _groups(table, arm)
    }


def moments_by_stratum(
    frame: Any, *, arm: str, stratum: str, columns: Sequence[str], third: bool = True
) -> dict[str, dict[str, Moments]]:
    """The moments of each stratum of each arm, as `stratified_difference` takes them.

    Args:
        frame: A data frame with one row a randomised unit.
        arm: Column of the arm's name.
        stratum: Column of the stratum's name, known before exposure.
        columns: Numeric or boolean columns without missing values.
        third: Whether to collect third moments.

    Returns:
        By name of the arm, then of the stratum.

    Raises:
        ValueError: As for `moments_by_arm`; a missing stratum is refused too.
        TypeError: It is no frame that narwhals knows.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame(
        ...     {"arm": ["a", "a", "b"], "country": ["DE", "FR", "DE"], "y": [1.0, 2.0, 4.0]}
        ... )
        >>> arms = moments_by_stratum(frame, arm="arm", stratum="country", columns=["y"])
        >>> {name: list(strata) for name, strata in arms.items()}
        {'a': ['DE', 'FR'], 'b': ['DE']}
    """
    table = _table(frame, [arm, stratum], columns, ())
    return {
        name: {
            cell: Moments.from_arrays(_arrays(rows, columns, ()), third=third)
            for cell, rows in _groups(part, stratum)
        }
        for name, part in _groups(table, arm)
    }


def clusters_by_arm(
    frame: Any, *, arm: str, cluster: str, column: str, third: bool = True
) -> dict[str, Moments]:
    """The moments over clusters of each arm, as `cluster_difference` takes them.

    Args:
        frame: A data frame with one row an individual.
        arm: Column of the arm's name.
        cluster: Column of the cluster that was randomised.
        column: Numeric or boolean column without missing values.
        third: Whether to collect third moments.

    Returns:
        By name of the arm, moments with a row a cluster: `total` (the sum of the column) and `size`.

    Raises:
        ValueError: As for `moments_by_arm`; a missing cluster, or one in two arms, is refused too.
        TypeError: It is no frame that narwhals knows.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame(
        ...     {"arm": ["a", "a", "a", "b"], "city": ["X", "X", "Y", "Z"], "y": [1.0, 2.0, 4.0, 5.0]}
        ... )
        >>> arms = clusters_by_arm(frame, arm="arm", cluster="city", column="y")
        >>> arms["a"].n, arms["a"].mean
        (2, (3.5, 1.5))
    """
    table = _table(frame, [arm, cluster], [column], ())
    found: dict[str, Moments] = {}
    owner: dict[Any, str] = {}
    for name, part in _groups(table, arm):
        clusters, index = _factorize(part[cluster].to_list())
        for each in clusters:
            if owner.setdefault(each, name) != name:
                raise ValueError(f"Cluster {each!r} is in the arms {owner[each]!r} and {name!r}.")
        values = _arrays(part, [column], ())[column]
        found[name] = Moments.from_arrays(
            {"total": np.bincount(index, weights=values), "size": np.bincount(index)}, third=third
        )
    return found


def counts_by_arm(frame: Any, *, arm: str, column: str) -> dict[str, Counts]:
    """The counts of each arm of a frame with one row a randomised unit, for a proportion.

    Args:
        frame: A data frame.
        arm: Column of the arm's name.
        column: Column of booleans, or of zeros and ones, without missing values.

    Raises:
        ValueError: As for `moments_by_arm`, or the column holds other values.
        TypeError: It is no frame that narwhals knows.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"arm": ["a", "a", "b"], "bought": [True, False, True]})
        >>> counts_by_arm(frame, arm="arm", column="bought")
        {'a': Counts(n=2, successes=1), 'b': Counts(n=1, successes=1)}
    """
    counts: dict[str, Counts] = {}
    for name, part in _groups(_table(frame, [arm], [column], ()), arm):
        values = _arrays(part, [column], ())[column]
        if not np.isin(values, (0.0, 1.0)).all():
            raise ValueError(f"Column {column!r} holds other values than 0 and 1; count with moments_by_arm.")
        counts[name] = Counts(len(values), int(values.sum()))
    return counts


def _table(
    frame: Any, keys: Sequence[str], columns: Sequence[str], pre_period: Sequence[str]
) -> "nw.DataFrame[Any]":
    """The frame's columns that are needed, in memory and checked."""
    # Not at the top: who brings moments from an engine need not wait for its import.
    import narwhals as nw

    wanted = [*keys, *columns, *pre_period]
    if len(set(wanted)) < len(wanted):
        raise ValueError(f"Columns are named twice: {wanted!r}.")
    if isinstance(columns, str) or not [*columns, *pre_period]:
        raise ValueError(f"columns are {columns!r}; give a list of at least one, for example ['y'].")
    given = nw.from_native(frame)
    missing = [name for name in wanted if name not in given.collect_schema().names()]
    if missing:
        raise ValueError(f"The frame has no columns {missing!r}; it has {given.collect_schema().names()!r}.")
    chosen = given.select(wanted)
    table = chosen.collect() if isinstance(chosen, nw.LazyFrame) else chosen
    for name in keys:
        absent = int(table[name].is_null().sum())
        if absent:
            raise ValueError(f"Column {name!r} is missing in {absent} rows; leave them out or name them.")
    for name in [*columns, *pre_period]:
        dtype = table[name].dtype
        if not (dtype.is_numeric() or dtype == nw.Boolean):
            raise ValueError(f"Column {name!r} is of type {dtype}; it must be numeric or boolean.")
    return table


def _groups(table: "nw.DataFrame[Any]", key: str) -> Iterator[tuple[str, "nw.DataFrame[Any]"]]:
    """The rows of each value of a key, named by `str`, in order of first appearance."""
    values: dict[str, list[Any]] = {}
    for value in table[key].unique(maintain_order=True).to_list():
        values.setdefault(str(value), []).append(value)
    for name, same in values.items():
        yield name, table.filter(table[key].is_in(same))


def _arrays(part: "nw.DataFrame[Any]", columns: Sequence[str], pre_period: Sequence[str]) -> Columns:
    import narwhals as nw

    def array(name: str) -> NDArray[np.float64]:
        values = part[name].cast(nw.Float64).to_numpy()
        return np.asarray(values, dtype=np.float64)

    return {name: array(name) for name in columns} | fill_missing({name: array(name) for name in pre_period})


def _factorize(labels: list[Any]) -> tuple[list[Any], NDArray[np.intp]]:
    """The distinct labels, and the position of each label among them."""
    positions: dict[Any, int] = {}
    index = [positions.setdefault(label, len(positions)) for label in labels]
    return list(positions), np.array(index, dtype=np.intp)
