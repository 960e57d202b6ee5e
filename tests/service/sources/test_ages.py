"""Effects by days since exposure, of a source: as the event store has them, and as plain Python adds up."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from tests.service.cli.test_analyze_ages import DAYS, assert_ages, at_ages, log
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.experiments.models import Revision
from equipoise_service.readouts.verification import verify_readout

START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=16)
URL = "/v1/experiments/page"
MET = {
    "table": "shop.met",
    "columns": {"unit": "user_id", "time": "met_at", "experiment": "test", "variant": "arm",
                "revision": "iteration"},
}  # fmt: skip
SOURCES = {"store": None, "brought": source("shop"), "own": source("shop", exposures=MET)}
ARMS = {"old": "control", "new": "treatment"}


def send(client: TestClient, kind: str, items: list[dict[str, Any]]) -> None:
    for begin in range(0, len(items), 500):
        part = [{"id": str(uuid.uuid4()), **each} for each in items[begin : begin + 500]]
        answer = client.post("/v1/events", json={"exposures": [], "events": []} | {kind: part})
        assert answer.json()["refused"] == 0, answer.text


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_has_the_ages_that_its_facts_have(
    client: TestClient, warehouse: Warehouse, payload: Any, kind: str
) -> None:
    if kind == "store" and warehouse.engine != "duckdb":
        pytest.skip("the event store is the same beside any warehouse")
    of = {"source": "shop"} if SOURCES[kind] is not None else {}
    if SOURCES[kind] is not None:
        assert client.post("/v1/sources", json=SOURCES[kind]).status_code == 201
    metrics = [
        {"key": "paid", "type": "mean", "event": "order", "window_hours": 24 * DAYS, **of},
        {"key": "bought", "type": "proportion", "event": "order", "window_hours": 24 * DAYS, **of},
        {"key": "here", "type": "proportion", "event": "seen", "window_hours": 24 * DAYS},
    ]
    plan = {"method": "fixed-horizon", "horizon": {"days": 14}}
    assert client.post("/v1/experiments", json=payload("page", metrics=metrics, plan=plan)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        for revision in session.exec(select(Revision)):
            revision.started_at = START
            session.add(revision)
    rows = log(START)
    shown = [
        {"unit": row["user"], "time": row["at"].isoformat(), "experiment": "page", "variant": arm}
        for row in rows
        if (arm := ARMS.get(row["arm"]))
    ]
    done = [row for row in rows if row["paid"] is not None]
    send(client, "exposures", shown)
    if kind == "store":
        orders = [
            {"unit": row["user"], "time": row["at"].isoformat(), "name": "order", "value": row["paid"]}
            for row in done
        ]
        send(client, "events", orders)
    else:
        warehouse.add_orders(*((row["user"], row["at"], row["paid"]) for row in done))
    if kind == "own":
        met = [(each["unit"], each["time"], "page", each["variant"]) for each in shown]
        warehouse.execute("INSERT INTO shop.met VALUES (?, ?, ?, ?, 1)", met)
    readout = client.post(f"{URL}/looks?wait=60").json()
    assert verify_readout(readout) == []
    for metric in ("paid", "bought"):
        numbers = at_ages(rows, metric, DAYS, datetime.now(UTC), share=metric == "bought")
        assert_ages(readout, metric, {ARMS[arm]: each for arm, each in numbers.items()})
    assert [each["metric"] for each in readout["by_age"]["metrics"]] == ["paid", "bought", "here"]
    effects = {each["metric"]: each["effects"][0]["finding"] for each in readout["by_age"]["metrics"]}
    assert effects == {"paid": "fading", "bought": "fading", "here": None}
    assert readout["by_age"]["not_asked"] == []
