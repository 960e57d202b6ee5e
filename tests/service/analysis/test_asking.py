"""Statements of full analyses are made from Ibis once, and nothing that differs is taken for the same."""

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest
from ibis.backends.duckdb import Backend
from tests.service.analysis.metric_reference import PLACE, START, Event, Exposure
from tests.service.analysis.test_metrics import Store

from equipoise_service.analysis import asking
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.store import analyse_store
from equipoise_service.metrics.conditions import Condition, Operator
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import MetricType
from equipoise_stats import Moments

SPENT = Measure("spent", MetricType.MEAN, "buy")
REQUEST = StoreRequest(PLACE, "exp", 2, "user", (SPENT,), START.replace(tzinfo=UTC) + timedelta(hours=60))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The queries that are compiled from now on."""
    made: list[Any] = []
    compile_ = Backend.compile

    def compiling(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        made.append(query)
        return compile_(self, query, *args, **kwargs)

    monkeypatch.setattr(Backend, "compile", compiling)
    return made


def shown(unit: str, hour: int) -> Exposure:
    return Exposure(
        place=PLACE,
        time=START + timedelta(hours=hour),
        received_at=START + timedelta(hours=hour),
        unit_type="user",
        unit=unit,
        experiment="exp",
        variant="control",
        revision=2,
    )


def bought(unit: str, hour: int, value: float, properties: str | None = None) -> Event:
    return Event(
        place=PLACE,
        time=START + timedelta(hours=hour),
        received_at=START + timedelta(hours=hour),
        unit_type="user",
        unit=unit,
        name="buy",
        value=value,
        properties=properties,
    )


def mean_of(store: Store, request: StoreRequest) -> tuple[int, float]:
    found = analyse_store(store.backend, request).arms["control"].values["spent"]
    assert isinstance(found, Moments)
    return found.n, found.mean[0]


def test_a_statement_is_made_once(compiled: list[Any]) -> None:
    """And reads what is there then."""
    store = Store()
    request = replace(REQUEST, experiment="exp", segment_values=7)
    store.fill([shown("a", 1)], [bought("a", 2, 4.0)])
    assert mean_of(store, request) == (1, 4.0)
    assert compiled
    compiled.clear()
    store.fill([shown("a", 1), shown("b", 1)], [bought("a", 2, 4.0), bought("b", 3, 8.0)])
    assert mean_of(store, replace(request, as_of=request.as_of + timedelta(hours=1))) == (2, 6.0)
    assert not compiled


def test_another_moment_is_another_statement_where_units_mature() -> None:
    store = Store()
    store.fill([shown("a", 1), shown("b", 40)], [bought("a", 2, 4.0), bought("b", 41, 8.0)])
    request = replace(REQUEST, measures=(replace(SPENT, window_hours=24),))
    assert mean_of(store, request) == (1, 4.0)
    assert mean_of(store, replace(request, as_of=request.as_of + timedelta(hours=10))) == (2, 6.0)


def test_a_truth_is_no_number() -> None:
    """Though to Python 1.0 and True are equal."""
    store = Store()
    events = [bought("a", 2, 4.0, '{"new":true}'), bought("a", 3, 8.0, '{"new":1}')]
    store.fill([shown("a", 1)], events)
    for value, mean in ((True, 4.0), (1.0, 8.0)):
        asked = Condition(property="new", operator=Operator.EQUALS, value=value)
        assert mean_of(store, replace(REQUEST, measures=(replace(SPENT, filters=(asked,)),))) == (1, mean)


def test_tables_of_other_columns_have_statements_of_their_own() -> None:
    """Exposures with hashes, as the store keeps them, and without."""
    store = Store()
    store.fill([shown("a", 1)], [bought("a", 2, 4.0)])
    store.connection.execute("ALTER TABLE exposures ADD COLUMN unit_hash INTEGER DEFAULT 5").fetchall()
    assert mean_of(store, replace(REQUEST, segment_values=8)) == (1, 4.0)
    store.connection.execute("ALTER TABLE exposures DROP COLUMN unit_hash").fetchall()
    assert mean_of(store, replace(REQUEST, segment_values=8)) == (1, 4.0)


def test_what_was_asked_for_least_lately_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_MOST", 2)
    monkeypatch.setattr(asking, "_remembered", type(asking._remembered)())
    asking.remember("one", "1")
    asking.remember("two", "2")
    assert asking.recall("one") == "1"
    asking.remember("three", "3")
    assert [asking.recall(key) for key in ("one", "two", "three")] == ["1", None, "3"]
