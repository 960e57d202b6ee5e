"""How values are spread, of a source: as the event store has it, and as plain Python counts."""

import uuid
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg.conninfo import conninfo_to_dict
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.readouts.verification import verify_readout

NOW = datetime.now(UTC).replace(microsecond=0)
UNITS = 300
MET = {
    "table": "shop.met",
    "columns": {"unit": "user_id", "time": "met_at", "experiment": "test", "variant": "arm"},
}
RANDOM = Random(11)
ARMS = {f"u{i}": "treatment" if i % 2 else "control" for i in range(UNITS)}
ORDERS = [
    (unit, NOW - timedelta(hours=RANDOM.randrange(1, 40)), round(RANDOM.lognormvariate(3, 1.2), 2))
    for unit in ARMS
    for _ in range(RANDOM.choice([0, 0, 1, 2, 3]))
]
METRICS: list[dict[str, Any]] = [
    {"key": "sum", "type": "mean", "event": "order"},
    {"key": "times", "type": "mean", "event": "order", "aggregation": "count"},
    {"key": "soon", "type": "mean", "event": "order", "window_hours": 50},
    {"key": "any", "type": "proportion", "event": "order"},
    {"key": "middle", "type": "quantile", "event": "order", "quantile": 0.5, "level": "unit"},
    {"key": "largest", "type": "quantile", "event": "order", "quantile": 0.9, "level": "event"},
]
QUANTILES = {"middle", "largest"}


def fill(client: TestClient, warehouse: Warehouse, *experiments: str) -> None:
    """Everybody met a variant 48 hours ago, in some experiments, and ordered; the warehouse has it too."""
    met = NOW - timedelta(hours=48)
    shown = [
        {"id": str(uuid.uuid4()), "time": met.isoformat(), "unit": unit, "experiment": experiment,
         "variant": arm}
        for unit, arm in ARMS.items()
        for experiment in experiments
    ]  # fmt: skip
    done = [
        {"id": str(uuid.uuid4()), "time": at.isoformat(), "unit": unit, "name": "order", "value": amount}
        for unit, at, amount in ORDERS
    ]
    for items in ({"exposures": shown, "events": []}, {"exposures": [], "events": done}):
        assert client.post("/v1/events", json=items).json()["refused"] == 0
    rows = [(unit, met, "own", arm) for unit, arm in ARMS.items()]
    warehouse.execute("INSERT INTO shop.met VALUES (?, ?, ?, ?, 1)", rows)
    warehouse.add_orders(*ORDERS)


def register(client: TestClient, payload: Any, key: str, **more: Any) -> None:
    body = payload(key=key, metrics=[{**each, **more} for each in METRICS])
    assert client.post("/v1/experiments", json=body).status_code == 201
    assert client.post(f"/v1/experiments/{key}/start").status_code == 200


def readout(client: TestClient, key: str) -> dict[str, Any]:
    answer = client.get(f"/v1/experiments/{key}/readout?wait=60")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert verify_readout(found) == []
    return found


def values(found: dict[str, Any]) -> dict[str, Any]:
    return {metric["metric"]: metric["values"] for metric in found["metrics"]}


def quantiles_by_day(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        metric["metric"]: {arm["variant"]: arm["statistics"] for arm in metric["arms"]}
        for metric in found["by_day"]["metrics"]
        if metric["metric"] in QUANTILES
    }


def test_values_of_a_source_are_counted_in_bins(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    assert client.post("/v1/sources", json=source()).status_code == 201
    assert client.post("/v1/sources", json=source("own", exposures=MET)).status_code == 201
    register(client, payload, "here")
    register(client, payload, "there", source="warehouse")
    register(client, payload, "own", source="own")
    fill(client, warehouse, "here", "there")
    readouts = [readout(client, key) for key in ("here", "there", "own")]
    here, there, own = map(values, readouts)
    assert there == own == here
    by_day = [quantiles_by_day(each) for each in readouts]
    assert by_day[1] == by_day[2] == by_day[0]
    assert by_day[0].keys() == QUANTILES
    assert all(day["value"] for arms in by_day[0].values() for days in arms.values() for day in days)
    assert there["any"] is None
    assert {arm["units"] for arm in there["soon"]["arms"]} == {0}
    edges = there["sum"]["edges"]
    for arm in there["sum"]["arms"]:
        sums = dict.fromkeys((unit for unit, of in ARMS.items() if of == arm["variant"]), 0.0)
        for unit, _, amount in ORDERS:
            if unit in sums:
                sums[unit] += amount
        counts = [0] * (len(edges) + 1)
        for total in filter(None, sums.values()):
            counts[bisect_right(edges, round(total, 2))] += 1
        assert (arm["drawn"], arm["zero"]) == (len(sums), sum(not total for total in sums.values()))
        assert arm["counts"] == counts


@pytest.fixture
def reader(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A user of the warehouse who may read it and have no table, not even a temporary one."""
    if warehouse.engine != "postgres":
        pytest.skip("DuckDB has no users")
    name = f"reader_{uuid.uuid4().hex}"
    known = conninfo_to_dict(warehouse.url)
    address = f"postgresql://{name}:s3cret@{known['host']}:{known['port']}/{known['dbname']}"
    warehouse.execute(f"CREATE ROLE {name} LOGIN PASSWORD 's3cret'")
    warehouse.execute(f"GRANT USAGE ON SCHEMA shop TO {name}")
    warehouse.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {name}")
    warehouse.execute(f'REVOKE TEMPORARY ON DATABASE "{known["dbname"]}" FROM PUBLIC')
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", address)
    yield name
    warehouse.execute(f"DROP OWNED BY {name}")
    warehouse.execute(f"DROP ROLE {name}")


@pytest.mark.usefixtures("reader")
def test_who_may_have_no_table_has_no_values_and_is_told_why(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    assert client.post("/v1/sources", json=source("own", exposures=MET)).status_code == 201
    register(client, payload, "own", source="own")
    fill(client, warehouse)
    found = readout(client, "own")
    assert set(values(found).values()) == {None}
    notes = {metric["metric"]: metric["notes"] for metric in found["metrics"]}
    assert any("where own is read, the service can keep no table" in note for note in notes["sum"]), notes
    assert not any("can keep no table" in note for note in notes["any"])
    by_day = {metric["metric"] for metric in found["by_day"]["metrics"]}
    for key, metric in notes.items():
        told = any("by the end of each day is not known: where own is read" in note for note in metric)
        assert told == (key not in by_day), key
    assert notes.keys() - by_day == QUANTILES
    assert sum(arm["units"] for arm in found["arms"]) == UNITS


def test_a_query_writes_nothing_where_values_are_kept(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    """What fills a table of ours runs in a transaction that only reads, as all the rest does."""
    if warehouse.engine != "postgres":
        pytest.skip("a file of DuckDB is opened to read alone")
    warehouse.execute("CREATE TABLE shop.stolen (what TEXT)")
    # It writes in statements alone that write themselves: others fail for it anyhow.
    warehouse.execute(
        "CREATE FUNCTION shop.kept(what TEXT) RETURNS TEXT LANGUAGE plpgsql VOLATILE AS $$ BEGIN"
        " IF current_query() LIKE 'INSERT%' THEN INSERT INTO shop.stolen VALUES (what); END IF;"
        " RETURN what; END $$"
    )
    query = "SELECT user_id, at_zone, amount + length(shop.kept(user_id)) AS amount FROM shop.orders"
    events = {"query": query, "columns": {"unit": "user_id", "time": "at_zone", "value": "amount"},
              "name": "order"}  # fmt: skip
    assert client.post("/v1/sources", json=source("own", exposures=MET, events=events)).status_code == 201
    register(client, payload, "own", source="own")
    fill(client, warehouse)
    answer = client.get("/v1/experiments/own/readout?wait=60")
    assert answer.status_code == 409, answer.text
    assert "read-only transaction" in answer.json()["detail"]
    with psycopg.connect(warehouse.url) as connection:
        assert connection.execute("SELECT count(*) FROM shop.stolen").fetchone() == (0,)
