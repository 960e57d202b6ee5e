"""The service hears what a client dropped: as totals, with the next batch or alone, and never in a loop."""

import time
from typing import Any
from uuid import UUID

import pytest
from tests.sdk.fake_service import KEY, FakeService, Reply
from tests.sdk.test_client import wait_until

from equipoise import Client, _backoff, _losses

EVENTS = "/v1/events"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "FIRST_SECONDS", 0.05)


def reports(service: FakeService) -> list[dict[str, Any]]:
    """Return what was reported, in the order in which it arrived."""
    sent = [request.document for request in service.requests if request.path == EVENTS]
    return [document["dropped"] for document in sent if "dropped" in document]


def test_nothing_dropped_nothing_said(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        client.track("seen", "user-1")
        client.flush(10)
    assert reports(service) == []


def test_totals_come_with_the_next_batch(service: FakeService) -> None:
    with Client(service.url, KEY, flush_interval=60) as client:
        for _ in range(3):
            client.track("", "user-1")
            client.track("seen", "user-1")
            client.flush(10)
        client.track("seen", "user-1")
        client.flush(10)
    assert [report["counts"] for report in reports(service)] == [{"invalid": n} for n in (1, 2, 3)]
    (identifier,) = {report["client"] for report in reports(service)}
    assert UUID(identifier).version == 7
    assert len(service.items) == 4


def test_without_a_batch_they_come_alone(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        client.track("", "user-1")
        client.assign("any", "user-1")
        wait_until(lambda: len(reports(service)) == 1)
        time.sleep(0.2)
    assert [report["counts"] for report in reports(service)] == [{"invalid": 1}]


def test_close_reports(service: FakeService) -> None:
    client = Client(service.url, KEY, flush_interval=60, poll_interval=60)
    assert client.wait_ready(10)
    client.track("", "user-1")
    client.close(5)
    assert [report["counts"] for report in reports(service)] == [{"invalid": 1}]


def test_a_report_without_an_answer_is_repeated_with_the_same_id(service: FakeService) -> None:
    service.script(EVENTS, Reply(503), Reply(hang_up=True))
    with Client(service.url, KEY) as client:
        client.track("", "user-1")
        client.track("seen", "user-1")
        assert client.flush(10).accepted == 1
    assert len(reports(service)) >= 3
    assert {report["client"] for report in reports(service)} == {reports(service)[0]["client"]}
    assert all(report["counts"] == {"invalid": 1} for report in reports(service))


@pytest.mark.parametrize("reply", [Reply(401), Reply(422), Reply(413), Reply(503), Reply(hang_up=True)])
def test_a_service_that_takes_no_reports_is_left_in_peace(
    service: FakeService, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_losses, "_SECONDS_BETWEEN_ATTEMPTS", 0.5)
    service.always[EVENTS] = reply
    client = Client(service.url, KEY, flush_interval=0.01)
    client.track("", "user-1")
    client.assign("any", "user-1")
    time.sleep(1.2)
    assert 2 <= len(reports(service)) <= 8  # a connection that is hung up is tried twice
    start = time.monotonic()
    client.close(5)
    assert time.monotonic() - start < 1.0, "nobody waits for a report"


def test_what_is_in_the_spool_is_not_reported(service: FakeService, tmp_path: Any) -> None:
    service.always[EVENTS] = Reply(503)
    client = Client(service.url, KEY, spool=tmp_path)
    client.track("seen", "user-1")
    client.close(0.3)
    assert client.counters.dropped == {"spooled": 1}
    assert reports(service) == []
