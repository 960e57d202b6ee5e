"""The sufficient statistics of the event store, against plain Python with exact arithmetic on random data."""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import NotFinite, Statistics
from equipoise_service.analysis.store import analyse_store
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import MetricType
from equipoise_stats import Counts, Moments

START = datetime(2026, 3, 1)
AS_OF = datetime(2026, 4, 1, tzinfo=UTC)
MEASURES = (
    Measure("bought", MetricType.PROPORTION, "purchase"),
    Measure("spent", MetricType.MEAN, "purchase"),
    Measure("load-time", MetricType.MEAN, "page"),
)
REQUEST = StoreRequest("default/production", "exp", 2, "user", MEASURES, AS_OF)


@dataclass(frozen=True)
class Exposure:
    place: str
    time: datetime
    received_at: datetime
    unit_type: str
    unit: str
    experiment: str
    variant: str
    revision: int


@dataclass(frozen=True)
class Event:
    place: str
    time: datetime
    received_at: datetime
    unit_type: str
    unit: str
    name: str
    value: float | None


class Store:
    """The two tables of the event store, in memory."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.backend = ibis.duckdb.from_connection(self.connection)

    def fill(self, exposures: list[Exposure], events: list[Event]) -> None:
        self._fill("exposures", Exposure, exposures)
        self._fill("events", Event, events)

    def _fill(self, name: str, kind: type, rows: list[Any]) -> None:
        types = {datetime: pa.timestamp("us"), str: pa.string(), int: pa.int32(), float | None: pa.float64()}
        columns = {
            field: pa.array([getattr(row, field) for row in rows], types[type_])
            for field, type_ in kind.__annotations__.items()
        }
        incoming = pa.table(columns)
        self.connection.register("incoming", incoming)
        self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
        self.connection.unregister("incoming")


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.connection.close()


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 6 + list(others))


# Few distinct times, so that ties happen.
TIMES = st.integers(0, 6).map(lambda minutes: START + timedelta(minutes=minutes))
UNITS = st.integers(0, 8).map(lambda number: f"unit-{number}")
COMMON = {
    "place": mostly("default/production", "default/staging"),
    "time": TIMES,
    "received_at": TIMES,
    "unit_type": mostly("user", "device"),
    "unit": UNITS,
}
EXPOSURES = st.lists(
    st.builds(
        Exposure,
        **COMMON,
        experiment=mostly("exp", "other"),
        variant=st.sampled_from(["control", "a", "b"]),
        revision=mostly(2, 1),
    ),
    max_size=20,
)
EVENTS = st.lists(
    st.builds(
        Event,
        **COMMON,
        name=st.sampled_from(["purchase", "page", "else"]),
        value=st.none() | st.floats(-1e6, 1e6, width=32) | st.integers(0, 5).map(float),
    ),
    max_size=40,
)


def reference(exposures: list[Exposure], events: list[Event]) -> tuple[dict[str, Any], int]:
    """Per arm: units, and per metric the exact values of its units; and the number of crossovers."""
    shown: dict[str, list[Exposure]] = defaultdict(list)
    for e in exposures:
        if (e.place, e.experiment, e.revision, e.unit_type) == ("default/production", "exp", 2, "user"):
            shown[e.unit].append(e)
    stayed = {unit: rows for unit, rows in shown.items() if len({row.variant for row in rows}) == 1}
    arms: dict[str, Any] = defaultdict(lambda: {measure.metric: [] for measure in MEASURES})
    for unit, rows in stayed.items():
        first = min(row.time for row in rows)
        for measure in MEASURES:
            values = [
                Fraction(e.value or 0)
                for e in events
                if (e.place, e.unit_type, e.unit, e.name)
                == ("default/production", "user", unit, measure.name)
                and e.time >= first
            ]
            value = (
                Fraction(bool(values)) if measure.type is MetricType.PROPORTION else sum(values, Fraction())
            )
            arms[rows[0].variant][measure.metric].append(value)
    return dict(arms), len(shown) - len(stayed)


def assert_same(statistics: Statistics, exposures: list[Exposure], events: list[Event]) -> None:
    arms, crossovers = reference(exposures, events)
    assert statistics.crossovers == crossovers
    assert statistics.arms.keys() == arms.keys()
    for variant, metrics in arms.items():
        for metric, values in metrics.items():
            found = statistics.arms[variant].values[metric]
            assert statistics.arms[variant].units == len(values)
            if isinstance(found, Counts):
                assert found == Counts(len(values), int(sum(values)))
                continue
            assert isinstance(found, Moments)
            mean = sum(values) / len(values)
            largest = float(max(map(abs, values)))
            assert found.n == len(values)
            assert found.mean[0] == pytest.approx(float(mean), rel=1e-12, abs=1e-13 * largest)
            squares = float(sum((value - mean) ** 2 for value in values))
            assert found.comoments[0][0] == pytest.approx(squares, rel=1e-11, abs=1e-13 * largest**2)


@settings(max_examples=120, deadline=None)
@given(exposures=EXPOSURES, events=EVENTS)
def test_equals_plain_python(store: Store, exposures: list[Exposure], events: list[Event]) -> None:
    store.fill(exposures, events)
    statistics = analyse_store(store.backend, REQUEST)
    assert_same(statistics, exposures, events)
    here = "default/production"
    received = [exposure.received_at for exposure in exposures if exposure.place == here]
    received += [event.received_at for event in events if event.place == here]
    assert statistics.watermark == max(received, default=None)
    assert statistics.incomplete_rows is None


def exposed(unit: str, variant: str, minute: int = 0) -> Exposure:
    time = START + timedelta(minutes=minute)
    return Exposure("default/production", time, time, "user", unit, "exp", variant, 2)


def purchase(unit: str, minute: int, value: float | None = None) -> Event:
    time = START + timedelta(minutes=minute)
    return Event("default/production", time, time, "user", unit, "purchase", value)


def test_an_event_at_the_moment_of_the_first_exposure_counts_and_one_before_it_does_not(store: Store) -> None:
    store.fill(
        [exposed("u", "control", 5), exposed("u", "control", 3), exposed("v", "control", 3)],
        [purchase("u", 3, 2.0), purchase("v", 2, 7.0), purchase("u", 4, 1.0)],
    )
    values = analyse_store(store.backend, REQUEST).arms["control"].values
    assert values["bought"] == Counts(2, 1)
    assert values["spent"].mean == (1.5,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [{"place": "default/staging"}, {"unit_type": "device"}, {"experiment": "other"}, {"revision": 1}],
)
def test_exposures_to_something_else_do_not_count(store: Store, change: dict[str, Any]) -> None:
    others = [replace(exposed("u", "a", 1), **change), replace(exposed("v", "a", 1), **change)]
    store.fill([exposed("u", "control", 5), *others], [purchase("u", 2)])
    statistics = analyse_store(store.backend, REQUEST)
    assert (list(statistics.arms), statistics.crossovers) == (["control"], 0)
    assert statistics.arms["control"].values["bought"] == Counts(1, 0)


@pytest.mark.parametrize(
    "change", [{"place": "default/staging"}, {"unit_type": "device"}, {"name": "else"}, {"unit": "U"}]
)
def test_events_of_something_else_do_not_count(store: Store, change: dict[str, Any]) -> None:
    store.fill([exposed("u", "control")], [replace(purchase("u", 2, 5.0), **change)])
    values = analyse_store(store.backend, REQUEST).arms["control"].values
    assert values["bought"] == Counts(1, 0)
    assert values["spent"].mean == (0.0,)  # type: ignore[union-attr]


def test_a_plan_without_metrics_still_counts_the_units(store: Store) -> None:
    store.fill([exposed("u", "control"), exposed("v", "a"), exposed("w", "a"), exposed("w", "control")], [])
    statistics = analyse_store(store.backend, StoreRequest("default/production", "exp", 2, "user", (), AS_OF))
    assert {variant: arm.units for variant, arm in statistics.arms.items()} == {"a": 1, "control": 1}
    assert statistics.crossovers == 1


def test_an_empty_store_has_no_arms_and_no_watermark(store: Store) -> None:
    store.fill([], [])
    statistics = analyse_store(store.backend, REQUEST)
    assert (statistics.arms, statistics.crossovers, statistics.watermark) == ({}, 0, None)


@pytest.mark.parametrize("shift", [0.0, 1e9, -1e9])
def test_values_far_from_zero_keep_mean_and_variance(store: Store, shift: float) -> None:
    units = 20_000
    values = [shift + (i * 7919 % 1000) / 1024 for i in range(units)]
    store.fill(
        [exposed(f"u{i}", "control") for i in range(units)],
        [purchase(f"u{i}", 1, value) for i, value in enumerate(values)],
    )
    moments = analyse_store(store.backend, REQUEST).arms["control"].values["spent"]
    assert isinstance(moments, Moments)
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / units
    variance = float(sum((value - mean) ** 2 for value in exact) / (units - 1))
    assert moments.variance() == pytest.approx(variance, rel=1e-9)
    standard_error = math.sqrt(variance / units)
    assert abs(float(Fraction(moments.mean[0]) - mean)) < max(1e-4 * standard_error, math.ulp(shift))


@pytest.mark.parametrize("values", [(1e308, 1e308), (1e200, -1e200), (1e308, -1e308)])
def test_values_too_large_to_add_are_named_not_made_up(store: Store, values: tuple[float, float]) -> None:
    store.fill(
        [exposed("u", "control"), exposed("v", "control"), exposed("w", "a")],
        [purchase("u", 1, values[0]), purchase("v", 1, values[1])],
    )
    arms = analyse_store(store.backend, REQUEST).arms
    assert arms["control"].values["spent"] == NotFinite(2)
    assert arms["control"].values["bought"] == Counts(2, 2)
    assert arms["a"].values["spent"] == Moments(1, ("y",), (0.0,), ((0.0,),), (0.0,))


@pytest.mark.parametrize("value", [1e99, 1e101, 1e110, 1e150])
def test_values_too_large_for_third_powers_have_none_and_all_else(store: Store, value: float) -> None:
    store.fill(
        [exposed(unit, "control") for unit in "tuvw"],
        [purchase("u", 1, value), purchase("v", 1, 1.0), purchase("w", 1, -value)],
    )
    found = analyse_store(store.backend, REQUEST).arms["control"].values["spent"]
    assert isinstance(found, Moments)
    assert found.variance() == pytest.approx(2 * value * value / 3)
    if value > 1e100:
        assert found.third is None
    else:
        assert found.third is not None
        assert list(found.third) == [pytest.approx(0.0, abs=1e-9 * value**3)]
