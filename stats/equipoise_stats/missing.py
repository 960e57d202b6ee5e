"""Covariates that some units do not have: no pre-period, because they are new."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fill_missing(covariates: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
    """Two columns for each covariate: its value, 0 where missing, and whether there is one.

    With both as covariates, units with and without a pre-period are adjusted each in their own way and nobody
    is left out. In SQL: `coalesce(x, 0)` and `case when x is null then 0 else 1 end`.

    Args:
        covariates: An array of shape (n,) for each covariate, NaN where a unit has none.

    Returns:
        `NAME` and `has_NAME` (0 or 1) for each, in this order.

    Raises:
        ValueError: A value is infinite, or `has_NAME` is the name of another covariate.

    Source:
        Deng, Xu, Kohavi and Walker 2013, WSDM; Cohen and Cohen 1983, Applied Multiple Regression, chapter 7
        (missing values as a covariate of their own).

    Example:
        >>> {name: column.tolist() for name, column in fill_missing({"x": [2.0, float("nan")]}).items()}
        {'x': [2.0, 0.0], 'has_x': [1.0, 0.0]}
    """
    columns: dict[str, NDArray[np.float64]] = {}
    for name, values in covariates.items():
        data = np.asarray(values, dtype=np.float64)
        if np.isinf(data).any():
            raise ValueError(f"Covariate {name!r} holds infinite values; only NaN stands for a missing one.")
        if f"has_{name}" in covariates:
            raise ValueError(f"Covariate 'has_{name}' already exists; rename it.")
        missing = np.isnan(data)
        columns[name] = np.where(missing, 0.0, data)
        columns[f"has_{name}"] = (~missing).astype(np.float64)
    return columns
