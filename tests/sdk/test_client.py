"""The client with a service that behaves: what it evaluates, logs and delivers."""

import json
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, document

from equipoise import Assignment, Client, Reason, evaluate
from equipoise.configuration import parse


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)


def test_making_a_client_does_nothing(service: FakeService) -> None:
    before = threading.active_count()
    client = Client(service.url, KEY)
    time.sleep(0.1)
    assert threading.active_count() == before
    assert service.connections == 0
    client.close()
    assert service.connections == 0


def test_before_the_configuration_the_callers_default(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        got = client.variant(FLAG, "user-1", default="mine")
    assert got == Assignment(FLAG, None, None, "mine", Reason.ERROR, None)
    assert service.stored("exposures") == []


def test_the_client_evaluates_as_evaluate_does(service: FakeService) -> None:
    configuration = parse(document())
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        for n in range(200):
            assert client.assign(FLAG, f"user-{n}") == evaluate(configuration, FLAG, f"user-{n}")
        assert client.assign("no-such-flag", "user-1", default=3).value == 3
    assert service.stored("exposures") == []


def test_variant_logs_one_exposure_per_unit(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        before = datetime.now(UTC)
        for _ in range(3):
            for n in range(50):
                client.variant(FLAG, f"user-{n}")
        after = datetime.now(UTC)
        report = client.flush(10)
    assert (report.accepted, report.pending) == (50, 0)
    exposures = service.stored("exposures")
    assert [exposure["unit"] for exposure in exposures] == [f"user-{n}" for n in range(50)]
    for exposure in exposures:
        assert set(exposure) == {"id", "time", "unit_type", "unit", "experiment", "variant", "revision"}
        assert exposure["unit_type"] == "account"
        assert exposure["experiment"] == FLAG
        assert exposure["revision"] == 1
        assert exposure["variant"] == evaluate(parse(document()), FLAG, exposure["unit"]).variant
        assert UUID(exposure["id"]).version == 7
        assert exposure["time"].endswith("Z")
        assert len(exposure["time"]) == len("2026-01-01T00:00:00.000000Z")
        assert before <= datetime.fromisoformat(exposure["time"]) <= after


def test_assign_then_expose_is_variant(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        assignment = client.assign(FLAG, "user-1")
        client.expose(assignment, "user-1")
        client.expose(assignment, "user-1")
        client.variant(FLAG, "user-1")
        client.expose(client.assign("no-such-flag", "user-1"), "user-1")
        assert client.flush(10).accepted == 1
    assert len(service.stored("exposures")) == 1


def test_a_new_revision_is_a_new_exposure(service: FakeService) -> None:
    with Client(service.url, KEY, poll_interval=0.05) as client:
        assert client.wait_ready(10)
        client.variant(FLAG, "user-1")
        service.publish(document(version=2, revision=2, salt="1122334455667788"))
        wait_until(lambda: client.assign(FLAG, "user-1").revision == 2)
        client.variant(FLAG, "user-1")
        client.flush(10)
    assert [exposure["revision"] for exposure in service.stored("exposures")] == [1, 2]


def test_a_stopped_experiment_exposes_nobody(service: FakeService) -> None:
    service.publish(document(status="stopped"))
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        assert client.variant(FLAG, "user-1").reason is Reason.DISABLED
        assert client.flush(10).accepted == 0
        assert client.counters.logged == 0


def test_events_arrive_as_they_were_tracked(service: FakeService) -> None:
    moment = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=timezone(timedelta(hours=2)))
    properties: dict[str, Any] = {"plan": "žlti", "sizes": [1, 2.5, None], "deep": {"ok": True}}
    with Client(service.url, KEY) as client:
        client.track("purchased", "user-1", 12.5, properties, time=moment)
        properties["plan"] = "changed later"
        client.track("seen", "zařízení", unit_type="device")
        client.track("paid", "user-1", Decimal("3"))  # type: ignore[arg-type]
        assert client.flush(10).accepted == 3
    purchased, seen, paid = service.stored("events")
    assert purchased == {
        "id": purchased["id"],
        "time": "2026-03-01T10:30:15.250000Z",
        "unit_type": "user",
        "unit": "user-1",
        "name": "purchased",
        "value": 12.5,
        "properties": {"plan": "žlti", "sizes": [1, 2.5, None], "deep": {"ok": True}},
    }
    assert set(seen) == {"id", "time", "unit_type", "unit", "name"}
    assert (seen["unit"], seen["unit_type"], paid["value"]) == ("zařízení", "device", 3.0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("", "user-1"),
        (None, "user-1"),
        ("name", ""),
        ("name", 7),
        ("name", "user-\ud800"),
        ("name", "user-1", math.nan),
        ("name", "user-1", math.inf),
        ("name", "user-1", 10**400),
        ("name", "user-1", "12"),
        ("name", "user-1", 1.0, {"x": math.nan}),
        ("name", "user-1", 1.0, {"x": object}),
        ("name", "user-1", 1.0, {("a", "b"): 1}),
        ("name", "user-1", 1.0, [1]),
        ("name", "user-1", 1.0, {"x": "\udfff"}),
    ],
    ids=repr,
)
def test_what_cannot_be_an_event_is_counted(
    service: FakeService, arguments: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with Client(service.url, KEY) as client:
        client.track(*arguments)
        client.track(*arguments)
        client.track("good", "user-1")
        client.flush(10)
        assert client.counters.dropped == {"invalid": 2}
        assert (client.counters.logged, client.counters.accepted) == (3, 1)
    assert len([record for record in caplog.records if record.name == "equipoise"]) == 1


def test_a_time_without_zone_is_counted_as_invalid(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        client.track("name", "user-1", time=datetime(2026, 1, 1))
        client.track("name", "user-1", time="2026-01-01")  # type: ignore[arg-type]
        client.track("name", "user-1", time=datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))))
        assert client.counters.dropped == {"invalid": 3}


def test_what_is_no_exposure_is_counted(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        assert client.wait_ready(10)
        assignment = client.assign(FLAG, "user-1")
        client.expose("treatment", "user-1")  # type: ignore[arg-type]
        client.expose(assignment, None)  # type: ignore[arg-type]
        client.expose(assignment, "")
        gone = Assignment(FLAG, "long-gone", "control", "old", Reason.SPLIT, 1)
        client.expose(gone, "user-1")
        assert client.counters.dropped == {"invalid": 3, "unknown_experiment": 1}


def test_an_item_that_is_too_large_is_counted(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        client.track("name", "user-1", properties={"text": "x" * 70_000})
        client.track("name", "u" * 10_000)
        client.flush(10)
        assert client.counters.dropped == {"too_large": 1}
        assert client.counters.accepted == 1


def test_batches_by_count_and_by_time(service: FakeService) -> None:
    with Client(service.url, KEY, batch_size=10, flush_interval=0.3) as client:
        for n in range(35):
            client.track("seen", f"user-{n}")
        wait_until(lambda: len(service.items) >= 30)
        wait_until(lambda: len(service.items) == 35)
    sizes = [len(request.items) for request in service.requests if request.path == "/v1/events"]
    assert max(sizes) <= 10
    assert sum(sizes) == 35
    assert [event["unit"] for event in service.stored("events")] == [f"user-{n}" for n in range(35)]


def test_batches_by_bytes(service: FakeService) -> None:
    with Client(service.url, KEY) as client:
        for n in range(60):
            client.track("seen", f"user-{n}", properties={"text": "x" * 50_000})
        assert client.flush(20).accepted == 60
    batches = [request.document["events"] for request in service.requests if request.path == "/v1/events"]
    assert all(len(json.dumps(batch)) <= 1_100_000 for batch in batches)
    assert len(batches) >= 3


def test_one_connection_is_kept(service: FakeService) -> None:
    with Client(service.url, KEY, poll_interval=0.05, stream=False) as client:
        for n in range(5):
            client.track("seen", f"user-{n}")
            client.flush(10)
        wait_until(lambda: service.count("/v1/config") >= 3)
        assert service.connections == 1


def test_an_unchanged_configuration_is_not_sent_again(service: FakeService) -> None:
    with Client(service.url, KEY, poll_interval=0.05) as client:
        assert client.wait_ready(10)
        wait_until(lambda: service.count("/v1/config") >= 3)
        first, *later = [request for request in service.requests if request.path == "/v1/config"]
        assert "If-None-Match" not in first.headers
        assert all(request.headers["If-None-Match"].startswith('"') for request in later)
        service.publish(document(version=2, status="paused"))
        wait_until(lambda: client.assign(FLAG, "user-1").reason is Reason.DISABLED)


def test_a_path_in_the_url_is_kept(service: FakeService) -> None:
    with Client(f"{service.url}/experiments/", KEY) as client:
        client.track("seen", "user-1")
        client.flush(0.3)
        wait_until(lambda: service.count("/experiments/v1/events") >= 1)


def test_many_threads(service: FakeService) -> None:
    with Client(service.url, KEY, batch_size=97, flush_interval=0.02) as client:
        assert client.wait_ready(10)

        def work(thread: int) -> None:
            for n in range(250):
                client.track("seen", f"user-{thread}-{n}")
                client.variant(FLAG, f"shared-{n}")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush(30)
        counters = client.counters
    assert counters.accepted == counters.logged == 16 * 250 + 250
    assert len({event["unit"] for event in service.stored("events")}) == 16 * 250
    assert sorted(exposure["unit"] for exposure in service.stored("exposures")) == sorted(
        f"shared-{n}" for n in range(250)
    )
    assert set(service.arrivals.values()) == {1}


def test_close_drains_and_ends_the_thread(service: FakeService) -> None:
    client = Client(service.url, KEY, batch_size=10)
    for n in range(95):
        client.track("seen", f"user-{n}")
    report = client.close(10)
    assert (report.pending, dict(report.dropped)) == (0, {})
    assert len(service.items) == 95
    assert not [thread for thread in threading.enumerate() if thread.name == "equipoise"]
    client.track("late", "user-1")
    client.close()
    assert client.counters.dropped == {"closed": 1}
    assert len(service.items) == 95


def test_evaluation_goes_on_after_close(service: FakeService) -> None:
    client = Client(service.url, KEY)
    assert client.wait_ready(10)
    client.close()
    assert client.assign(FLAG, "user-1").reason is Reason.SPLIT
    assert not [thread for thread in threading.enumerate() if thread.name == "equipoise"]


def test_a_client_nobody_holds_sends_what_it_has_and_ends(service: FakeService) -> None:
    client = Client(service.url, KEY, flush_interval=60)
    client.track("seen", "user-1")
    del client
    wait_until(lambda: len(service.items) == 1)
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "equipoise"])


def test_the_key_is_never_shown(service: FakeService) -> None:
    client = Client(service.url, KEY)
    assert KEY not in repr(client)
    assert KEY not in repr(vars(client._worker)["settings"])
    with pytest.raises(ValueError, match="key: expected") as caught:
        Client(service.url, "secret with spaces")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("url", {"url": "ftp://host"}),
        ("url", {"url": "localhost:8000"}),
        ("url", {"url": "http://"}),
        ("url", {"url": "http://host:99999"}),
        ("url", {"url": "http://user:secret@host"}),
        ("url", {"url": "http://host/?a=b"}),
        ("key", {"key": ""}),
        ("key", {"key": "a\r\nX-Header: b"}),
        ("poll_interval", {"poll_interval": 0}),
        ("flush_interval", {"flush_interval": math.nan}),
        ("timeout", {"timeout": -1}),
        ("batch_size", {"batch_size": 0}),
        ("queue_size", {"queue_size": 1.5}),
    ],
)
def test_an_unusable_setting_is_refused_by_name(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Client(**({"url": "http://127.0.0.1:1", "key": KEY} | arguments))
