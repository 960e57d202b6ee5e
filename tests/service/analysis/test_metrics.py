"""Every kind of metric, alone and in company, against plain Python on random small data."""

import json
import random
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.analysis.metric_reference import PLACE, START, Event, Exposure, assert_same, reference

from equipoise_service.analysis import asking
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.store import analyse_store
from equipoise_service.analysis.stretches import pays
from equipoise_service.analysis.value_columns import ingredients
from equipoise_service.plans.documents import PlannedMetric

AS_OF = START + timedelta(hours=60)
COUNTRIES = {"property": "country", "operator": "in", "value": ["DE", 5.0]}
DEFINITIONS: list[dict[str, Any]] = [
    {"type": "mean"},
    {"type": "mean", "aggregation": "count"},
    {"type": "mean", "aggregation": "maximum"},
    {"type": "mean", "aggregation": "last"},
    {"type": "proportion", "delay_hours": 2},
    {"type": "proportion", "window_hours": 24},
    {"type": "mean", "delay_hours": 3, "window_hours": 24},
    {"type": "mean", "aggregation": "last", "window_hours": 48, "filters": [COUNTRIES]},
    {"type": "mean", "filters": [{"operator": "between", "value": [1.0, 3.0]}]},
    {"type": "mean", "filters": [{"operator": "less_than", "value": 3.0}], "aggregation": "count"},
    {"type": "proportion", "filters": [{"property": "country", "operator": "equals", "value": "5"}]},
    {"type": "proportion", "filters": [{"property": "new", "operator": "equals", "value": True}]},
    {"type": "mean", "filters": [{"property": "country", "operator": "at_least", "value": 1}, COUNTRIES]},
    {"type": "ratio", "denominator": {"event": "see", "aggregation": "count"}},
    {
        "type": "ratio",
        "aggregation": "last",
        "window_hours": 26,
        "delay_hours": 1,
        "denominator": {"event": "buy", "aggregation": "maximum", "filters": [COUNTRIES]},
    },
    {"type": "mean", "winsorize": 0.8},
    {"type": "mean", "winsorize": 0.5, "window_hours": 24, "aggregation": "last"},
    {"type": "mean", "pre_period_days": 2},
    # What was before is the same here, but of fewer mature units; then what a ratio is made of, too.
    {"type": "mean", "pre_period_days": 2, "window_hours": 24},
    {"type": "mean", "pre_period_days": 1},
    {"type": "proportion", "pre_period_days": 1, "window_hours": 26, "delay_hours": 1},
    {"type": "mean", "pre_period_days": 1, "winsorize": 0.6, "filters": [COUNTRIES]},
    {
        "type": "ratio",
        "pre_period_days": 1,
        "denominator": {"event": "see", "aggregation": "count"},
    },
    {"type": "ratio", "winsorize": 0.7, "denominator": {"event": "see", "aggregation": "count"}},
    {
        "type": "ratio",
        "pre_period_days": 1,
        "window_hours": 26,
        "winsorize": 0.5,
        "denominator": {"event": "see"},
    },
    {"type": "retention", "from_day": 0, "to_day": 1},
    {"type": "retention", "from_day": 1, "to_day": 2, "pre_period_days": 1},
    {"type": "count_distinct", "property": "country"},
    {"type": "count_distinct", "property": "country", "window_hours": 24, "winsorize": 0.5},
    {"type": "quantile", "quantile": 0.5, "level": "event"},
    {"type": "quantile", "quantile": 0.9, "level": "event", "window_hours": 26, "filters": [COUNTRIES]},
    {"type": "quantile", "quantile": 0.25, "level": "unit"},
    {"type": "quantile", "quantile": 0.75, "level": "unit", "aggregation": "count", "delay_hours": 3},
    {"type": "funnel", "steps": [{"event": "buy"}]},
    {"type": "funnel", "steps": [{"event": "see"}, {"event": "buy"}], "within_hours": 24},
    {"type": "funnel", "steps": [{"event": "see", "filters": [COUNTRIES]}], "window_hours": 26},
]
# Adjusted for what other events were before.
ADJUSTED: list[dict[str, Any]] = [
    {"type": "mean", "covariate": {"event": "see", "aggregation": "count", "pre_period_days": 2}},
    {"type": "mean", "covariate": {"event": "buy", "pre_period_days": 2}, "window_hours": 24},
    {
        "type": "proportion",
        "delay_hours": 2,
        "covariate": {"event": "see", "property": "country", "pre_period_days": 2, "filters": [COUNTRIES]},
    },
    {
        "type": "ratio",
        "denominator": {"event": "see", "aggregation": "count"},
        "covariate": {"event": "buy", "aggregation": "maximum", "pre_period_days": 1},
    },
    {
        "type": "mean",
        "winsorize": 0.6,
        "covariate": {"event": "buy", "aggregation": "last", "pre_period_days": 2},
    },
]


TYPES = {"time": pa.timestamp("us"), "received_at": pa.timestamp("us"), "value": pa.float64()}


def tables(exposures: list[Exposure], events: list[Event]) -> dict[str, pa.Table]:
    """The event store's tables of facts."""
    kinds: dict[str, tuple[type, list[Any]]] = {"exposures": (Exposure, exposures), "events": (Event, events)}
    return {
        name: pa.table(
            {
                field: pa.array(
                    [getattr(row, field) for row in rows],
                    pa.int32() if field == "revision" else TYPES.get(field, pa.string()),
                )
                for field in kind.__annotations__
            }
        )
        for name, (kind, rows) in kinds.items()
    }


class Store:
    """The two tables of the event store, in memory."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.backend = ibis.duckdb.from_connection(self.connection)

    def fill(self, exposures: list[Exposure], events: list[Event]) -> None:
        for name, table in tables(exposures, events).items():
            self.connection.register("incoming", table)
            self.connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
            self.connection.unregister("incoming")

    def analyse(self, *definitions: dict[str, Any], until: datetime | None = None) -> Statistics:
        measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
        end = None if until is None else until.replace(tzinfo=UTC)
        request = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC), end)
        return analyse_store(self.backend, request)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.connection.close()


def named(definition: dict[str, Any], index: int = 0) -> dict[str, Any]:
    common = {"key": f"metric-{index}", "event": "buy", "role": "success", "direction": "increase"}
    return common | definition


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * 6 + list(others))


# Few distinct times, so that ties happen, and also such that lie exactly where a window begins or ends.
TIMES = st.sampled_from([0, 1, 2, 3, 12, 24, 26, 36, 37, 48, 50, 60, 72]).map(
    lambda hours: START + timedelta(hours=hours)
)
COMMON: dict[str, Any] = {
    "place": mostly(PLACE, "default/staging"),
    "time": TIMES,
    "received_at": TIMES,
    "unit_type": mostly("user", "device"),
    "unit": st.integers(0, 7).map(lambda number: f"unit-{number}"),
}
EXPOSURES = st.lists(
    st.builds(
        Exposure,
        **COMMON,
        experiment=mostly("exp", "other"),
        variant=st.sampled_from(["control", "a"]),
        revision=mostly(2, 1),
    ),
    max_size=14,
)
PROPERTY = st.sampled_from(["DE", "FR", "5", 5, 5.0, 0, 1, True, False, None, [5], {"DE": 5}, -2.5, 1e300])
PROPERTIES = st.none() | st.fixed_dictionaries({}, optional={"country": PROPERTY, "new": PROPERTY}).map(
    lambda each: json.dumps(each)
)
EVENTS = st.lists(
    st.builds(
        Event,
        **COMMON,
        name=st.sampled_from(["buy", "buy", "see", "else"]),
        value=st.none() | st.floats(-1e4, 1e4, width=32) | st.integers(-2, 5).map(float),
        properties=PROPERTIES,
    ),
    max_size=40,
)


# A revision goes on, or ended at a moment at which things happen.
ENDS = st.sampled_from([None, *(START + timedelta(hours=hours) for hours in (0, 26, 37, 48, 60))])


@settings(max_examples=40, deadline=None)
@given(exposures=EXPOSURES, events=EVENTS, until=ENDS)
def test_all_together_equal_plain_python(
    store: Store, exposures: list[Exposure], events: list[Event], until: datetime | None
) -> None:
    store.fill(exposures, events)
    definitions = [named(each, i) for i, each in enumerate([*DEFINITIONS, *ADJUSTED])]
    statistics = store.analyse(*definitions, until=until)
    for definition in definitions:
        assert_same(statistics, definition, reference(definition, exposures, events, AS_OF, until))


def crowd(seed: int) -> tuple[list[Exposure], list[Event]]:
    """Dense data: units that mostly keep their variant and have several events, often at the same moment."""
    chance = random.Random(seed)
    hours = [0, 1, 2, 3, 12, 24, 26, 36, 48, 50, 60, 72]

    def when() -> datetime:
        return START + timedelta(hours=chance.choice(hours))

    exposures = []
    for number in range(24):
        for _ in range(chance.choice([1, 1, 2])):
            usual = ("control", "a")[number % 2]
            variant = usual if chance.random() < 0.95 else "a"
            exposures.append(Exposure(PLACE, when(), START, "user", f"unit-{number}", "exp", variant, 2))
    events = []
    for _ in range(200):
        values = {
            name: chance.choice(["DE", "FR", "5", 5, 5.0, 0, 1, True, False, None, -2.5])
            for name in ("country", "new")
            if chance.random() < 0.8
        }
        value = chance.choice([None, float(chance.randint(-2, 5)), chance.uniform(-10, 100)])
        name = chance.choice(["buy", "buy", "see"])
        unit = f"unit-{chance.randrange(26)}"
        events.append(Event(PLACE, when(), START, "user", unit, name, value, json.dumps(values)))
    return exposures, events


@pytest.mark.parametrize("definition", [*DEFINITIONS, *ADJUSTED], ids=str)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), until=ENDS)
def test_each_alone_equals_plain_python_on_dense_data(
    store: Store, definition: dict[str, Any], seed: int, until: datetime | None
) -> None:
    exposures, events = crowd(seed)
    store.fill(exposures, events)
    statistics = store.analyse(named(definition), until=until)
    expected = reference(named(definition), exposures, events, AS_OF, until)
    assert_same(statistics, named(definition), expected)


# The same few kinds of events in many spans: those begin and end at one moment, overlap, or hold each other.
SPANS: list[dict[str, Any]] = [
    definition | span
    for span in (
        {},
        {"delay_hours": 1},
        {"window_hours": 24},
        {"delay_hours": 1, "window_hours": 26},
        {"delay_hours": 24, "window_hours": 36},
        {"pre_period_days": 1, "delay_hours": 3},
        {"pre_period_days": 2, "window_hours": 48},
    )
    for definition in (
        {"type": "proportion"},
        {"type": "mean", "aggregation": "maximum", "filters": [COUNTRIES]},
        {"type": "ratio", "denominator": {"event": "see", "aggregation": "count"}},
    )
]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), until=ENDS)
def test_the_same_events_in_many_spans_equal_plain_python(
    store: Store, seed: int, until: datetime | None
) -> None:
    exposures, events = crowd(seed)
    store.fill(exposures, events)
    definitions = [named(each, i) for i, each in enumerate(SPANS)]
    made = ingredients([PlannedMetric.model_validate(each).measure for each in definitions])
    assert pays({str(each.identity): each for each in made.values()})
    statistics = store.analyse(*definitions, until=until)
    for definition in definitions:
        assert_same(statistics, definition, reference(definition, exposures, events, AS_OF, until))


def test_one_query_that_reads_the_events_once_serves_all_metrics(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.fill([], [])
    asked: list[str] = []
    real = store.backend.compile

    def noting(expression: Any) -> str:
        asked.append(real(expression))
        return asked[-1]

    monkeypatch.setattr(store.backend, "compile", noting)
    monkeypatch.setattr(asking, "_remembered", OrderedDict())
    kinds = [each for each in (*DEFINITIONS, *ADJUSTED) if each["type"] != "quantile"]
    store.analyse(*(named(each, i) for i, each in enumerate(kinds)))
    # The other one asks for the watermark.
    assert len(asked) == 2
    assert asked[1].count('"events" AS') == 1


def test_texts_in_a_definition_are_no_sql(store: Store) -> None:
    evil = "'; DROP TABLE events; --"
    time = START
    store.fill(
        [Exposure(PLACE, time, time, "user", "u", "exp", "control", 2)],
        [Event(PLACE, time, time, "user", "u", evil, None, json.dumps({"country": evil}))],
    )
    filters = [{"property": "country", "operator": "equals", "value": evil}]
    definition = named({"type": "proportion", "filters": filters}) | {"event": evil}
    found = store.analyse(definition).arms["control"].values["metric-0"]
    assert (found.n, found.successes) == (1, 1)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("definition", "hours", "counts"),
    [
        ({"type": "proportion", "window_hours": 24}, 24, False),
        ({"type": "proportion", "window_hours": 24}, 23, True),
        ({"type": "proportion", "delay_hours": 24}, 24, True),
        ({"type": "proportion", "delay_hours": 24}, 23, False),
        ({"type": "retention", "from_day": 1, "to_day": 2}, 24, True),
        ({"type": "retention", "from_day": 1, "to_day": 2}, 48, False),
    ],
    ids=str,
)
def test_spans_hold_their_beginning_and_not_their_end(
    store: Store, definition: dict[str, Any], hours: int, counts: bool
) -> None:
    exposure = Exposure(PLACE, START, START, "user", "u", "exp", "a", 2)
    time = START + timedelta(hours=hours)
    store.fill([exposure], [Event(PLACE, time, time, "user", "u", "buy", 1.0, None)])
    found = store.analyse(named(definition)).arms["a"].values["metric-0"]
    assert (found.n, found.successes) == (1, int(counts))  # type: ignore[union-attr]


@pytest.mark.parametrize(("hours", "before"), [(0, 0.0), (-24, 1.0), (-25, 0.0)])
def test_the_pre_period_ends_before_the_first_exposure(store: Store, hours: int, before: float) -> None:
    exposure = Exposure(PLACE, START, START, "user", "u", "exp", "a", 2)
    time = START + timedelta(hours=hours)
    store.fill([exposure], [Event(PLACE, time, time, "user", "u", "buy", 1.0, None)])
    found = store.analyse(named({"type": "mean", "pre_period_days": 1})).arms["a"].values["metric-0"]
    assert found.mean == (float(hours == 0), before)  # type: ignore[union-attr]


@pytest.mark.parametrize(("hours", "immature"), [(24, 0), (25, 1)])
def test_a_unit_counts_from_the_moment_its_window_has_passed(store: Store, hours: int, immature: int) -> None:
    first = AS_OF - timedelta(hours=24) + timedelta(hours=hours - 24)
    store.fill([Exposure(PLACE, first, first, "user", "u", "exp", "a", 2)], [])
    arm = store.analyse(named({"type": "mean", "window_hours": 24})).arms["a"]
    assert (arm.units, arm.immature["metric-0"], arm.values["metric-0"].n) == (1, immature, 1 - immature)
