"""Interactions of metrics that are measured in a source: what the event store has of the same facts."""

from datetime import UTC
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.readouts.test_interactions import PLANTED, readout, run
from tests.service.sources.warehouses import Warehouse, source

METRICS: list[dict[str, Any]] = [
    {"key": "here", "type": "proportion", "event": "converted"},
    {"key": "there", "type": "proportion", "event": "order", "source": "shop"},
]
MET = {
    "table": "shop.met",
    "columns": {"unit": "user_id", "time": "met_at", "experiment": "test", "variant": "arm"},
}


def mirrored(client: TestClient, warehouse: Warehouse) -> None:
    """The warehouse has the orders that the event store has conversions of, and the exposures."""
    with client.app.state.event_store.workspace() as workspace:  # type: ignore[attr-defined]
        events = workspace.backend.table("events")
        rows = workspace.backend.to_pyarrow(events.select("unit", "time")).to_pylist()
        exposures = workspace.backend.table("exposures")
        met = exposures.select("unit", "time", "experiment", "variant", "revision")
        shown = workspace.backend.to_pyarrow(met).to_pylist()
    warehouse.add_orders(*((row["unit"], row["time"].replace(tzinfo=UTC), 1) for row in rows))
    warehouse.execute(
        "INSERT INTO shop.met VALUES (?, ?, ?, ?, ?)",
        [tuple({**row, "time": row["time"].replace(tzinfo=UTC)}.values()) for row in shown],
    )


@pytest.mark.parametrize("kept", [METRICS, METRICS[1:]], ids=["beside the store", "alone"])
def test_a_source_that_exposures_are_brought_to_is_asked(
    client: TestClient, warehouse: Warehouse, payload: Any, kept: list[dict[str, Any]]
) -> None:
    assert client.post("/v1/sources", json=source("shop")).status_code == 201
    run(client, payload, PLANTED, metrics=kept)
    mirrored(client, warehouse)
    check = readout(client, look=True)["health"]["interactions"]
    (overlap,) = check["overlaps"]
    tests = {each.pop("metric"): each for each in overlap["tests"]}
    assert tests.keys() == {each["key"] for each in kept}
    assert tests["there"]["detected"] is True
    assert check["status"] == "warning"
    assert "The effect of treatment on there depends on" in check["reason"]
    assert check["not_asked"] is None
    if len(kept) > 1:
        assert tests["there"] == tests["here"]
    else:
        converted = [each for part in overlap["parts"] for arm in part["arms"] for each in arm["metrics"]]
        assert sum(each["statistics"]["successes"] for each in converted) == sum(PLANTED.values())


def test_a_source_with_exposures_of_its_own_is_named_as_not_asked(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    if warehouse.engine != "duckdb":
        pytest.skip("nothing of it depends on the engine")
    assert client.post("/v1/sources", json=source("shop", exposures=MET)).status_code == 201
    run(client, payload, PLANTED, metrics=METRICS)
    mirrored(client, warehouse)
    check = readout(client, look=True)["health"]["interactions"]
    assert {each["metric"] for overlap in check["overlaps"] for each in overlap["tests"]} == {"here"}
    assert [each["metric"] for each in check["not_asked"]] == ["there"]
    assert "exposures of its own" in check["not_asked"][0]["reason"]
