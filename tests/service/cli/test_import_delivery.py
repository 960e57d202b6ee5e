"""Sending to a service that is down, slow, overloaded, or none at all: over a real socket."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.sdk.fake_service import KEY, FakeService, Reply

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.importing.delivery import Delivery, Stopped
from equipoise_service.cli.importing.items import Batch, Event, Exposure, Refusal

EVENTS = "/v1/events"


@pytest.fixture
def fake() -> Iterator[FakeService]:
    service = FakeService()
    service.start()
    yield service
    service.stop()


def batch(count: int = 6) -> Batch:
    """A batch of exposures and events in turn."""
    made = Batch(last_row=count)
    for row in range(1, count + 1):
        if row % 2:
            made.exposures.append((row, Exposure(f"id-{row}", "t", "user", f"u{row}", "e", "control")))
        else:
            made.events.append((row, Event(f"id-{row}", "t", "user", f"u{row}", "bought", row / 2)))
    return made


Deliver = Callable[..., tuple[Delivery, list[str]]]


@pytest.fixture
def delivery(fake: FakeService) -> Iterator[Deliver]:
    """Makes a delivery to the service, and the list of what it gives notice of."""
    with ExitStack() as stack:

        def make(patience: float = 10.0) -> tuple[Delivery, list[str]]:
            notices: list[str] = []
            return stack.enter_context(Delivery(fake.url, KEY, patience, notices.append)), notices

        yield make


def test_everything_arrives_and_is_counted(fake: FakeService, delivery: Deliver) -> None:
    sender, notices = delivery()
    first, again = sender.send(batch()), sender.send(batch())
    assert (first.accepted, first.duplicate) == ({"exposures": 3, "events": 3}, {})
    assert (again.accepted, again.duplicate) == ({}, {"exposures": 3, "events": 3})
    assert {item["unit"]: item.get("value") for item in fake.stored("events")} == {"u2": 1, "u4": 2, "u6": 3}
    assert fake.connections == 1
    assert not notices


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(503, headers={"Retry-After": "0"}),
        Reply(429),
        Reply(500),
        Reply(502, b"<html>bad gateway</html>"),
        Reply(hang_up=True),
        Reply(hang_up=True, store=True),
    ],
)
def test_what_passes_is_tried_again_with_the_same_ids(
    fake: FakeService, delivery: Deliver, trouble: Reply
) -> None:
    fake.script(EVENTS, trouble, trouble)
    sender, notices = delivery()
    outcome = sender.send(batch())
    assert sum(outcome.accepted.values()) + sum(outcome.duplicate.values()) == 6
    assert len(fake.items) == 6
    assert len(notices) in (0, 2)  # a kept connection that was hung up is opened again without a word


def test_retry_after_is_waited_for(fake: FakeService, delivery: Deliver) -> None:
    fake.script(EVENTS, Reply(503, headers={"Retry-After": "2"}))
    began = time.monotonic()
    delivery()[0].send(batch())
    assert time.monotonic() - began >= 1.4


def test_patience_ends(fake: FakeService, delivery: Deliver) -> None:
    fake.stop()
    sender, notices = delivery(patience=0.5)
    with pytest.raises(Failure, match=re.escape("took nothing for 0.5 seconds: it cannot be reached")):
        sender.send(batch())
    assert len(notices) == 1


def test_a_service_that_comes_back_is_told_about_once_by_all_senders(
    fake: FakeService, delivery: Deliver
) -> None:
    fake.stop()
    sender, notices = delivery()
    threads = [threading.Thread(target=sender.send, args=(batch(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    fake.start()
    for thread in threads:
        thread.join(10)
    assert len(fake.items) == 6
    assert [("takes nothing now" in each, "answers again" in each) for each in notices] == [
        (True, False),
        (False, True),
    ]


def test_stopping_ends_a_wait(fake: FakeService, delivery: Deliver) -> None:
    fake.stop()
    sender, _ = delivery(patience=60)
    threading.Timer(0.3, sender.stop).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        sender.send(batch())
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(401), "answers 401. The key is not valid"),
        (Reply(403), "answers 403. The key has not the scope ingest"),
        (Reply(404), "Is --url the service's address?"),
        (Reply(422, b'{"detail": "so so"}'), "answers 422. The service does not take the items: so so"),
        (Reply(400, b"\xff"), "answers 400. The service does not take the items: Bad Request"),
        (Reply(299, b"{}"), "answers 299"),
        (Reply(200, b"<html>welcome</html>"), "does not answer as Equipoise does"),
        (Reply(200, b'{"exposures": [], "events": []}'), "does not answer as Equipoise does"),
    ],
)  # fmt: skip
def test_what_will_never_be_taken_is_said_at_once(
    fake: FakeService, delivery: Deliver, reply: Reply, message: str
) -> None:
    fake.always[EVENTS] = reply
    with pytest.raises(Failure, match=re.escape(message)):
        delivery()[0].send(batch())
    assert fake.count(EVENTS) == 1


def test_batches_that_are_too_large_are_halved(fake: FakeService, delivery: Deliver) -> None:
    fake.max_items = 2
    outcome = delivery()[0].send(batch(7))
    assert sum(outcome.accepted.values()) == 7
    assert len(fake.items) == 7


def test_an_item_that_is_too_large_alone_is_refused(fake: FakeService, delivery: Deliver) -> None:
    fake.max_items = 0
    outcome = delivery()[0].send(batch(2))
    assert outcome.refusals == [
        Refusal(1, "exposure", "larger than the service takes"),
        Refusal(2, "event bought", "larger than the service takes"),
    ]


def test_refusals_keep_their_row_and_lose_their_place_in_the_batch(
    fake: FakeService, delivery: Deliver
) -> None:
    fake.refuse = lambda item: "no such variant" if item["unit"] in ("u3", "u4") else None
    local = Refusal(9, "row", "the unit is empty")
    made = batch()
    made.refusals.append(local)
    outcome = delivery()[0].send(made)
    assert outcome.refusals == [
        local,
        Refusal(3, "exposure", "no such variant"),
        Refusal(4, "event bought", "no such variant"),
    ]
    assert sum(outcome.accepted.values()) == 4
