"""The SDK's client and a service that runs: how soon a change arrives, what it learns of losses."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.service.conftest import experiment
from tests.service.running import running_service

from equipoise import Client

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
