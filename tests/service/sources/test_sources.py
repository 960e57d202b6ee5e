"""Sources over HTTP: made, changed, tested, deleted; and what a source must never do."""

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.accounts.principals import Scope
from equipoise_service.sources.connections import redacted

NOW = datetime.now(UTC).replace(microsecond=0)
URL = "/v1/sources/warehouse"


def events(**changes: Any) -> dict[str, Any]:
    return {**source()["events"], **changes}


def make(client: TestClient, **changes: Any) -> Any:
    return client.post("/v1/sources", json=source(**changes))


def findings_of(client: TestClient) -> dict[str, Any]:
    answer = client.post(f"{URL}/test")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def findings(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["severity"], each["code"], each["pointer"]) for each in found["findings"]]


def test_a_test_says_what_lies_there(client: TestClient, warehouse: Warehouse) -> None:
    assert make(client).status_code == 201
    first, last = NOW - timedelta(days=3), NOW - timedelta(hours=1)
    warehouse.add_orders(
        ("a", first, 1), ("a", last, None), ("b", last, 2), ("b", last, 2), (None, last, 9), ("c", None, 9)
    )
    found = findings_of(client)
    assert (found["ok"], found["engine"]) == (True, warehouse.engine)
    assert findings(found) == [
        ("warning", "incomplete-rows", "/events/columns"),
        ("warning", "duplicate-rows", "/events"),
    ]
    rows = found["events"]
    assert (rows["rows"], rows["incomplete"], rows["duplicates"]) == (4, 2, 1)
    assert (rows["units"], rows["values"]) == (2, 3)
    assert datetime.fromisoformat(rows["first"]) == first
    assert datetime.fromisoformat(rows["last"]) == last
    assert rows["samples"] == [{"name": "order", "rows": 4, "units": 2}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"table": "shop.nothing"}, ("error", "no-table", "/events/table")),
        ({"table": 'shop.orders"; DROP TABLE shop.orders; --'}, ("error", "no-table", "/events/table")),
        (
            {"columns": {"unit": "user", "time": "at_zone"}},
            ("error", "no-column", "/events/columns/unit"),
        ),
        (
            {"columns": {"unit": "user_id", "time": "what"}},
            ("error", "wrong-type", "/events/columns/time"),
        ),
        (
            {"columns": {"unit": "user_id", "time": "at_zone", "value": "what"}},
            ("error", "wrong-type", "/events/columns/value"),
        ),
        (
            {"columns": {"unit": 'user_id" FROM shop.orders; DROP TABLE shop.orders; --', "time": "at_zone"}},
            ("error", "no-column", "/events/columns/unit"),
        ),
        (
            {"columns": {"unit": "user_id", "time": "local_at", "value": "amount"}},
            ("warning", "no-time-zone", "/events/time_zone"),
        ),
        ({"columns": {"unit": "user_id", "time": "day"}}, ("warning", "days-only", "/events/columns/time")),
        (
            {"columns": {"unit": "user_id", "time": "at_zone", "value": "amount"}},
            ("warning", "no-values", "/events/columns/value"),
        ),
    ],
)
def test_what_is_wrong_is_said_and_where(
    client: TestClient, warehouse: Warehouse, changes: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    made = make(client, events=events(**changes))
    assert made.status_code == 201, made.text
    warehouse.execute(
        "INSERT INTO shop.orders (user_id, local_at, at_zone, day, what) VALUES (?, ?, ?, ?, 'order')",
        [("a", NOW.replace(tzinfo=None), NOW, NOW.date())],
    )
    found = findings_of(client)
    assert expected in findings(found), found
    assert found["ok"] is (expected[0] == "warning")
    assert warehouse.execute("SELECT count(*) FROM shop.orders") == [(1,)]


def test_names_are_data_and_not_sql(client: TestClient, warehouse: Warehouse) -> None:
    name = "x'; DROP TABLE shop.orders; --"
    column = 'odd "name"; --'
    quoted = column.replace('"', '""')
    warehouse.execute(f'ALTER TABLE shop.orders ADD COLUMN "{quoted}" VARCHAR(200)')
    warehouse.execute(f'INSERT INTO shop.orders (user_id, at_zone, "{quoted}") VALUES (?, ?, ?)',
                      [("u'); DELETE FROM shop.orders; --", NOW, "unit")])  # fmt: skip
    columns = {"unit": column, "time": "at_zone", "name": "user_id"}
    assert make(client, events={"table": "shop.orders", "columns": columns}).status_code == 201
    assert findings_of(client)["events"]["samples"][0]["name"] == "u'); DELETE FROM shop.orders; --"
    etag = client.get(URL).headers["ETag"]
    renamed = {"events": events(name=name)}
    assert client.patch(URL, json=renamed, headers={"If-Match": etag}).status_code == 200
    assert findings_of(client)["events"]["samples"][0]["name"] == name
    assert warehouse.execute("SELECT count(*) FROM shop.orders") == [(1,)]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM shop.orders",
        "SELECT 1; DROP TABLE shop.orders",
        "WITH gone AS (DELETE FROM shop.orders RETURNING *) SELECT * FROM gone",
        "SELECT * INTO shop.copy FROM shop.orders",
        "CREATE TABLE shop.copy AS SELECT * FROM shop.orders",
        "SELECT * FROM shop.orders FOR UPDATE",
        "COPY shop.orders TO '/tmp/orders.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd') AS user_id",
        "SELECT set_config('transaction_read_only', 'off', false)",
        """SELECT "set_config"('transaction_read_only', 'off', false)""",
        """SELECT * FROM "read_text"('/etc/passwd')""",
        """SELECT * FROM ts_stat('SELECT set_config(''a'', ''b'', false)::tsvector')""",
        "SELECT user_id, at_zone FROM shop.orders WHERE",
        "",
        "(" * 5000,
    ],
)
def test_a_query_that_does_more_than_read_is_refused(
    client: TestClient, warehouse: Warehouse, query: str
) -> None:
    refused = make(client, events={"query": query, **{k: v for k, v in events().items() if k != "table"}})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/events/query"


def test_behind_the_grammar_the_engine_refuses_to_write(
    client: TestClient, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the reading of the query lets through, were it ever fooled, still meets a read-only session."""
    for module in ("service", "mapping"):
        monkeypatch.setattr(f"equipoise_service.sources.{module}.check_query", lambda *_: None)
    warehouse.add_orders(("a", NOW, 1))
    if warehouse.engine == "postgres":
        warehouse.execute(
            "CREATE FUNCTION shop.wipe() RETURNS SETOF shop.orders LANGUAGE sql AS"
            " 'DELETE FROM shop.orders RETURNING *'"
        )
        query = "SELECT * FROM shop.wipe()"
    else:
        query = "SELECT * FROM read_text('/etc/hostname')"
    rows = {"query": query, **{k: v for k, v in events().items() if k != "table"}}
    assert make(client, events=rows).status_code == 201
    found = findings_of(client)
    assert not found["ok"]
    assert any(word in found["findings"][0]["message"] for word in ("read-only", "disabled"))
    assert warehouse.execute("SELECT count(*) FROM shop.orders") == [(1,)]


ENDLESS = {
    "duckdb": "SELECT (i + j)::VARCHAR AS user_id, now() AS at_zone, 1 AS amount"
    " FROM range(10000000) a(i), range(10000000) b(j)",
    "postgres": "SELECT (i + j)::text AS user_id, now() AS at_zone, 1 AS amount"
    " FROM generate_series(1, 10000000) a(i), generate_series(1, 10000000) b(j)",
}


@pytest.mark.parametrize("settings", [{"source_seconds": 1.0}], indirect=True)
def test_a_query_that_never_ends_is_ended(client: TestClient, warehouse: Warehouse, payload: Any) -> None:
    rows = {"query": ENDLESS[warehouse.engine], **{k: v for k, v in events().items() if k != "table"}}
    assert make(client, events=rows).status_code == 201
    began = time.monotonic()
    found = findings_of(client)
    assert time.monotonic() - began < 20
    assert findings(found)[-1] == ("error", "too-slow", "")
    metric = {"key": "m", "type": "mean", "event": "order", "source": "warehouse"}
    assert client.post("/v1/experiments", json=payload("page", metrics=[metric])).status_code == 201
    assert client.post("/v1/experiments/page/start").status_code == 200
    slow = client.get("/v1/experiments/page/readout?wait=60")
    assert slow.status_code == 409
    assert slow.json()["type"] == "urn:equipoise:problem:source-too-slow"


def test_credentials_are_in_no_answer_and_no_log(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "hunter2%20secret"
    monkeypatch.setenv(
        "EQUIPOISE_SOURCE_SHOP_URL", f"postgresql://someone:{secret}@127.0.0.1:1/shop?application_name=x"
    )
    client, headers = service.client, service.key()
    said = [client.post("/v1/sources", json=source(), headers=headers)]
    assert said[0].status_code == 201
    said += [client.post(f"{URL}/test", headers=headers), client.get(URL, headers=headers)]
    assert said[1].json()["findings"][0]["code"] == "no-connection"
    assert "EQUIPOISE_SOURCE_SHOP_URL" in said[1].json()["findings"][0]["message"]
    for text in [*(each.text for each in said), caplog.text]:
        assert "hunter2" not in text
    stored = (
        (service.settings.data_dir / "metadata.db").read_bytes() if not service.settings.database_url else b""
    )
    assert b"hunter2" not in stored


def test_a_connection_that_the_service_has_not_is_refused(client: TestClient) -> None:
    refused = make(client, connection="NOWHERE")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/connection"
    assert "EQUIPOISE_SOURCE_NOWHERE_URL" in refused.text


def test_changing_and_deleting(client: TestClient, warehouse: Warehouse, payload: Any) -> None:
    etag = make(client).headers["ETag"]
    assert make(client).status_code == 409
    assert client.patch(URL, json={"name": "x"}).status_code == 428
    changed = client.patch(URL, json={"name": "x"}, headers={"If-Match": etag})
    assert changed.json()["name"] == "x"
    assert client.patch(URL, json={"name": "y"}, headers={"If-Match": etag}).status_code == 412
    bad = {"events": events(query="DROP TABLE x", table=None)}
    assert client.patch(URL, json=bad, headers={"If-Match": changed.headers["ETag"]}).status_code == 422
    metric = {"key": "m", "name": "M", "type": "mean", "event": "order", "source": "warehouse"}
    assert client.post("/v1/metrics", json=metric).status_code == 201
    used = client.delete(URL)
    assert used.status_code == 409
    assert used.json()["used_by"] == ["the metric m"]
    assert client.post("/v1/experiments", json=payload("page", metrics=[{"metric": "m"}])).status_code == 201
    headers = {"If-Match": client.get("/v1/metrics/m").headers["ETag"]}
    assert client.patch("/v1/metrics/m", json={"source": None}, headers=headers).status_code == 200
    assert client.delete(URL).json()["used_by"] == ["the experiment page"]
    headers = {"If-Match": client.get("/v1/experiments/page").headers["ETag"]}
    assert client.patch("/v1/experiments/page", json={"metrics": []}, headers=headers).status_code == 200
    assert client.delete(URL).status_code == 204
    assert client.get(URL).status_code == 404


def test_sources_are_made_by_admins(service: Service, warehouse: Warehouse) -> None:
    client = service.client
    assert client.post("/v1/sources", json=source(), headers=service.key(Scope.WRITE)).status_code == 403
    assert client.post("/v1/sources", json=source(), headers=service.key(Scope.ADMIN)).status_code == 201
    assert client.get(URL, headers=service.key(Scope.READ)).status_code == 200
    assert client.post(f"{URL}/test", headers=service.key(Scope.READ)).status_code == 403
    assert client.get(URL, headers=service.key(project="other")).status_code == 404
    assert client.post(f"{URL}/test", headers=service.key(project="other")).status_code == 404


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            'connection to server at "Db.Internal", port 5432 failed: no password for user "read er"',
            'connection to server at "***", port 5432 failed: no password for user "***"',
        ),
        (
            "cannot resolve db.internal. Is db.internal.example right?",
            "cannot resolve ***. Is ***.example right?",
        ),
        (
            "the bread error, the read errors of xdb.internal",
            "the bread error, the read errors of xdb.internal",
        ),
    ],
)
def test_what_an_engine_says_loses_host_and_user(said: str, expected: str) -> None:
    assert redacted(Exception(said), "postgresql://read%20er:secret@Db.Internal:5432/shop") == expected


def test_what_an_engine_says_loses_its_address_and_password() -> None:
    url = "clickhouse://someone:p%40ss%20word@host.internal:8443/shop?token=t0ken&secure=true&port=90&key=17"
    said = f"cannot open {url}\nfor p@ss word (p%40ss%20word) at host with t0ken, key 17: true? error 90."
    expected = "cannot open *** for *** (***) at host with ***, key ***: true? error 90"
    assert redacted(Exception(said), url) == expected
