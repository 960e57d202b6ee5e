"""Previews over HTTP: what a definition finds in the facts that are there."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import duckdb
import pytest
from fastapi.testclient import TestClient

NOW = datetime.now(UTC)


def event(unit: str, name: str = "purchase", hours: float = 1, **more: Any) -> dict[str, Any]:
    at = (NOW - timedelta(hours=hours)).isoformat()
    return {"id": str(uuid.uuid4()), "time": at, "unit": unit, "name": name, **more}


def send(client: TestClient, *events: dict[str, Any]) -> None:
    answer = client.post("/v1/events", json={"exposures": [], "events": list(events)})
    assert answer.status_code == 200
    assert answer.json()["accepted"] == len(events), answer.json()


def preview(client: TestClient, metric: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/metrics/preview", json={"metric": metric, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [each["code"] for each in found["warnings"]]


def test_the_value_of_a_mean_over_all_units_that_did_anything(client: TestClient) -> None:
    send(
        client,
        event("a", value=10, hours=30),
        event("a", value=5),
        event("b", value=-3),
        event("c", name="visit"),
        event("d", name="visit", hours=24 * 29),
        event("other", value=99, unit_type="device"),
    )
    found = preview(client, {"key": "revenue", "type": "mean", "event": "purchase"})
    values = [15, -3, 0]
    assert (found["units"], found["active_units"], found["events"]) == (3, 2, 3)
    assert found["value"] == pytest.approx(fmean(values))
    assert found["standard_deviation"] == pytest.approx(stdev(values))
    assert (found["distribution"]["minimum"], found["distribution"]["maximum"]) == (-3, 10)
    assert (found["distribution"]["median"], found["distribution"]["negative"]) == (5, 1)
    assert sum(day["events"] for day in found["days"]) == 3
    assert sum(day["total"] for day in found["days"]) == 12
    assert [day["day"] for day in found["days"]] == sorted(day["day"] for day in found["days"])
    assert found["warnings"] == []
    longer = preview(client, {"key": "revenue", "type": "mean", "event": "purchase"}, days=30)
    assert longer["units"] == 4


def test_shares_ratios_and_stored_metrics(client: TestClient) -> None:
    send(client, event("a", value=6), event("a", value=2), event("b", value=1), event("c", name="visit"))
    share = preview(client, {"key": "m", "type": "proportion", "event": "purchase"})
    assert share["value"] == pytest.approx(2 / 3)
    ratio = {"key": "m", "type": "ratio", "event": "purchase",
             "denominator": {"event": "purchase", "aggregation": "count"}}  # fmt: skip
    assert preview(client, ratio)["value"] == pytest.approx(3)
    stored = {"key": "top", "name": "Top", "type": "mean", "event": "purchase", "aggregation": "maximum"}
    assert client.post("/v1/metrics", json=stored).status_code == 201
    assert preview(client, {"metric": "top"})["value"] == pytest.approx(7 / 3)
    assert client.post("/v1/metrics/preview", json={"metric": {"metric": "none"}}).status_code == 422


def test_what_does_not_fit_the_facts_is_said(client: TestClient) -> None:
    send(
        client,
        event("a", name="purchase", properties={"plan": "pro"}),
        event("b", name="purchase", value=3, properties={"plan": "free"}),
    )
    misspelt = preview(client, {"key": "m", "type": "mean", "event": "purchases"})
    assert codes(misspelt) == ["no-such-event"]
    assert "did you mean purchase?" in misspelt["warnings"][0]["message"]
    assert (misspelt["value"], misspelt["distribution"]) == (0, None)
    half = preview(client, {"key": "m", "type": "mean", "event": "purchase"})
    assert codes(half) == ["value-missing"]
    assert "1 of the 2 events" in half["warnings"][0]["message"]
    counted = {"key": "m", "type": "mean", "event": "purchase", "aggregation": "count"}
    assert codes(preview(client, counted)) == []
    filters = [{"property": "plan", "operator": "equals", "value": "gold"}]
    nothing = preview(client, {"key": "m", "type": "mean", "event": "purchase", "filters": filters})
    assert codes(nothing) == ["filters-match-nothing"]
    pro = [{"property": "plan", "operator": "equals", "value": "pro"}]
    assert preview(client, {**counted, "filters": pro})["events"] == 1
    under = {"key": "m", "type": "ratio", "event": "purchase", "denominator": {"event": "view"}}
    assert "no-such-event" in codes(preview(client, under))
    before = {"event": "vew", "aggregation": "count", "pre_period_days": 7}
    adjusted = preview(client, {**counted, "covariate": before})
    assert codes(adjusted) == ["no-such-event"]
    assert "vew" in adjusted["warnings"][0]["message"]
    assert adjusted["value"] == 1


def test_an_empty_store_says_so(client: TestClient) -> None:
    found = preview(client, {"key": "m", "type": "mean", "event": "purchase"})
    assert (found["units"], found["value"], found["days"]) == (0, None, [])
    assert "there are no events at all" in found["warnings"][0]["message"]


def test_a_preview_of_a_source(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 'u' || i AS u, now() - INTERVAL 2 HOUR AS t, i AS v"
                           " FROM range(1, 5) r(i)")  # fmt: skip
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", f"duckdb://{path}")
    events = {"table": "orders", "columns": {"unit": "u", "time": "t", "value": "v"}, "name": "order"}
    payload = {"key": "shop", "name": "Shop", "connection": "SHOP", "events": events}
    assert client.post("/v1/sources", json=payload).status_code == 201
    found = preview(client, {"key": "m", "type": "mean", "event": "order", "source": "shop"})
    assert (found["source"], found["units"], found["value"]) == ("shop", 4, 2.5)
    path.unlink()
    gone = client.post("/v1/metrics/preview", json={"metric": {
        "key": "m", "type": "mean", "event": "order", "source": "shop"}})  # fmt: skip
    assert gone.status_code == 409
    assert gone.json()["type"] == "urn:equipoise:problem:source-failed"


def test_a_preview_that_takes_too_long_is_ended(client: TestClient) -> None:
    send(client, *(event(str(unit), value=unit) for unit in range(50)))
    state = client.app.state  # type: ignore[attr-defined]
    state.settings = state.settings.model_copy(update={"preview_seconds": 0.001})
    ended = client.post(
        "/v1/metrics/preview", json={"metric": {"key": "m", "type": "mean", "event": "purchase"}}
    )
    assert ended.status_code == 409
    assert ended.json()["type"] == "urn:equipoise:problem:source-too-slow"
    state.settings = state.settings.model_copy(update={"preview_seconds": 30})
    assert preview(client, {"key": "m", "type": "mean", "event": "purchase"})["units"] == 50
