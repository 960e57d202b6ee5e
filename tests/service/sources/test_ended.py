"""What comes after the end of an experiment changes no readout, but for what windows hold that began before.

For facts of the event store, of a source that exposures are brought to, and of one with its own exposures.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.experiments.models import Revision
from equipoise_service.readouts.verification import verify_readout

END = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)
URL = "/v1/experiments/page"
MET = {
    "table": "shop.met",
    "columns": {"unit": "user_id", "time": "met_at", "experiment": "test", "variant": "arm",
                "revision": "iteration"},
}  # fmt: skip
SOURCES = {"store": None, "brought": source("shop"), "own": source("shop", exposures=MET)}


def at(hours: float) -> datetime:
    """So many hours after the end."""
    return END + timedelta(hours=hours)


class Facts:
    """Exposures and orders go to the event store, and to the warehouse as well."""

    def __init__(self, client: TestClient, warehouse: Warehouse) -> None:
        self._client, self._warehouse = client, warehouse

    def expose(self, *exposures: tuple[str, float, str]) -> None:
        self._send("exposures", [
            {"unit": unit, "time": at(hours), "experiment": "page", "variant": variant}
            for unit, hours, variant in exposures
        ])  # fmt: skip
        rows = [(unit, at(hours), "page", variant) for unit, hours, variant in exposures]
        self._warehouse.execute("INSERT INTO shop.met VALUES (?, ?, ?, ?, 1)", rows)

    def order(self, *orders: tuple[str, float, float]) -> None:
        self._send("events", [
            {"unit": unit, "time": at(hours), "name": "order", "value": value}
            for unit, hours, value in orders
        ])  # fmt: skip
        self._warehouse.add_orders(*((unit, at(hours), value) for unit, hours, value in orders))

    def _send(self, kind: str, items: list[dict[str, Any]]) -> None:
        sent = [each | {"id": str(uuid.uuid4()), "time": each["time"].isoformat()} for each in items]
        answer = self._client.post("/v1/events", json={"exposures": [], "events": []} | {kind: sent})
        assert answer.json()["refused"] == 0, answer.text


def numbers(client: TestClient) -> dict[str, tuple[int, float, int, float]]:
    """For each metric, of the control and the treatment: how many units it is of, and their mean or sum."""
    readout = client.get(f"{URL}/readout?wait=60").json()
    assert verify_readout(readout) == []
    found = {}
    for metric in readout["metrics"]:
        pair = metric["comparisons"][0]["statistics"]
        arms = (pair["baseline"], pair["variant"])
        means = [arm["mean"] if "mean" in arm else arm["successes"] for arm in arms]
        found[metric["metric"]] = (arms[0]["n"], means[0], arms[1]["n"], means[1])
    return found


@pytest.mark.parametrize("kind", SOURCES)
def test_what_comes_after_the_end_changes_no_readout(
    client: TestClient, warehouse: Warehouse, payload: Any, kind: str
) -> None:
    facts, of = Facts(client, warehouse), {}
    if (made := SOURCES[kind]) is not None:
        assert client.post("/v1/sources", json=made).status_code == 201
        of = {"source": "shop"}
    metrics = [
        {"key": "spent", "type": "mean", "event": "order", **of},
        {"key": "soon", "type": "mean", "event": "order", "window_hours": 24, **of},
        {"key": "later", "type": "proportion", "event": "order", "delay_hours": 12, **of},
    ]
    assert client.post("/v1/experiments", json=payload("page", metrics=metrics)).status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    facts.expose(
        ("a", -40, "control"), ("b", -40, "control"), ("c", -40, "treatment"), ("d", -1, "treatment")
    )
    facts.order(("a", -20, 4), ("b", -39, 2), ("c", -30, 8))
    # The arms of `later` are whole while it runs: for all that is known, facts of `d` may come.
    running = numbers(client)
    assert running == {"spent": (2, 3, 2, 4), "soon": (2, 3, 2, 4), "later": (2, 1, 2, 0)}

    assert client.post(f"{URL}/stop").status_code == 200
    with client.app.state.database.write() as session:  # type: ignore[attr-defined]
        for revision in session.exec(select(Revision)):
            revision.ended_at = END
            session.add(revision)
    # `d` was exposed too late to be asked what it did twelve hours later.
    ended = {"spent": (2, 3, 2, 4), "soon": (2, 3, 2, 4), "later": (2, 1, 1, 0)}
    assert numbers(client) == ended
    # A new unit, a crossover, and facts at the end and after it.
    facts.expose(("new", 0, "control"), ("a", 1, "treatment"))
    facts.order(("a", 0, 1000), ("c", 2, 1000), ("new", 1, 1000))
    assert numbers(client) == ended
    # In the window of one that was exposed before; and late, of before the end.
    facts.order(("d", 22, 10), ("d", 23, 1000), ("b", -1, 6))
    assert numbers(client) == {"spent": (2, 6, 2, 4), "soon": (2, 3, 2, 9), "later": (2, 2, 1, 0)}
