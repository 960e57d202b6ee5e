"""Covariates that some units lack: two columns, and no choice of a value for them."""

import math

import numpy as np
import pytest
from tests.stats.estimates import known
from tests.stats.units import adjust, units

from equipoise_stats import (
    fill_missing,
)


def test_missing_values_become_two_columns() -> None:
    filled = fill_missing({"x": [1.0, math.nan, -2.0], "z": [math.nan, 0.0, 5.0]})
    assert list(filled) == ["x", "has_x", "z", "has_z"]
    assert [column.tolist() for column in filled.values()] == [
        [1.0, 0.0, -2.0],
        [1.0, 0.0, 1.0],
        [0.0, 0.0, 5.0],
        [0.0, 1.0, 1.0],
    ]
    with pytest.raises(ValueError, match="infinite"):
        fill_missing({"x": [math.inf]})
    with pytest.raises(ValueError, match="'has_x' already exists"):
        fill_missing({"x": [1.0], "has_x": [1.0]})


def test_a_missing_pre_period_is_the_choice_of_any_value() -> None:
    """With the indicator, what stands in for the missing value cannot matter."""
    generator = np.random.default_rng(30)
    pair, other = [], []
    for seed in (31, 32):
        arm = units(seed, 600, covariates=1)
        gone = generator.random(600) < 0.4
        arm["y"] += 3 * gone
        pair.append({"y": arm["y"]} | fill_missing({"x0": np.where(gone, np.nan, arm["x0"])}))
        other.append(pair[-1] | {"x0": np.where(gone, 7.7, arm["x0"])})
    a, b = (known(adjust(arms[0], arms[1], ["x0", "has_x0"])) for arms in (pair, other))
    assert a.difference == pytest.approx(b.difference, rel=1e-9)
    assert a.variance == pytest.approx(b.variance, rel=1e-9)
    without = known(adjust(pair[0], pair[1], ["x0"]))
    assert a.variance < without.variance
