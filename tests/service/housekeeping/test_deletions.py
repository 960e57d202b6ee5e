"""A readout in flight while another process deletes: what it keeps is never read again, and goes."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service, experiment

from equipoise.identifiers import uuid7
from equipoise_service.accounts.principals import Principal, Scope
from equipoise_service.aggregates import bases
from equipoise_service.aggregates.names import PREFIX
from equipoise_service.aggregates.service import Keeping
from equipoise_service.aggregates.service import analyse as aggregated
from equipoise_service.analysis.sources import Limits
from equipoise_service.app import create_app
from equipoise_service.housekeeping import erasing
from equipoise_service.housekeeping.retention import forget_outdated_aggregates
from equipoise_service.readouts import facts
from equipoise_service.readouts.service import analyse
from equipoise_service.settings import Settings

PRINCIPAL = Principal("k", 1, 1, "default", "production", frozenset(Scope), math.inf, b"")
KEY = "new-landing-page"


@pytest.fixture
def processes(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Service, Service]]:
    """Two services on the same databases, which keep the smallest bases."""
    monkeypatch.setattr(erasing, "_SETTLING_SECONDS", 0.05)
    monkeypatch.setattr(facts, "analyse", partial(aggregated, keeping=Keeping(0, 0.0)))
    settings = Settings(
        data_dir=tmp_path,
        database_url=postgres_url,
        event_store_url=postgres_url,
        refresh_seconds=0.05,
        retention_days=10,
    )
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            client = stack.enter_context(TestClient(create_app(settings)))
            made.append(Service(client, settings))
            client.headers.update(made[-1].key())
        yield made[0], made[1]


def units(service: Service) -> int:
    """How many units a readout has that is computed now."""
    state = service.client.app.state  # type: ignore[attr-defined]
    found = analyse(state.database, state.event_store, Limits(60, 1000), PRINCIPAL, KEY, None)
    return sum(arm.units for arm in found.statistics.arms.values())


def kept(service: Service) -> list[str]:
    store = service.client.app.state.event_store  # type: ignore[attr-defined]
    with store.workspace() as workspace:
        found: list[str] = workspace.kept(PREFIX)
    return found


def item(unit: str, days: int, **more: Any) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "time": (datetime.now(UTC) - timedelta(days=days)).isoformat(),
        "unit": unit,
        **more,
    }


@pytest.mark.parametrize("way", ["erasure", "retention"])
def test_what_a_readout_keeps_amid_a_deletion_is_not_read_again(
    processes: tuple[Service, Service], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    one, other = processes
    assert one.client.post("/v1/experiments", json=experiment()).status_code == 201
    assert one.client.post(f"/v1/experiments/{KEY}/start").status_code == 200
    shown = [
        item(unit, days, experiment=KEY, variant="control", revision=1)
        for unit, days in (("erased", 1), ("old", 100), ("other", 1))
    ]
    answer = one.client.post("/v1/events", json={"exposures": shown, "events": []})
    assert answer.json()["accepted"] == 3, answer.text
    assert one.client.post(f"/v1/experiments/{KEY}/stop").status_code == 200
    real = bases.keep
    met: list[int] = []

    def meanwhile(*arguments: Any) -> Any:
        """Delete in the other process when all is read, and before what was found is kept."""
        if not met:
            met.append(1)
            if way == "erasure":
                answer = other.client.post("/v1/units/erase", json={"unit_type": "user", "unit": "erased"})
            else:
                answer = other.client.post("/v1/retention/run")
            assert answer.status_code == 200, answer.text
        return real(*arguments)

    monkeypatch.setattr(bases, "keep", meanwhile)
    assert units(one) == 3
    outdated = kept(one)
    assert met
    assert outdated
    assert [units(service) for service in processes] == [2, 2]
    # Keeping what is right has dropped what is not. Where nobody looks again, housekeeping does.
    assert not set(outdated) & set(kept(other))
    assert other.client.post("/v1/units/erase", json={"unit_type": "user", "unit": "x"}).status_code == 200
    assert kept(other) == []
    met.clear()
    units(one)
    assert kept(one)
    state = other.client.app.state  # type: ignore[attr-defined]
    forget_outdated_aggregates(state.database, state.event_store)
    assert kept(one) == []
