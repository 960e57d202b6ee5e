"""Moments: agreement with numpy, merging, numerical safety, and the limits of what is taken."""

import json
import math
from fractions import Fraction
from itertools import combinations_with_replacement, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from equipoise_stats import Moments, merge_moments

values = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
samples = st.lists(st.tuples(values, values), min_size=0, max_size=12)


def moments_of(rows: list[tuple[float, float]]) -> Moments:
    return Moments.from_arrays({"y": [y for y, _ in rows], "x": [x for _, x in rows]})


def exact(rows: list[tuple[float, float]]) -> tuple[list[Fraction], list[list[Fraction]], list[Fraction]]:
    """Means, co-moments and third moments in rational arithmetic."""
    columns = [[Fraction(row[j]) for row in rows] for j in range(2)]
    n = len(rows)
    mean = [sum(column, Fraction(0)) / n for column in columns]
    centred = [[value - m for value in column] for column, m in zip(columns, mean, strict=True)]
    comoments = [
        [sum((a * b for a, b in zip(u, v, strict=True)), Fraction(0)) for v in centred] for u in centred
    ]
    third = [
        sum((centred[i][row] * centred[j][row] * centred[m][row] for row in range(n)), Fraction(0))
        for i, j, m in combinations_with_replacement(range(2), 3)
    ]
    return mean, comoments, third


def assert_exact(moments: Moments, rows: list[tuple[float, float]], tolerance: float = 1e-12) -> None:
    mean, comoments, third = exact(rows)
    scale = [max(float(abs(value)) for value in column) for column in zip(*rows, strict=True)]
    n = len(rows)
    for i in range(2):
        assert moments.mean[i] == pytest.approx(float(mean[i]), abs=tolerance * scale[i])
        for j in range(2):
            bound = tolerance * n * scale[i] * scale[j]
            assert moments.comoments[i][j] == pytest.approx(float(comoments[i][j]), abs=bound)
    assert moments.third is not None
    assert len(moments.third) == 4
    for place, (i, j, m) in enumerate(combinations_with_replacement(range(2), 3)):
        bound = 10 * tolerance * n * scale[i] * scale[j] * scale[m]
        assert moments.third[place] == pytest.approx(float(third[place]), abs=bound)


@given(samples.filter(bool))
def test_moments_of_arrays_are_exact(rows: list[tuple[float, float]]) -> None:
    assert_exact(moments_of(rows), rows)


@given(st.lists(samples, min_size=1, max_size=4).filter(any))
def test_merging_in_any_order_is_the_moments_of_all(parts: list[list[tuple[float, float]]]) -> None:
    everything = [row for part in parts for row in part]
    for order in permutations(parts):
        merged = merge_moments(moments_of(part) for part in order)
        assert merged.n == len(everything)
        assert_exact(merged, everything)


def test_merging_in_any_order_agrees_to_1e_12() -> None:
    generator = np.random.default_rng(1)
    data = generator.lognormal(3, 1.2, size=60_000)
    whole = Moments.from_arrays({"y": data})
    parts = [Moments.from_arrays({"y": part}) for part in np.split(data, [7, 9_000, 9_001, 40_000])]
    for order in permutations(parts):
        merged = merge_moments(order)
        assert merged.third is not None
        assert whole.third is not None
        assert_allclose(merged.mean, whole.mean, rtol=1e-12)
        assert_allclose(merged.comoments, whole.comoments, rtol=1e-12)
        assert_allclose(merged.third, whole.third, rtol=1e-12)


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=30), st.sampled_from([-1e9, 1e9, 2.0**40]))
def test_data_far_from_zero_lose_nothing(numbers: list[int], shift: float) -> None:
    near = Moments.from_arrays({"y": numbers})
    far = Moments.from_arrays({"y": [number + shift for number in numbers]})
    assert far.comoments == near.comoments
    assert far.third == near.third
    half = len(numbers) // 2
    parts = [numbers[:half], numbers[half:]]
    merged = merge_moments(Moments.from_arrays({"y": [v + shift for v in part]}) for part in parts)
    # All that merging may lose is the last digit of the two means.
    spread = max(numbers) - min(numbers)
    assert merged.variance() == pytest.approx(near.variance(), rel=1e-12, abs=4 * math.ulp(shift) * spread)


def test_seven_numbers_at_a_billion() -> None:
    # Raw sums of squares give a variance of 0 here.
    assert Moments.from_arrays({"y": 1e9 + np.arange(7)}).variance() == pytest.approx(28 / 6, rel=1e-15)


def test_constant_data_have_no_variance_at_all() -> None:
    assert Moments.from_arrays({"y": np.full(1000, 0.1)}).variance() == 0.0


def test_variances_and_covariances_are_those_of_numpy() -> None:
    generator = np.random.default_rng(2)
    data = generator.normal(size=(3, 500)) @ np.diag(np.ones(500))
    moments = Moments.from_arrays(dict(zip("abc", data, strict=True)))
    assert_allclose(moments.covariance_matrix(), np.cov(data), rtol=1e-12)
    assert moments.covariance("a", "c") == pytest.approx(np.cov(data)[0, 2], rel=1e-12)
    assert moments.variance("b") == pytest.approx(np.var(data[1], ddof=1), rel=1e-12)


def test_aggregates_as_sql_gives_them() -> None:
    y, x = np.array([1.0, 4.0, 4.5, 9.0]), np.array([0.5, 0.0, 2.0, 3.0])
    centred = y - y.mean(), x - x.mean()
    moments = Moments.from_aggregates(
        4,
        {"y": float(y.mean()), "x": float(x.mean())},
        {"y": float(y.var(ddof=1)), "x": float(x.var(ddof=1))},
        {("x", "y"): float(np.cov(y, x)[0, 1])},
        {
            "y": float((centred[0] ** 3).sum()),
            ("y", "x", "y"): float((centred[0] ** 2 * centred[1]).sum()),
            ("x", "y", "x"): float((centred[0] * centred[1] ** 2).sum()),
            "x": float((centred[1] ** 3).sum()),
        },
    )
    direct = Moments.from_arrays({"y": y, "x": x})
    assert_allclose(moments.comoments, direct.comoments, rtol=1e-14)
    assert moments.third is not None
    assert direct.third is not None
    assert_allclose(moments.third, direct.third, rtol=1e-14)
    assert moments.columns == ("y", "x")


def test_nulls_of_sql_are_taken_where_they_belong() -> None:
    assert Moments.from_aggregates(0, {"y": None}, {"y": None}) == Moments(0, ("y",), (0.0,), ((0.0,),))
    assert Moments.from_aggregates(1, {"y": 3.0}, {"y": None}) == Moments(1, ("y",), (3.0,), ((0.0,),))
    with pytest.raises(ValueError, match="variance of 'y' is missing, though there are 2 units"):
        Moments.from_aggregates(2, {"y": 3.0}, {"y": None})
    with pytest.raises(ValueError, match="mean of 'y' is missing, though there are 1 units"):
        Moments.from_aggregates(1, {"y": None}, {"y": None})
    with pytest.raises(ValueError, match="covariance of 'x' and 'y' is missing"):
        Moments.from_aggregates(2, {"y": 3.0, "x": 1.0}, {"y": 1.0, "x": 1.0})
    with pytest.raises(ValueError, match="third moment of 'y' is missing"):
        Moments.from_aggregates(2, {"y": 3.0}, {"y": 1.0}, third={})
    with pytest.raises(ValueError, match="third moment of 'y', 'x' is missing"):
        Moments.from_aggregates(
            2, {"y": 3.0, "x": 1.0}, {"y": 1.0, "x": 1.0}, {("x", "y"): 0.0}, {"y": 0.0, "x": 0.0}
        )
    assert Moments.from_aggregates(0, {"y": None}, {"y": None}, third={}) == Moments.empty(("y",))


def test_third_moments_are_kept_only_when_both_have_them() -> None:
    with_third, without = Moments.from_arrays({"y": [1, 2, 5]}), Moments.scalar(3, 2.0, 1.0)
    assert with_third.merge(without).third is None
    assert without.merge(with_third).third is None
    assert Moments.from_arrays({"y": [1, 2, 5]}, third=False).third is None


def test_columns_are_selected_in_the_order_asked() -> None:
    moments = Moments.from_arrays({"a": [1.0, 2.0, 4.0], "b": [0.0, 1.0, 0.0], "c": [3.0, 1.0, 1.0]})
    chosen = moments.select(["c", "a"])
    asked = Moments.from_arrays({"c": [3.0, 1.0, 1.0], "a": [1.0, 2.0, 4.0]})
    assert (chosen.columns, chosen.mean, chosen.comoments) == (asked.columns, asked.mean, asked.comoments)
    assert chosen.third == pytest.approx(asked.third, rel=1e-14)
    assert Moments.scalar(3, 1.0, 1.0).select(["y"]).third is None


@given(samples.filter(bool), st.floats(-100, 100), st.floats(-100, 100))
def test_linear_combinations_are_those_of_the_data(
    rows: list[tuple[float, float]], a: float, b: float
) -> None:
    moments = moments_of(rows).linear({"s": {"y": a, "x": b}, "x": {"x": 1.0}})
    data = np.array(rows)
    score = a * data[:, 0] + b * data[:, 1]
    direct = Moments.from_arrays({"s": score, "x": data[:, 1]})
    scale = 1e-13 * len(rows) * max(1.0, float(np.abs(data).max())) * (abs(a) + abs(b) + 1)
    assert_allclose(moments.mean, direct.mean, atol=scale)
    assert_allclose(moments.comoments, direct.comoments, atol=scale * 1e8, rtol=1e-9)


def third(moments: Moments) -> list[float]:
    assert moments.third is not None
    return list(moments.third)


@given(st.integers(1, 4), st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_third_moments_are_those_of_numpy_and_of_combinations(k: int, n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    data = generator.lognormal(size=(k, n)) @ np.diag(generator.integers(0, 2, n) + 1.0)
    names = [f"c{i}" for i in range(k)]
    moments = Moments.from_arrays(dict(zip(names, data, strict=True)))
    centred = data - data.mean(axis=1, keepdims=True)
    cube = np.einsum("in,jn,ln->ijl", centred, centred, centred)
    expected = [cube[at] for at in combinations_with_replacement(range(k), 3)]
    size = 1e-12 * n * np.abs(centred).max() ** 3
    assert_allclose(third(moments), expected, atol=size)
    for at in np.ndindex(k, k, k):
        assert moments.third_moment(*at) == pytest.approx(cube[at], abs=size)
    weights = generator.normal(size=(2, k))
    score = moments.linear({f"s{i}": dict(zip(names, row, strict=True)) for i, row in enumerate(weights)})
    direct = Moments.from_arrays({f"s{i}": row @ data for i, row in enumerate(weights)})
    assert_allclose(third(score), third(direct), atol=100 * size * max(1, np.abs(weights).max()) ** 3)
    half = n // 2
    parts = [
        Moments.from_arrays(dict(zip(names, part, strict=True))) for part in (data[:, :half], data[:, half:])
    ]
    assert_allclose(third(merge_moments(parts)), expected, atol=size)


def test_third_moments_that_are_unknown_stay_so() -> None:
    without = Moments.scalar(3, 1.0, 1.0)
    assert without.linear({"s": {"y": 2.0}}).third is None
    with pytest.raises(ValueError, match="not collected"):
        without.third_moment(0, 0, 0)


def test_third_moments_that_overflow_are_unknown_and_nothing_else() -> None:
    huge = Moments.from_arrays({"y": [0.0, 3e110, 6e110]})
    assert (huge.third, huge.mean) == (None, (3e110,))
    assert Moments.from_arrays({"y": [0.0, 1e90]}).linear({"s": {"y": 1e30}}).third is None
    near, far = (Moments.scalar(9, mean, 1.0, 1.0) for mean in (0.0, 1e110))
    both = near.merge(far)
    assert (both.n, both.third) == (18, None)
    assert both.comoments[0][0] == pytest.approx(4.5e220)


def test_a_combination_without_spread_has_no_negative_one() -> None:
    generator = np.random.default_rng(6)
    for _ in range(100):  # about half of them come out below 0 by a rounding error
        y, times = generator.random(5), float(generator.random())
        moments = Moments.from_arrays({"y": y, "z": times * y})
        assert 0 <= moments.linear({"none": {"z": 1.0, "y": -times}}).comoments[0][0] < 1e-15


def test_dictionaries_come_back_exactly() -> None:
    for moments in (moments_of([(0.1, 1 / 3), (2.0, 1e-300)]), Moments.scalar(5, math.pi, 1e-17)):
        assert Moments.from_dict(json.loads(json.dumps(moments.to_dict()))) == moments


def test_the_only_column_needs_no_name() -> None:
    assert Moments.scalar(3, 1.0, 2.0).variance() == 2.0
    with pytest.raises(ValueError, match="Name one of the columns"):
        moments_of([(1.0, 2.0)]).index()
    with pytest.raises(KeyError, match="no column 'z'"):
        moments_of([(1.0, 2.0)]).index("z")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": -1}, "n is -1"),
        ({"columns": ()}, "at least one is needed"),
        ({"columns": ("a", "a")}, "each named once"),
        ({"mean": (1.0,)}, "need 2 means"),
        ({"comoments": ((1.0, 0.0),)}, "2 × 2"),
        ({"comoments": ((1.0, 0.0), (0.0,))}, "2 × 2"),
        ({"third": (1.0, 2.0)}, "need 4 third moments, not 2"),
        ({"mean": (1.0, math.nan)}, "'b' is not a finite"),
        ({"comoments": ((math.inf, 0.0), (0.0, 1.0))}, "'a' is not a finite"),
        ({"comoments": ((-1e-9, 0.0), (0.0, 1.0))}, "'a' is negative"),
        ({"comoments": ((1.0, 0.5), (0.4, 1.0))}, "'b' are not symmetric"),
        ({"third": (1.0, 0.0, 0.0, math.nan)}, "A third moment of columns .*'b'"),
    ],
)
def test_impossible_moments_are_refused(changes: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "n": 3,
        "columns": ("a", "b"),
        "mean": (1.0, 2.0),
        "comoments": ((1.0, 0.5), (0.5, 1.0)),
        "third": (0.0, 0.0, 0.0, 0.0),
    }
    assert Moments(**good).n == 3
    with pytest.raises(ValueError, match=message):
        Moments(**{**good, **changes})


def test_impossible_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="'y' holds 2 values that are not finite"):
        Moments.from_arrays({"y": [1.0, math.nan, math.inf]})
    with pytest.raises(ValueError, match="different lengths"):
        Moments.from_arrays({"y": [1.0], "x": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        Moments.from_arrays({"y": [[1.0, 2.0]]})
    with pytest.raises(ValueError, match="at least one"):
        Moments.from_arrays({})


def test_a_variance_needs_two_units() -> None:
    one = moments_of([(1.0, 2.0)])
    for ask in (lambda: one.variance("y"), lambda: one.covariance("y", "x"), one.covariance_matrix):
        with pytest.raises(ValueError, match="at least two units; there are 1"):
            ask()


def test_merging_needs_parts_with_the_same_columns() -> None:
    with pytest.raises(ValueError, match="do not match"):
        Moments.scalar(2, 1.0, 1.0).merge(Moments.scalar(2, 1.0, 1.0, column="x"))
    with pytest.raises(ValueError, match="nothing to merge"):
        merge_moments([])
