"""How values are spread: counts of bins against every unit's value, and bins that people can read."""

import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.aggregates.test_refresh import KEEPING, START, met, opened, send, spent, variant_of

from equipoise_service.aggregates.service import analyse
from equipoise_service.analysis import distributions
from equipoise_service.analysis.distributions import ArmCounts, Counts, bin_of, edge
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.spreading import LEAST_IN_TAIL, MOST_BINS, Distribution, spread
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, MetricType

SPENT = Measure("spent", MetricType.MEAN, "buy")
# Mature an hour after the first exposures, and 20 hours later for the others.
SOON = Measure("soon", MetricType.MEAN, "buy", Aggregation.MAXIMUM, window_hours=60)
CUT = Measure("cut", MetricType.MEAN, "buy", winsorize=0.5)
BOUGHT = Measure("bought", MetricType.PROPORTION, "buy")
REQUEST = StoreRequest(
    "default/a", "exp", 1, "user", (SPENT, SOON, BOUGHT), START + timedelta(hours=48 + 61), deletions=0
)

somewhere = st.floats(-(10.0**14), 10.0**14).filter(lambda value: abs(value) >= 1e-8)
on_edges = st.builds(
    lambda digits, power, sign: sign * float(f"{digits}e{power}"),
    st.integers(10, 99),
    st.integers(-9, 13),
    st.sampled_from([1, -1]),
)


def bins_of(*values: float) -> list[int]:
    table = ibis.memtable(pa.table({"place": range(len(values)), "value": values}))
    numbered = table.select("place", bin=bin_of(table.value)).order_by("place")
    found: list[int] = ibis.duckdb.connect().to_pyarrow(numbered)["bin"].to_pylist()
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(somewhere, on_edges), min_size=1, max_size=50))
def test_each_value_is_between_the_edges_of_its_bin(values: list[float]) -> None:
    """An edge belongs to the bin that is farther from zero, however its digits were rounded."""
    for value, number in zip(values, bins_of(*values), strict=True):
        assert math.copysign(1, number) == math.copysign(1, value)
        assert edge(abs(number)) <= abs(value) * (1 + 1e-8)
        assert abs(value) < edge(abs(number) + 1) * (1 - 1e-12)


@pytest.mark.parametrize(
    ("value", "low", "high"), [(0.1 + 0.2, 0.30, 0.31), (1000.0, 1000.0, 1100.0), (0.07, 0.070, 0.071)]
)
def test_numbers_that_people_write_are_at_the_beginning_of_their_bin(
    value: float, low: float, high: float
) -> None:
    one, other = bins_of(value, -value)
    assert (edge(one), edge(one + 1)) == (low, high)
    assert other == -one


def test_numbers_beyond_all_bins_are_in_the_outermost() -> None:
    small, large, negative = bins_of(1e-9, 1e300, -1e300)
    assert [edge(small), edge(large), edge(-negative)] == [1e-9, 1e15, 1e15]


def is_drawn(unit: int, halvings: int) -> bool:
    return int(md5(f"v{unit}".encode()).hexdigest()[:8], 16) >> 1 < 1 << (31 - halvings)


def expected(exposed: dict[int, set[str]], values: dict[int, float], halvings: int) -> Distribution:
    """From every unit's variants and value: a whole number from 10 to 99, each in a bin of its own."""
    arms = {}
    for variant in ("control", "treatment"):
        theirs = [unit for unit, found in exposed.items() if found == {variant} and is_drawn(unit, halvings)]
        bins = Counter(900 + round(values[unit]) - 9 for unit in theirs if unit in values)
        arms[variant] = ArmCounts(len(theirs), bins)
    return spread(Counts(halvings, arms))


@pytest.mark.parametrize("kept", KEEPING)
@pytest.mark.parametrize("cut", [False, True])
def test_the_same_units_are_drawn_by_a_refresh_that_everything_is_counted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, cut: bool
) -> None:
    """Also where more units come, so that half as many of them are drawn."""
    monkeypatch.setattr(distributions, "MOST_DRAWN", 100)
    request = replace(REQUEST, measures=(*REQUEST.measures, CUT)) if cut else REQUEST
    exposed: dict[int, set[str]] = {}
    values: dict[int, float] = {}
    late = range(120, 151)

    with opened(tmp_path) as store:

        def found_after(shown: dict[int, str], more: dict[int, float]) -> dict[str, Distribution]:
            for unit, variant in shown.items():
                exposed.setdefault(unit, set()).add(variant)
            for unit, value in more.items():
                values[unit] = values.get(unit, 0) + value
            send(
                store,
                [met(unit, variant, 68 if unit in late else 48) for unit, variant in shown.items()],
                [spent(unit, value, 70) for unit, value in more.items()],
            )
            return dict(analyse(store, request, KEEPING[kept]).distributions)

        first = {unit: 10.0 + unit % 37 for unit in range(0, 150, 3)}
        found = found_after({unit: variant_of(unit) for unit in range(150)}, first)
        assert set(found) == {"spent", "soon", *(["cut"] if cut else [])}
        assert found["spent"] == expected(exposed, values, 1)
        # Their windows have not passed.
        mature = {unit: variants for unit, variants in exposed.items() if unit not in late}
        assert found["soon"] == expected(mature, values, 1)
        # Some spend more, one is new, one met both.
        found = found_after({150: "control", 9: variant_of(10)}, {3: 20.0, 6: 11.0, 12: 7.0, 7: 30.0})
        assert found["spent"] == expected(exposed, values, 1)
        # All values are looked at before any is cut.
        assert not cut or found["cut"] == found["spent"]
        second = {unit: 10.0 + unit % 37 for unit in range(151, 330, 3)}
        found = found_after({unit: variant_of(unit) for unit in range(151, 330)}, second)
        assert found["spent"] == expected(exposed, values, 2)
        # Nothing is new.
        assert analyse(store, request, KEEPING[kept]).distributions == found


bins = st.dictionaries(
    st.one_of(st.integers(-1500, 1500), st.integers(800, 1000)).filter(bool),
    st.integers(1, 400),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(bins, bins)
def test_wider_bins_hold_the_same_units(control: dict[int, int], treatment: dict[int, int]) -> None:
    arms = {
        "control": ArmCounts(sum(control.values()) + 5, control),
        "treatment": ArmCounts(sum(treatment.values()), treatment),
    }
    found = spread(Counts(3, arms))
    edges = list(found.edges or ())
    assert edges == sorted(set(edges))
    assert len(edges) < MOST_BINS
    pooled = [0] * (len(edges) + 1)
    for variant, arm in arms.items():
        shown = found.arms[variant]
        wider = [0] * (len(edges) + 1)
        for number, units in arm.bins.items():
            # The middle of a narrow bin is in it, whichever end belongs to it.
            middle = (edge(number) + edge(number + (1 if number > 0 else -1))) / 2
            wider[sum(each <= middle for each in edges)] += units
        assert list(shown.counts) == wider
        assert (shown.drawn, shown.zero) == (arm.drawn, arm.drawn - sum(arm.bins.values()))
        pooled = [one + other for one, other in zip(pooled, wider, strict=True)]
    if edges:
        # Nobody sees the smallest value, or the largest one.
        assert min(pooled[0], pooled[-1]) >= LEAST_IN_TAIL


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        # Whole numbers have a bin each.
        ({1: 500, 2: 300, 3: 200, 4: 100, 5: 60}, (2.0, 3.0, 4.0, 5.0)),
        # Values near 50 are told apart by ones.
        (dict.fromkeys(range(45, 56), 100), tuple(map(float, range(46, 56)))),
        # What is far beyond the others is in the last bin with them.
        ({1: 500, 2: 300, 3: 200, 4_000_000: 1}, (2.0, 3.0)),
    ],
)
def test_bins_are_as_the_values_are(values: dict[int, int], edges: tuple[float, ...]) -> None:
    numbers = {}
    for value, units in values.items():
        numbers[next(number for number in range(1, 2200) if edge(number) == value)] = units
    assert spread(Counts(0, {"control": ArmCounts(2000, numbers)})).edges == edges


def test_few_values_are_not_shown() -> None:
    found: Any = spread(Counts(0, {"control": ArmCounts(100, {811: 9, 900: 10})}))
    assert found.edges is None
    assert found.arms["control"].counts == (19,)
    assert found.arms["control"].zero == 81
