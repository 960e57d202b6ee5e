"""Metrics of a source in the readout: the same numbers as from the event store, for the same facts."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.service.sources.warehouses import Warehouse, source

from equipoise_service.readouts.verification import verify_readout

NOW = datetime.now(UTC).replace(microsecond=0)
URL = "/v1/experiments/page"
UNITS = st.sampled_from(["a", "b", "c", "d", "e", "unit'; DROP TABLE met; --", 'é\\"%s{}'])
MINUTES = st.integers(-3000, -1)


def at(minute: int) -> datetime:
    return NOW + timedelta(minutes=minute)


def register(client: TestClient, payload: Any, key: str, metrics: list[dict[str, Any]]) -> None:
    answer = client.post("/v1/experiments", json=payload(key=key, metrics=metrics))
    assert answer.status_code == 201, answer.text
    assert client.post(f"/v1/experiments/{key}/start").status_code == 200


def measured(readout: dict[str, Any]) -> list[Any]:
    return [
        (each["variant"], each["difference"], each["lift"], each["statistics"])
        for metric in readout["metrics"]
        for each in metric["comparisons"]
    ]


def about(document: Any) -> Any:
    """What equals a document but for the rounding of sums, which engines add up in an order of their own."""
    if isinstance(document, dict):
        return {name: about(value) for name, value in document.items()}
    if isinstance(document, list | tuple):
        return type(document)(about(value) for value in document)
    if isinstance(document, float):
        return pytest.approx(document, rel=1e-9, abs=1e-9)
    return document


def metrics(**more: Any) -> list[dict[str, Any]]:
    return [
        {"key": "sum", "type": "mean", "event": "order", **more},
        {"key": "any", "type": "proportion", "event": "order", "window_hours": 24, **more},
        {"key": "large", "type": "mean", "event": "order", "aggregation": "maximum", **more,
         "filters": [{"operator": "at_least", "value": 5}]},
        {"key": "before", "type": "mean", "event": "order", "pre_period_days": 1, **more},
    ]  # fmt: skip


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # an example takes a second: what fails is shown as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    exposures=st.lists(st.tuples(UNITS, MINUTES, st.sampled_from(["control", "treatment"])), max_size=12),
    orders=st.lists(
        st.tuples(UNITS, MINUTES, st.none() | st.integers(-999, 999).map(lambda cents: cents / 100)),
        max_size=30,
    ),
)
def test_a_source_gives_the_numbers_of_the_store(
    client: TestClient, warehouse: Warehouse, payload: Any, exposures: list[Any], orders: list[Any]
) -> None:
    key = f"page-{uuid.uuid4().hex[:8]}"
    warehouse.execute("DELETE FROM shop.orders")
    warehouse.execute("DELETE FROM shop.met")
    # Names and places are of this example alone: the store keeps what earlier ones sent.
    unit = {name: f"{name} {key}" for name, *_ in [*exposures, *orders]}
    if client.get("/v1/sources/own").status_code == 404:
        met = {
            "table": "shop.met",
            "columns": {"unit": "user_id", "time": "met_at", "experiment": "test", "variant": "arm",
                        "revision": "iteration"},
        }  # fmt: skip
        assert client.post("/v1/sources", json=source()).status_code == 201
        assert client.post("/v1/sources", json=source("own", exposures=met)).status_code == 201
    for suffix, more in [("store", {}), ("brought", {"source": "warehouse"}), ("own", {"source": "own"})]:
        register(client, payload, f"{key}-{suffix}", metrics(**more))
        sent = [
            {"id": str(uuid.uuid4()), "time": at(minute).isoformat(), "unit": unit[name],
             "experiment": f"{key}-{suffix}", "variant": variant}
            for name, minute, variant in exposures
        ]  # fmt: skip
        assert client.post("/v1/events", json={"exposures": sent, "events": []}).status_code == 200
    if exposures:
        warehouse.execute(
            "INSERT INTO shop.met VALUES (?, ?, ?, ?, 1)",
            [(unit[name], at(minute), f"{key}-own", variant) for name, minute, variant in exposures],
        )
    sent = [
        {"id": str(uuid.uuid4()), "time": at(minute).isoformat(), "unit": unit[name], "name": "order",
         "value": value}
        for name, minute, value in orders
    ]  # fmt: skip
    assert client.post("/v1/events", json={"exposures": [], "events": sent}).status_code == 200
    if orders:
        warehouse.add_orders(*((unit[name], at(minute), value) for name, minute, value in orders))
    expected, brought, own = (
        client.get(f"/v1/experiments/{key}-{suffix}/readout?wait=60").json()
        for suffix in ("store", "brought", "own")
    )
    assert "metrics" in brought, brought
    assert measured(brought) == about(measured(expected))
    assert brought["arms"] == expected["arms"]
    assert brought["health"]["crossovers"] == expected["health"]["crossovers"]
    assert "metrics" in own, own
    assert measured(own) == about(measured(expected))
    assert own["arms"] == expected["arms"]


def test_store_and_source_side_by_side_with_overridden_units_left_out(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    assert client.post("/v1/sources", json=source()).status_code == 201
    definition = [
        {"key": "converted", "type": "proportion", "event": "converted"},
        {"key": "sum", "type": "mean", "event": "order", "source": "warehouse"},
    ]
    overrides = {"tester": "treatment"}
    answer = client.post("/v1/experiments", json=payload("page", metrics=definition, overrides=overrides))
    assert answer.status_code == 201
    assert client.post(f"{URL}/start").status_code == 200
    exposures = [
        {"id": str(uuid.uuid4()), "time": at(-60).isoformat(), "unit": unit, "experiment": "page",
         "variant": "treatment"}
        for unit in ("a", "b", "tester")
    ]  # fmt: skip
    events = [{"id": str(uuid.uuid4()), "time": at(-30).isoformat(), "unit": "a", "name": "converted"}]
    assert client.post("/v1/events", json={"exposures": exposures, "events": events}).status_code == 200
    warehouse.add_orders(("a", at(-20), 7), ("tester", at(-20), 1000), ("b", at(-61), 5))
    readout = client.get(f"{URL}/readout?wait=60").json()
    by_key = {metric["metric"]: metric["comparisons"][0]["statistics"] for metric in readout["metrics"]}
    assert by_key["converted"]["variant"]["successes"] == 1
    assert by_key["sum"]["variant"]["n"] == 2
    assert by_key["sum"]["variant"]["mean"] == 3.5
    assert readout["plan"]["metrics"][1]["source"] == "warehouse"


def test_a_source_that_saw_other_units_than_the_store(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    """The first metric's source says how many units there are; the numbers of another one are its own."""
    met = {
        "table": "shop.met",
        "columns": {"unit": "user_id", "time": "met_at", "experiment": "test", "variant": "arm",
                    "revision": "iteration"},
    }  # fmt: skip
    assert client.post("/v1/sources", json=source("own", exposures=met)).status_code == 201
    definition = [
        {"key": "converted", "type": "proportion", "event": "converted"},
        {"key": "sum", "type": "mean", "event": "order", "source": "own"},
    ]
    register(client, payload, "page", definition)
    arms = {"treatment": ["a", "b", "c", "d"], "control": ["e", "f", "g"]}
    exposures = [
        {"id": str(uuid.uuid4()), "time": at(-60).isoformat(), "unit": unit, "experiment": "page",
         "variant": variant}
        for variant, units in arms.items() for unit in units
    ]  # fmt: skip
    assert client.post("/v1/events", json={"exposures": exposures, "events": []}).status_code == 200
    # One unit of each arm less, and on two days.
    there = [(unit, variant) for variant, units in arms.items() for unit in units[1:]]
    warehouse.execute(
        "INSERT INTO shop.met VALUES (?, ?, ?, ?, 1)",
        [(unit, at(-60 - 1440 * (i % 2)), "page", variant) for i, (unit, variant) in enumerate(there)],
    )
    warehouse.add_orders(("b", at(-20), 7), ("f", at(-20), 5), ("a", at(-20), 1000))
    readout = client.get(f"{URL}/readout?wait=60").json()
    assert [arm["units"] for arm in readout["arms"]] == [3, 4]
    own = readout["metrics"][1]["comparisons"][0]["statistics"]
    assert (own["baseline"]["n"], own["variant"]["n"]) == (2, 3)
    assert verify_readout(readout) == []
    own["variant"]["n"] = 4
    pointers = [each.pointer for each in verify_readout(readout)]
    assert "/digest" in pointers
    assert any(each.startswith("/by_day/metrics/1/arms/1/statistics/") for each in pointers)


def test_local_times_are_of_the_zone_that_the_source_says(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    events = {
        "table": "shop.orders",
        "columns": {"unit": "user_id", "time": "local_at", "value": "amount"},
        "name": "order",
        "time_zone": "Asia/Kathmandu",
    }
    assert client.post("/v1/sources", json=source(events=events)).status_code == 201
    metric = {"key": "sum", "type": "mean", "event": "order", "source": "warehouse"}
    register(client, payload, "page", [metric])
    exposure = {"id": str(uuid.uuid4()), "time": at(-60).isoformat(), "unit": "a", "experiment": "page",
                "variant": "control"}  # fmt: skip
    assert client.post("/v1/events", json={"exposures": [exposure], "events": []}).status_code == 200
    there = ZoneInfo("Asia/Kathmandu")
    warehouse.add_orders(
        ("a", at(-59).astimezone(there), 3), ("a", at(-61).astimezone(there), 100), ("a", at(-60), 1000)
    )
    readout = client.get(f"{URL}/readout?wait=60").json()
    assert readout["metrics"][0]["comparisons"][0]["statistics"]["baseline"]["mean"] == 3


@pytest.mark.parametrize("settings", [{"source_exposures": 2}], indirect=True)
def test_too_many_exposures_are_not_brought_over(
    client: TestClient, warehouse: Warehouse, payload: Any
) -> None:
    assert client.post("/v1/sources", json=source()).status_code == 201
    register(client, payload, "page", [{"key": "m", "type": "mean", "event": "order", "source": "warehouse"}])
    exposures = [
        {"id": str(uuid.uuid4()), "time": at(-60).isoformat(), "unit": str(unit), "experiment": "page",
         "variant": "control"}
        for unit in range(3)
    ]  # fmt: skip
    assert client.post("/v1/events", json={"exposures": exposures[:2], "events": []}).status_code == 200
    assert client.get(f"{URL}/readout?wait=60").status_code == 200
    assert client.post("/v1/events", json={"exposures": exposures[2:], "events": []}).status_code == 200
    refused = client.get(f"{URL}/readout?wait=60")
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:equipoise:problem:source-failed"
    assert "EQUIPOISE_SOURCE_EXPOSURES" in refused.json()["detail"]
    # What was computed before is served still.
    assert client.get(f"{URL}/readout").json()["arms"][0]["units"] == 2
