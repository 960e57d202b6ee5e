"""The SDK's client and a service that runs: how soon a change arrives, what it learns of losses."""

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import experiment
from tests.service.running import running_service

from equipoise import Client, _delivery, _items, _worker, identifiers

KEY = "new-landing-page"


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < 20, "it did not come to pass in time"
        time.sleep(0.001)


@pytest.mark.slow
def test_a_change_is_evaluated_within_a_second_of_its_patch(tmp_path: Path) -> None:
    """Ramps of an experiment, each noticed by the reason of one unit; the next poll would be in an hour."""
    path = f"/v1/experiments/{KEY}"
    with running_service(tmp_path) as service:
        service.start_experiment(experiment())
        with Client(service.url, service.key, poll_interval=3600) as client:
            assert client.wait_ready(20)
            time.sleep(1)  # the stream opens
            seconds = []
            for number in range(60):
                share = 10_000 if number % 2 else 0
                etag = service.request("GET", path).headers["ETag"]
                start = time.monotonic()
                answer = service.request("PATCH", path, json={"traffic": share}, headers={"If-Match": etag})
                assert answer.status_code == 200, answer.text
                expected = "SPLIT" if share else "DEFAULT"
                wait_until(lambda expected=expected: client.assign(KEY, "user-1").reason == expected)  # type: ignore[misc]
                seconds.append(time.monotonic() - start)
    p99 = statistics.quantiles(seconds, n=100)[98]
    print(f"\nPATCH to evaluation: median {statistics.median(seconds):.3f} s, p99 {p99:.3f} s")
    assert p99 < 1.0


def test_the_service_keeps_what_a_client_dropped(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        service.start_experiment(experiment())
        with Client(service.url, service.key) as client:
            assert client.wait_ready(20)
            client.variant(KEY, "user-1")
            for _ in range(3):
                client.track("", "user-1")
            assert client.flush(20).accepted == 1
            client.track("", "user-1")
        found = service.facts("SELECT place, reason, count FROM dropped")
    assert found == [("default/production", "invalid", 4)]


@pytest.mark.parametrize("hours", [-30, 30])
def test_the_service_takes_what_a_client_with_a_wrong_clock_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Further off than a time may lie ahead: the batch says what its sender's clock says."""

    class Shown(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(hours=hours)

    true = time.time_ns
    shown = lambda: true() + hours * 3_600_000_000_000  # noqa: E731
    for module in (_items, _worker):
        monkeypatch.setattr(module, "time_ns", shown)
    monkeypatch.setattr(_delivery, "datetime", Shown)
    monkeypatch.setattr(identifiers, "_generator", identifiers._Generator())
    with running_service(tmp_path) as service:
        service.start_experiment(experiment())
        monkeypatch.setattr(time, "time_ns", shown)
        with Client(service.url, service.key) as client:
            assert client.wait_ready(20)
            client.variant(KEY, "user-1")
            client.track("seen", "user-1")
            report = client.flush(20)
            assert (report.accepted, report.refused) == (2, 0)
        monkeypatch.undo()
        for table in ("exposures", "events"):
            ((stored,),) = service.facts(f"SELECT time FROM {table}")
            away = datetime.now(UTC).replace(tzinfo=None) - stored
            assert abs(away) < timedelta(minutes=2)
