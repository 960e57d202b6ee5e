"""Quantiles by the end of each day, against what numpy finds in all values up to it."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.analysis.metric_reference import (
    PLACE,
    START,
    Event,
    Exposure,
    assert_quantile,
    assert_same,
    reference,
)
from tests.service.analysis.test_metrics import AS_OF, COUNTRIES, ENDS, EVENTS, EXPOSURES, Store, crowd, named

from equipoise_service.analysis.days import MOST_DAYS
from equipoise_service.analysis.expression import analysed_units
from equipoise_service.analysis.quantile_days import quantiles_by_day
from equipoise_service.analysis.quantiles import event_rows
from equipoise_service.analysis.requests import Segment, StoreRequest
from equipoise_service.analysis.statistics import QuantileValues, Statistics
from equipoise_service.analysis.store import analyse_store
from equipoise_service.plans.documents import PlannedMetric
from equipoise_stats import arm_quantile

KINDS: list[dict[str, Any]] = [
    {"quantile": 0.5, "level": "event"},
    {"quantile": 0.9, "level": "event", "window_hours": 26, "filters": [COUNTRIES]},
    {"quantile": 0.25, "level": "unit"},
    {"quantile": 0.75, "level": "unit", "aggregation": "count", "delay_hours": 3},
]
DEFINITIONS = [named({"type": "quantile"} | each, i) for i, each in enumerate(KINDS)]
Facts = tuple[list[Exposure], list[Event]]


@pytest.fixture(scope="module")
def store() -> Any:
    made = Store()
    yield made
    made.connection.close()


def read_again(name: str, query: ir.Table) -> ir.Table:
    """Keeps nothing: who reads a table works it out."""
    return query


def analyse(store: Store, as_of: datetime = AS_OF, **more: Any) -> Statistics:
    measures = tuple(PlannedMetric.model_validate(each).measure for each in DEFINITIONS)
    request = StoreRequest(PLACE, "exp", 2, "user", measures, as_of.replace(tzinfo=UTC), **more)
    return analyse_store(store.backend, request, keep=read_again)


def counts(shown: Exposure, until: datetime | None) -> bool:
    return (until is None or shown.time < until) and (
        (shown.place, shown.experiment, shown.revision, shown.unit_type) == (PLACE, "exp", 2, "user")
    )


def check_days(
    store: Store, facts: Facts, until: datetime | None = None, since: datetime | None = None
) -> None:
    """Compares every day with the same analysis of the units that were exposed by then and no others."""
    exposures, events = facts
    store.fill(exposures, events)
    ended, began = (None if each is None else each.replace(tzinfo=UTC) for each in (until, since))
    found = analyse(store, until=ended, since=began)
    first: dict[str, datetime] = {}
    for each in exposures:
        if counts(each, until):
            first[each.unit] = min(each.time, first.get(each.unit, each.time))
    days = {unit: max(time, since or time).date() for unit, time in first.items()}
    for definition in DEFINITIONS:
        assert_same(found, definition, reference(definition, exposures, events, AS_OF, until))
        by_day = found.quantiles_by_day.get(definition["key"], {})
        assert found.days == [] or definition["key"] in found.quantiles_by_day
        for day in {each.day for each in found.days}:
            theirs = [each for each in exposures if counts(each, until) and days[each.unit] <= day]
            arms = reference(definition, theirs, events, AS_OF, until)
            for variant, arm in arms.items():
                of_day = by_day.get(variant, {}).get(day)
                values = QuantileValues(len(arm.rows), definition["quantile"], of_day)
                assert_quantile(values, definition, arm)
            assert all(day not in of_days for variant, of_days in by_day.items() if variant not in arms)


@settings(max_examples=40, deadline=None)
@given(exposures=EXPOSURES, events=EVENTS, until=ENDS)
def test_few_facts(
    store: Store, exposures: list[Exposure], events: list[Event], until: datetime | None
) -> None:
    check_days(store, (exposures, events), until)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), until=ENDS, since=ENDS)
def test_dense_facts(store: Store, seed: int, until: datetime | None, since: datetime | None) -> None:
    check_days(store, crowd(seed), until, since)


Values = Callable[[np.random.Generator, int], np.ndarray[Any, np.dtype[np.float64]]]
SPREADS: dict[str, Values] = {
    "smooth": lambda chance, n: chance.lognormal(3, 1, n),
    "ties": lambda chance, n: np.floor(chance.exponential(4, n)),
    "mostly zero": lambda chance, n: chance.normal(0, 100, n) * (chance.random(n) < 0.2),
    "a narrow range": lambda chance, n: 100 + chance.random(n) * 1e-9,
    "growing with the day": lambda chance, n: np.sort(chance.normal(0, 1, n)),
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("number", [40, MOST_DAYS + 40])
def test_many_units_on_many_days(store: Store, spread: str, number: int) -> None:
    """More values than buckets, more days than one statement has, and more than are looked at one by one."""
    chance = np.random.default_rng([number, list(SPREADS).index(spread)])
    units, events = 4_000, 12_000
    # Ascending, so that what grows with the events grows with the days, whose ranks are far from each other.
    day_of = np.sort(chance.integers(0, number, units))
    owner = np.sort(chance.integers(0, units, events))
    variants = np.array(["control", "a"])[np.arange(units) % 2]
    values = SPREADS[spread](chance, events)
    times = np.datetime64(START, "us") + day_of * np.timedelta64(86_400_000_000, "us")
    ids = np.char.add("unit-", np.arange(units).astype(str))
    fill_columns(store, ids, variants, times, owner, values)

    as_of = START + timedelta(days=number + 3)
    found = analyse(store, as_of)
    days = [each.day for each in found.days]
    assert len(days) > 16
    for definition in (DEFINITIONS[0], DEFINITIONS[2]):
        by_day = found.quantiles_by_day[definition["key"]]
        looked_at = list(by_day["a"])
        assert looked_at[-1] == days[-1]
        assert len(looked_at) == len(days) if number <= MOST_DAYS else 60 < len(looked_at) <= MOST_DAYS
        for variant, of_days in by_day.items():
            for day, of_day in of_days.items():
                there = (variants == variant) & (day_of <= (day - START.date()).days)
                if definition["level"] == "event":
                    mine = there[owner]
                    expected = arm_quantile(values[mine], q=0.5, units=owner[mine])
                else:
                    sums = np.bincount(owner, values, units)[there]
                    expected = arm_quantile(sums, q=0.25)
                assert_near(of_day, expected)
            whole = found.arms[variant].values[definition["key"]]
            assert isinstance(whole, QuantileValues)
            assert of_days[days[-1]] == whole.found


def assert_near(found: Any, expected: Any) -> None:
    for one, other in zip(
        (found.lower, found.value, found.upper), (expected.lower, expected.value, expected.upper), strict=True
    ):
        assert one == other if other is None else one == pytest.approx(other, rel=1e-12, abs=1e-12)
    assert found.counts.n == expected.counts.n
    assert found.counts.mean == pytest.approx(expected.counts.mean, rel=1e-12)
    for row, other in zip(found.counts.comoments, expected.counts.comoments, strict=True):
        assert row == pytest.approx(other, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("extreme", [np.inf, -np.inf, np.nan])
def test_days_whose_quantile_or_end_is_no_finite_number_have_none(store: Store, extreme: float) -> None:
    """Three of them are nothing among thousands, and too many for the ends of the first day."""
    chance = np.random.default_rng(3)
    units = np.arange(4_000)
    day_of = np.sort(np.append(np.zeros(20, np.int64), chance.integers(1, 9, 3_980)))
    values = chance.normal(0, 1, 4_000)
    values[[0, 2, 4]] = extreme
    variants = np.array(["control", "a"])[units % 2]
    times = np.datetime64(START, "us") + day_of * np.timedelta64(86_400_000_000, "us")
    fill_columns(store, np.char.add("unit-", units.astype(str)), variants, times, units, values)
    found = analyse(store, START + timedelta(days=12)).quantiles_by_day[DEFINITIONS[0]["key"]]
    days = [START.date() + timedelta(days=i) for i in range(9)]
    assert list(found["a"]) == list(found["control"]) == days
    assert None not in found["a"].values()
    assert found["control"][days[0]] is None
    for day, of_day in found["control"].items():
        if of_day is None:
            assert day < days[3]
            continue
        there = (variants == "control") & (day_of <= (day - days[0]).days)
        ordered = np.where(np.isnan(values[there]), np.inf, values[there])
        assert of_day.value == np.sort(ordered)[-(-there.sum() // 2) - 1]


@pytest.mark.parametrize("extreme", [np.inf, -np.inf, np.nan])
def test_a_quantile_that_is_no_finite_number_is_none(store: Store, extreme: float) -> None:
    """A warehouse may hold such values; the other arm and the other metrics have theirs."""
    units = np.arange(400)
    variants = np.array(["control", "a"])[units % 2]
    times = np.full(400, np.datetime64(START, "us"))
    values = np.where((variants == "a") & (units % 3 > 0), extreme, units.astype(float))
    fill_columns(store, np.char.add("unit-", units.astype(str)), variants, times, units, values)
    found = analyse(store, START + timedelta(days=2))
    metric = DEFINITIONS[0]["key"]
    quantiles = {variant: arm.values[metric] for variant, arm in found.arms.items()}
    assert {variant: each.n for variant, each in quantiles.items()} == {"control": 200, "a": 200}
    assert isinstance(quantiles["a"], QuantileValues)
    assert quantiles["a"].found is None
    assert isinstance(quantiles["control"], QuantileValues)
    assert quantiles["control"].found is not None
    day = START.date()
    assert found.quantiles_by_day[metric] == {"a": {day: None}, "control": {day: quantiles["control"].found}}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), until=ENDS)
def test_segments_change_nothing_of_the_whole(store: Store, seed: int, until: datetime | None) -> None:
    """With them it is found in passes over all values, and without them on the last day."""
    store.fill(*crowd(seed))
    ended = None if until is None else until.replace(tzinfo=UTC)
    found, cut = (
        analyse(store, until=ended, segments=of) for of in ((), (Segment("country", "see", "country"),))
    )
    assert bool(cut.segments["country"]) == bool(cut.arms)
    for variant, arm in cut.arms.items():
        for metric, values in arm.values.items():
            other = found.arms[variant].values[metric]
            assert isinstance(values, QuantileValues)
            assert isinstance(other, QuantileValues)
            assert (values.found is None) == (other.found is None)
            if values.found is not None:
                assert_near(other.found, values.found)


def test_a_day_that_came_after_the_days_were_looked_at_is_passed_over(store: Store) -> None:
    """In a table of others, which gets facts between two statements."""
    exposures, events = crowd(4)
    store.fill(exposures, events)
    whole = analyse(store)
    definition = DEFINITIONS[0]
    measure = PlannedMetric.model_validate(definition).measure
    request = StoreRequest(PLACE, "exp", 2, "user", (measure,), AS_OF.replace(tzinfo=UTC))
    facts = (store.backend.table("exposures"), store.backend.table("events"))
    rows = event_rows(analysed_units(*facts, request), facts[1], request)
    assert rows is not None
    rows = rows.filter(rows.measure == 0)
    days = [each.day for each in whole.days]
    expected = whole.quantiles_by_day[definition["key"]]
    earlier = quantiles_by_day(store.backend.to_pyarrow, rows, 0.5, days[:-1], one_each=False)
    assert {variant: list(of_days) for variant, of_days in earlier.items()} == {
        variant: [day for day in of_days if day in days[:-1]] for variant, of_days in expected.items()
    }
    for variant, of_days in earlier.items():
        for day, of_day in of_days.items():
            assert of_day == expected[variant][day]


def test_statements_of_many_metrics_are_short(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB parses a statement while nobody else has the interpreter."""
    store.fill(*crowd(5))
    compiled: list[int] = []
    real = store.backend.compile

    def noting(*given: Any, **more: Any) -> str:
        statement: str = real(*given, **more)
        compiled.append(len(statement))
        return statement

    monkeypatch.setattr(store.backend, "compile", noting)
    many = [named({"type": "quantile", "quantile": 0.5, "level": "event"}, i) for i in range(20)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in many)
    request = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC))
    made: list[ir.Table] = []

    def kept(name: str, query: ir.Table) -> ir.Table:
        made.append(store.backend.create_table(f"{name}_{len(compiled)}", query, temp=True))
        compiled.clear()
        return made[-1]

    assert len(analyse_store(store.backend, request, keep=kept).quantiles_by_day) == 20
    assert len(compiled) > 60
    assert max(compiled[3:]) < 8_000


def fill_columns(store: Store, ids: Any, variants: Any, times: Any, owner: Any, values: Any) -> None:
    def same(value: Any, like: Any) -> pa.Array:
        return pa.array([value] * len(like))

    where = {"place": same(PLACE, ids), "unit_type": same("user", ids), "unit": pa.array(ids)}
    tables = {
        "exposures": where
        | {
            "time": pa.array(times),
            "received_at": pa.array(times),
            "experiment": same("exp", ids),
            "variant": pa.array(variants),
            "revision": pa.array([2] * len(ids), pa.int32()),
        },
        "events": {
            "place": same(PLACE, owner),
            "time": pa.array(times[owner]),
            "received_at": pa.array(times[owner]),
            "unit_type": same("user", owner),
            "unit": pa.array(ids[owner]),
            "name": same("buy", owner),
            "value": pa.array(values),
            "properties": pa.nulls(len(owner), pa.string()),
        },
    }
    for name, columns in tables.items():
        incoming = pa.table(columns)
        store.connection.register("incoming", incoming)
        store.connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
        store.connection.unregister("incoming")


def test_nothing_is_asked_by_day_where_values_are_kept_nowhere(store: Store) -> None:
    store.fill(*crowd(1))
    measures = tuple(PlannedMetric.model_validate(each).measure for each in DEFINITIONS)
    request = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC))
    assert analyse_store(store.backend, request).quantiles_by_day == {}


def test_days_are_dates(store: Store) -> None:
    store.fill(*crowd(2))
    by_day = analyse(store).quantiles_by_day["metric-2"]
    assert {type(day) for of_days in by_day.values() for day in of_days} == {date}
