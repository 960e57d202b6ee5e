"""Readouts beside a deletion, wherever its process ends: what was kept of what went is never read again."""

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
from equipoise_service.housekeeping import deleting, erasing
from equipoise_service.housekeeping.deleting import finish_deletions
from equipoise_service.housekeeping.erasing import erase
from equipoise_service.housekeeping.retention import delete_old
from equipoise_service.housekeeping.schemas import EraseIn
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


def begin_with_three_units(service: Service) -> None:
    """An experiment that has ended, with a unit whose facts are old and one that is going to be erased."""
    assert service.client.post("/v1/experiments", json=experiment()).status_code == 201
    assert service.client.post(f"/v1/experiments/{KEY}/start").status_code == 200
    shown = [
        item(unit, days, experiment=KEY, variant="control", revision=1)
        for unit, days in (("erased", 1), ("old", 100), ("other", 1))
    ]
    answer = service.client.post("/v1/events", json={"exposures": shown, "events": []})
    assert answer.json()["accepted"] == 3, answer.text
    assert service.client.post(f"/v1/experiments/{KEY}/stop").status_code == 200


@pytest.mark.parametrize("way", ["erasure", "retention"])
def test_what_a_readout_keeps_amid_a_deletion_is_not_read_again(
    processes: tuple[Service, Service], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    one, other = processes
    begin_with_three_units(one)
    real = bases.keep
    met: list[int] = []
    going = ["erased"] if way == "erasure" else []

    def meanwhile(*arguments: Any) -> Any:
        """Delete in the other process when all is read, and before what was found is kept."""
        if not met:
            met.append(1)
            if going:
                answer = other.client.post("/v1/units/erase", json={"unit_type": "user", "unit": going.pop()})
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
    going.append("other")
    units(one)
    assert kept(one)
    state = other.client.app.state  # type: ignore[attr-defined]
    finish_deletions(state.database, state.event_store, alone=False)
    assert kept(one) == []


class Killed(BaseException):
    """The process ends here."""


def delete(state: Any, settings: Settings, way: str) -> None:
    if way == "erasure":
        wanted = EraseIn(unit_type="user", unit="erased")
        erase(state.database, state.event_store, PRINCIPAL, wanted, 0.0)
    else:
        delete_old(state.database, state.event_store, settings, seconds=60)


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


@pytest.mark.parametrize("way", ["erasure", "retention"])
def test_what_was_kept_before_a_deletion_that_nobody_ended_is_not_read_again(
    processes: tuple[Service, Service], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    one, other = processes
    begin_with_three_units(one)
    assert units(one) == 3
    outdated = kept(one)
    assert outdated
    state = one.client.app.state  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        # As if it were killed when the facts are gone, before anything was said or done about it.
        patched.setattr(deleting, "end_deletion", killed)
        patched.setattr(deleting, "forget_all", killed)
        with pytest.raises(Killed):
            delete(state, one.settings, way)
    assert kept(one) == outdated
    assert [units(service) for service in processes] == [2, 2]
    assert kept(one) == outdated, "nothing is kept while nobody knows what goes still"
    others = other.client.app.state  # type: ignore[attr-defined]
    finish_deletions(others.database, others.event_store, alone=False)
    assert kept(one) == outdated, "another process may be at it"
    finish_deletions(others.database, others.event_store, alone=True)
    assert kept(one) == []
    assert units(one) == 2
    assert kept(one)
    assert units(other) == 2


def test_what_was_kept_stays_where_nothing_was_old(processes: tuple[Service, Service]) -> None:
    one, _ = processes
    begin_with_three_units(one)
    assert one.client.post("/v1/retention/run").json()["deleted"]["exposures"] == 1
    assert units(one) == 2
    before = kept(one)
    assert before
    assert one.client.post("/v1/retention/run").json()["finished"] is True
    assert kept(one) == before
    assert units(one) == 2
    assert kept(one) == before
