"""Sources whose rows are brought here: SQLite files, and engines of which Ibis cannot say a readout.

PostgreSQL, read row by row through Ibis, stands for the latter: they need servers that nobody has here.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from tests.service.analysis.metric_reference import PLACE, START, Event, Exposure, assert_same, reference
from tests.service.analysis.test_metrics import ADJUSTED, AS_OF, DEFINITIONS, SPANS, crowd, named

from equipoise_service.analysis.requests import Bots, Identity, Segment, StoreRequest
from equipoise_service.analysis.sources import analyse_own
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.sources import brought, connections, mapping, memory, service
from equipoise_service.sources.connections import SourceFault, connected
from equipoise_service.sources.engines import Engine
from equipoise_service.sources.probe import probe
from equipoise_service.sources.schemas import SourceIn, SourceTestOut

# Ibis reads PostgreSQL's rows through pandas, with an option that pandas deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")

COLUMNS = {"unit": "unit", "time": "time", "unit_type": "unit_type"}
LONG = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT i AS unit, '2026-03-29' AS time, 'x' AS name FROM n"
)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes tables on an engine whose rows are brought; the service has it as SHOP."""
    if request.param == "sqlite":
        monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", f"sqlite://{tmp_path}/shop.db")
        yield sqlite3.connect(tmp_path / "shop.db")
        return
    url = request.getfixturevalue("postgres_url")
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", url)
    monkeypatch.setattr(connections, "ENGINES", {"postgresql": Engine("postgres", computes=False)})
    monkeypatch.setattr(connections, "_OPENERS", {})
    with psycopg.connect(url) as connection:
        yield connection
    for thread in threading.enumerate():
        if thread.name == "equipoise-apart":
            thread.join(60)


def fill(connection: Any, table: str, kind: type, rows: Sequence[Any]) -> None:
    """Make a table of facts."""
    types = {
        "value": "DOUBLE PRECISION",
        "revision": "INTEGER",
        "time": "TIMESTAMP",
        "received_at": "TIMESTAMP",
    }
    columns = ", ".join(f"{each.name} {types.get(each.name, 'TEXT')}" for each in fields(kind))
    marks = ", ".join(("?" if isinstance(connection, sqlite3.Connection) else "%s",) * len(fields(kind)))
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE TABLE {table} ({columns})")
        given = [
            [str(value) if isinstance(value, datetime) else value for value in astuple(row)] for row in rows
        ]
        cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", given)
    connection.commit()


def source(**events: Any) -> SourceIn:
    """A source of the facts; its events may be others."""
    columns = {**COLUMNS, "name": "name", "value": "value", "properties": "properties"}
    return SourceIn.model_validate(
        {
            "key": "shop",
            "name": "Shop",
            "connection": "SHOP",
            "events": events or {"query": "SELECT * FROM events WHERE name <> 'x'", "columns": columns},
            "exposures": {
                "table": "exposures",
                "columns": {
                    **COLUMNS,
                    "experiment": "experiment",
                    "variant": "variant",
                    "revision": "revision",
                },
            },
        }
    )


@pytest.mark.parametrize(
    ("metrics", "until"),
    [(DEFINITIONS, None), (ADJUSTED, None), (SPANS, START + timedelta(hours=48))],
    ids=["of every kind", "adjusted for others", "in many spans"],
)
def test_every_metric_is_what_plain_python_says(
    place: Any, metrics: list[dict[str, Any]], until: datetime | None
) -> None:
    exposures, events = crowd(11)
    fill(place, "exposures", Exposure, exposures)
    fill(place, "events", Event, events)
    definitions = [named(each, i) for i, each in enumerate(metrics)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    end = None if until is None else until.replace(tzinfo=UTC)
    asked = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC), end)
    found = analyse_own(source(), asked, 600)
    for definition in definitions:
        assert_same(found, definition, reference(definition, exposures, events, AS_OF, until))


def test_segments_bots_identity_and_who_is_left_out(place: Any) -> None:
    exposures, events = crowd(12)
    fill(place, "exposures", Exposure, exposures)
    fill(place, "events", Event, events)
    measures = (PlannedMetric.model_validate(named({"type": "mean"})).measure,)
    asked = StoreRequest(
        PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC),
        left_out=("unit-1",), segments=(Segment("country", "see", "country"),), bots=Bots(most_events=4),
        identity=Identity("device", "user", "see", "country"),
    )  # fmt: skip
    found = analyse_own(source(), asked, 600)
    met = {each.unit for each in exposures}
    busy = {
        unit
        for unit in met - {"unit-1"}
        for day in {each.time.date() for each in events}
        if sum(each.unit == unit and each.time.date() == day for each in events) > 4
    }
    assert busy
    assert (found.overridden, found.bots) == (1, len(busy))
    assert sum(arm.units for arm in found.arms.values()) + found.crossovers == len(met) - 1 - len(busy)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """A SQLite file that the service has as SHOP."""
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", f"sqlite://{tmp_path}/shop.db")
    with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as connection:
        yield connection


def looked_at(**events: Any) -> SourceTestOut:
    return probe(source(**events).model_copy(update={"exposures": None}), 60)


def said(found: SourceTestOut) -> list[tuple[str, str]]:
    return [(each.code, each.pointer) for each in found.findings]


ORDERS = {"name": "order", "columns": {"unit": "who", "time": "at", "value": "amount"}}


@pytest.mark.parametrize(
    ("texts", "zone", "first", "codes"),
    [
        (["2026-03-29 10:00:00", "2026-03-29T11:30"], "UTC", "2026-03-29T10:00:00", []),
        (["2026-03-29 10:00:00.250001"], "Asia/Kathmandu", "2026-03-29T04:15:00.250001", []),
        (["2026-03-29T10:00:00Z", "2026-03-29 13:00:00+02:00"], "UTC", "2026-03-29T10:00:00", []),
        (["2026-03-29T10:00:00+02", "2026-03-29T08:00:00.5Z"], "Asia/Kathmandu", "2026-03-29T08:00:00", []),
        (["2026-03-29 10:00:00-0430"], "UTC", "2026-03-29T14:30:00", []),
        (["2026-03-29", "2026-03-30"], "UTC", "2026-03-29T00:00:00", ["days-only"]),
        (["2026-03-29", "2026-03-29 10:00:00"], "UTC", "2026-03-29T00:00:00", []),
        (["2026-03-29 10:00:00", "2026-03-29 10:00:00Z"], "UTC", None, ["wrong-type"]),
        ([1774778400], "UTC", None, ["wrong-type"]),
        ([2461128.5], "UTC", None, ["wrong-type"]),
        (["2026-03-29 10:00:00", 1774778400], "UTC", None, ["wrong-type"]),
        (["yesterday"], "UTC", None, ["failed"]),
        ([None], "UTC", None, ["no-rows"]),
    ],
)
def test_texts_are_the_times_that_they_say(
    shop: sqlite3.Connection, texts: list[Any], zone: str, first: str | None, codes: list[str]
) -> None:
    shop.execute("CREATE TABLE orders (who, at, amount)")
    shop.executemany("INSERT INTO orders VALUES ('a', ?, 1)", [(text,) for text in texts])
    found = looked_at(table="orders", time_zone=zone, **ORDERS)
    assert [code for code, _ in said(found)] == codes, found
    if first is not None:
        assert found.events is not None
        assert found.events.first == datetime.fromisoformat(first).replace(tzinfo=UTC)
        assert found.events.rows == len(texts)


@pytest.mark.parametrize(
    ("who", "amounts", "expected"),
    [
        ("TEXT", [1, 2.5, None], []),
        ("INTEGER", [1, 2], []),
        ("", ["a lot"], [("wrong-type", "/events/columns/value")]),
        ("", [1, "2"], [("wrong-type", "/events/columns/value")]),
        ("REAL", [1], [("wrong-type", "/events/columns/unit")]),
        ("", [b"1"], [("wrong-type", "/events/columns/value")]),
    ],
)
def test_types_are_those_of_the_values(
    shop: sqlite3.Connection, who: str, amounts: list[Any], expected: list[tuple[str, str]]
) -> None:
    shop.execute(f"CREATE TABLE orders (who {who}, at, amount)")
    shop.executemany("INSERT INTO orders VALUES (7, '2026-03-29', ?)", [(each,) for each in amounts])
    found = looked_at(table="orders", time_zone="UTC", **ORDERS)
    assert [each for each in said(found) if each[0] == "wrong-type"] == expected
    if not expected:
        assert found.events is not None
        assert found.events.units == 1
        assert found.events.values == sum(each is not None for each in amounts)


def test_what_is_not_there_is_said(shop: sqlite3.Connection) -> None:
    shop.execute("CREATE TABLE orders (who TEXT, at TEXT, amount REAL)")
    for table in ("nothing", "elsewhere.orders", 'orders"; DROP TABLE orders; --'):
        assert said(looked_at(table=table, **ORDERS)) == [("no-table", "/events/table")]
    columns = {"unit": "wo", "time": "at"}
    (finding,) = looked_at(table="main.orders", name="order", columns=columns).findings
    assert finding.code == "no-column"
    assert "Did you mean who? There are: who, at, amount" in finding.message
    assert said(looked_at(table="orders", time_zone="UTC", **ORDERS)) == [("no-rows", "/events")]


@pytest.mark.parametrize("url", ["sqlite://{}/none.db", "sqlite://{}/text.db", "sqlite://{}"])
def test_a_file_that_is_none_cannot_be_reached(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", url.format(tmp_path))
    assert said(looked_at(table="orders", **ORDERS)) == [("no-connection", "/connection")]
    assert [each.name for each in tmp_path.iterdir()] == ["text.db"], "none is made"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders RETURNING *",
        "UPDATE sqlite_master SET sql = ''",
        "PRAGMA writable_schema = ON",
        "PRAGMA table_info(orders)",
        "SELECT * FROM pragma_table_info('orders')",
        "ATTACH 'other.db' AS other",
        "SELECT load_extension('x') AS who",
    ],
)
def test_behind_the_grammar_a_file_can_only_be_read(
    shop: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    shop.execute("CREATE TABLE orders (who TEXT, at TEXT, amount REAL)")
    shop.execute("INSERT INTO orders VALUES ('a', '2026-03-29 10:00:00', 1)")
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    for module in (service, mapping):
        monkeypatch.setattr(module, "check_query", lambda *_: None)
    monkeypatch.setattr(mapping, "understood", lambda query, _: query)
    assert not looked_at(query=query, **ORDERS).ok
    # Nor without being part of a statement of ours.
    with connected("SHOP", 60) as warehouse, pytest.raises(sqlite3.DatabaseError):
        warehouse.origin._con.execute(query)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_a_query_that_makes_rows_of_documents_may_run(shop: sqlite3.Connection) -> None:
    shop.execute("CREATE TABLE carts (who TEXT, at INTEGER, items TEXT)")
    shop.execute("INSERT INTO carts VALUES ('a', 1774778400, '[1, 2.5]'), ('b', 1774778401, '[]')")
    found = looked_at(
        query="SELECT who, datetime(at, 'unixepoch') || 'Z' AS at, i.value AS amount"
        " FROM carts, json_each(carts.items) AS i",
        **ORDERS,
    )
    assert found.ok
    assert found.events is not None
    assert (found.events.rows, found.events.units, found.events.values) == (2, 1, 2)
    assert found.events.first == datetime(2026, 3, 29, 10, tzinfo=UTC)


def test_a_query_that_never_ends_is_interrupted(shop: sqlite3.Connection) -> None:
    rows = {"query": LONG, "columns": {"unit": "unit", "time": "time", "name": "name"}}
    began = time.monotonic()
    found = probe(source(**rows), 1)
    assert time.monotonic() - began < 30
    assert said(found)[-1] == ("too-slow", "")


def test_no_more_rows_are_brought_than_may_be(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, events = crowd(13)
    fill(place, "events", Event, events[:5])
    columns = {**COLUMNS, "name": "name"}
    for module in (brought, mapping):
        monkeypatch.setattr(module, "MOST_ROWS", 5)
    assert looked_at(table="events", columns=columns).ok
    for module in (brought, mapping):
        monkeypatch.setattr(module, "MOST_ROWS", 4)
    found = looked_at(table="events", columns=columns)
    assert said(found)[-1] == ("too-large", "")
    assert "more than 4 rows" in found.findings[-1].message


def test_rows_that_do_not_fit_are_told_and_not_kept(
    shop: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TOTAL_MIB", "_LEAST_MIB"):
        monkeypatch.setattr(memory, name, 32)
    monkeypatch.setattr(brought, "_SPILLED", "1MiB")
    query = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
        " SELECT i || hex(randomblob(50000)) AS who, '2026-03-29' AS at, i AS amount FROM n"
    )
    found = looked_at(query=query, **ORDERS)
    assert said(found) == [("too-large", "")]
    assert "do not fit" in found.findings[0].message


def test_a_readout_says_what_is_wrong_with_the_file(
    client: TestClient, shop: sqlite3.Connection, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.execute("CREATE TABLE orders (who TEXT, at TEXT, amount REAL)")
    shop.execute("INSERT INTO orders VALUES ('a', '2026-03-29 10:00:00', 1)")
    made = {"key": "shop", "name": "Shop", "connection": "SHOP", "events": {"table": "orders", **ORDERS}}
    assert client.post("/v1/sources", json=made).status_code == 201
    metric = {"key": "sum", "type": "mean", "event": "order", "source": "shop"}
    assert client.post("/v1/experiments", json=payload("page", metrics=[metric])).status_code == 201
    assert client.post("/v1/experiments/page/start").status_code == 200
    monkeypatch.setattr(brought, "MOST_ROWS", 0)
    refused = client.get("/v1/experiments/page/readout?wait=60")
    assert refused.status_code == 409
    assert "more than 0 rows" in refused.json()["detail"]
    monkeypatch.undo()


def test_the_engine_is_read_and_not_the_copy(shop: sqlite3.Connection) -> None:
    """What is brought is gone with the connection."""
    shop.execute("CREATE TABLE orders (who TEXT, at TEXT, amount REAL)")
    counts = []
    for _ in range(2):
        shop.execute("INSERT INTO orders VALUES ('a', '2026-03-29 10:00:00', 1)")
        found = looked_at(table="orders", time_zone="UTC", **ORDERS)
        assert found.engine == "sqlite"
        counts.append(found.events and found.events.rows)
    assert counts == [1, 2]
    with connected("SHOP", 60) as warehouse:
        assert warehouse.enforces
    with pytest.raises(SourceFault), connected("SHOP", 60) as warehouse:
        warehouse.backend.raw_sql("SELECT * FROM read_text('/etc/hostname')")
