"""Moments from data frames: the same from every kind of frame, and clear words for what cannot be taken."""

import math
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise_stats import (
    Counts,
    Moments,
    clusters_by_arm,
    counts_by_arm,
    fill_missing,
    moments_by_arm,
    moments_by_stratum,
)

DATA: dict[str, list[Any]] = {
    "arm": ["control", "new", "control", "new", "other", "control"],
    "country": ["DE", "DE", "FR", "FR", "DE", "DE"],
    "y": [1.5, 2.0, 4.0, 8.0, 0.0, -1.0],
    "orders": [1, 0, 3, 2, 5, 0],
    "bought": [True, False, True, True, True, False],
    "before": [2.0, None, 3.0, 1.0, None, 0.5],
}


def frames() -> list[Any]:
    table = pa.table(DATA)
    connection = duckdb.connect()
    connection.register("facts", table)
    return [pd.DataFrame(DATA), table, connection.sql("select * from facts")]


def by_hand(arm: str) -> Moments:
    at = [i for i, name in enumerate(DATA["arm"]) if name == arm]
    before = [math.nan if DATA["before"][i] is None else DATA["before"][i] for i in at]
    plain = {name: np.array(DATA[name], dtype=float)[at] for name in ("y", "orders", "bought")}
    return Moments.from_arrays(plain | fill_missing({"before": before}))


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["pandas", "pyarrow", "duckdb"])
def test_every_kind_of_frame_gives_the_same(kind: int) -> None:
    frame = frames()[kind]
    arms = moments_by_arm(frame, arm="arm", columns=["y", "orders", "bought"], pre_period=["before"])
    assert sorted(arms) == ["control", "new", "other"]
    for name, moments in arms.items():
        assert moments == by_hand(name)
        assert moments.columns == ("y", "orders", "bought", "before", "has_before")
    assert moments_by_arm(frame, arm="arm", columns=["y"], third=False)["new"].third is None
    strata = moments_by_stratum(frame, arm="arm", stratum="country", columns=["y"])
    assert {name: sorted(cells) for name, cells in strata.items()} == {
        "control": ["DE", "FR"],
        "new": ["DE", "FR"],
        "other": ["DE"],
    }
    assert strata["control"]["DE"] == Moments.from_arrays({"y": [1.5, -1.0]})
    assert moments_by_stratum(frame, arm="arm", stratum="country", columns=["y"], third=False)["new"][
        "FR"
    ] == Moments.from_arrays({"y": [8.0]}, third=False)
    assert counts_by_arm(frame, arm="arm", column="bought") == {
        "control": Counts(3, 2),
        "new": Counts(2, 1),
        "other": Counts(1, 1),
    }


def test_arms_come_in_order_and_by_name() -> None:
    frame = pd.DataFrame({"group": [2, 1, 2, 1], "y": [1.0, 2.0, 3.0, 4.0]})
    arms = moments_by_arm(frame, arm="group", columns=["y"])
    assert list(arms) == ["2", "1"]
    assert arms["1"].mean == (3.0,)
    mixed = pd.DataFrame({"group": pd.Series([1, "1"], dtype=object), "y": [1.0, 2.0]})
    assert moments_by_arm(mixed, arm="group", columns=["y"])["1"].n == 2


@given(st.lists(st.tuples(st.sampled_from("XYZ"), st.integers(-50, 50)), min_size=1, max_size=30))
def test_clusters_are_sums_and_sizes(rows: list[tuple[str, int]]) -> None:
    frame = pd.DataFrame({"arm": "a", "city": [c for c, _ in rows], "y": [v for _, v in rows]})
    cities = sorted({c for c, _ in rows})
    found = clusters_by_arm(frame, arm="arm", cluster="city", column="y")["a"]
    totals = [sum(v for c, v in rows if c == city) for city in cities]
    sizes = [sum(c == city for c, _ in rows) for city in cities]
    expected = Moments.from_arrays({"total": totals, "size": sizes})
    assert found.n == len(cities)
    assert found.mean == pytest.approx(expected.mean)
    for row, other in zip(found.comoments, expected.comoments, strict=True):
        assert row == pytest.approx(other, abs=1e-9)
    assert clusters_by_arm(frame, arm="arm", cluster="city", column="y", third=False)["a"].third is None


def test_a_cluster_lies_in_one_arm() -> None:
    frame = pd.DataFrame({"arm": ["a", "b"], "city": ["X", "X"], "y": [1.0, 2.0]})
    with pytest.raises(ValueError, match="Cluster 'X' is in the arms 'a' and 'b'"):
        clusters_by_arm(frame, arm="arm", cluster="city", column="y")


def test_decimals_and_big_integers_are_numbers() -> None:
    table = pa.table({"arm": ["a", "a"], "y": [Decimal("1.50"), Decimal("2.50")], "n": [2**52, 2**52 + 2]})
    moments = moments_by_arm(table, arm="arm", columns=["y", "n"])["a"]
    assert moments.mean == (2.0, float(2**52 + 1))
    assert moments.variance("n") == 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arm": "arm", "columns": ["z"]}, r"no columns \['z'\]; it has \['arm', 'y', 'hole', 'word'\]"),
        ({"arm": "who", "columns": ["y"]}, r"no columns \['who'\]"),
        ({"arm": "arm", "columns": []}, "at least one"),
        ({"arm": "arm", "columns": "y"}, "at least one"),
        ({"arm": "arm", "columns": ["y", "y"]}, "named twice"),
        ({"arm": "arm", "columns": ["y"], "pre_period": ["y"]}, "named twice"),
        ({"arm": "arm", "columns": ["hole"]}, "Column 'hole' holds 1 values that are not finite"),
        ({"arm": "arm", "columns": ["word"]}, "'word' is of type String; it must be numeric"),
        ({"arm": "word", "columns": ["y"]}, "Column 'word' is missing in 1 rows"),
    ],
)
def test_what_cannot_be_taken_is_said(arguments: dict[str, Any], message: str) -> None:
    table = pa.table({"arm": ["a", "b"], "y": [1.0, 2.0], "hole": [1.0, None], "word": ["x", None]})
    with pytest.raises(ValueError, match=message):
        moments_by_arm(table, **arguments)
    with pytest.raises(TypeError):
        moments_by_arm([1, 2], arm="arm", columns=["y"])


def test_counts_are_of_zeros_and_ones() -> None:
    frame = pd.DataFrame({"arm": ["a", "a"], "y": [0.0, 2.0]})
    with pytest.raises(ValueError, match="other values than 0 and 1"):
        counts_by_arm(frame, arm="arm", column="y")


def test_large_frames_lose_nothing() -> None:
    generator = np.random.default_rng(1)
    y = 1e9 + generator.normal(size=100_000)
    frame = pd.DataFrame({"arm": generator.integers(0, 2, 100_000), "y": y})
    arms = moments_by_arm(frame, arm="arm", columns=["y"])
    for name, moments in arms.items():
        assert moments.variance() == pytest.approx(
            np.var(y[frame["arm"] == int(name)] - 1e9, ddof=1), rel=1e-9
        )
