"""No body is read without a key and without room, and memory stays bounded: against a real process."""

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.datastructures import Headers
from starlette.types import Message
from tests.service.events.items import body, event
from tests.service.running import RunningService, running_service

from equipoise_service.accounts.principals import Scope
from equipoise_service.errors import BadRequest, RequestTimeout, Unavailable
from equipoise_service.http import receiving
from equipoise_service.http.admission import Admission
from equipoise_service.http.compression import decompress


@contextmanager
def connected(service: RunningService) -> Iterator[socket.socket]:
    address = urlsplit(service.url)
    with closing(socket.create_connection((address.hostname or "", address.port or 0), 30)) as connection:
        yield connection


def head(service: RunningService, length: int, key: str | None = None, **more: str) -> bytes:
    """The beginning of a batch of some length."""
    lines = [
        "POST /v1/events HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {key or service.key}",
        f"Content-Length: {length}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in more.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(connection: socket.socket) -> tuple[int, str]:
    """Status and head of the answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    text = received.partition(b"\r\n\r\n")[0].decode()
    return int(text.split()[1]), text.lower()


def padded(size: int) -> bytes:
    """A batch with one event, of some size."""
    content = body([], [event()])
    return content + b" " * (size - len(content))


def test_a_key_is_checked_and_room_is_made_before_a_body_is_read(tmp_path: Path) -> None:
    with running_service(tmp_path, EQUIPOISE_EVENT_BODY_MB="1") as service:
        for key, length, status in (("eq_wrong", 1000, 401), (service.key, 9 << 20, 413)):
            with connected(service) as connection:
                connection.sendall(head(service, length, key))
                assert answer(connection)[0] == status
        slow = padded(600_000)
        with connected(service) as first, connected(service) as second, connected(service) as third:
            first.sendall(head(service, len(slow)) + slow[:300_000])
            # The service has read the first one's beginning when it answers this.
            assert service.request("GET", "/healthz").status_code == 200
            second.sendall(head(service, len(slow)))
            status, said = answer(second)
            assert status == 503
            assert "retry-after: 1" in said
            small = padded(1000)
            third.sendall(head(service, len(small), service.make_key(Scope.INGEST)) + small)
            assert answer(third)[0] == 200
            first.sendall(slow[300_000:])
            assert answer(first)[0] == 200
        with connected(service) as again:
            again.sendall(head(service, len(slow)) + slow)
            assert answer(again)[0] == 200
        assert service.facts("SELECT count(*) FROM events") == [(2,)]


@pytest.mark.parametrize("alone", [10, 100, 1_000_000])
def test_shares_are_given_back_and_a_single_one_has_its_turn(alone: int) -> None:
    admission = Admission(100)
    with admission.share("a") as only:
        only.resize(alone)
        with admission.share("b") as other, pytest.raises(Unavailable):
            other.resize(101 - alone if alone <= 100 else 1)
    with admission.share("a") as one, admission.share("b") as two:
        one.resize(60)
        two.resize(40)
        with pytest.raises(Unavailable):
            two.resize(41)
        one.resize(30)
        two.resize(70)
    with admission.share("a") as all_of_it:
        all_of_it.resize(100)


def test_who_holds_much_leaves_room_for_others() -> None:
    admission = Admission(100)
    with ExitStack() as held:
        for _ in range(5):
            held.enter_context(admission.share("greedy")).resize(10)
        with pytest.raises(Unavailable):
            held.enter_context(admission.share("greedy")).resize(1)
        held.enter_context(admission.share("other")).resize(50)
    with admission.share("greedy") as again:
        again.resize(100)


def test_uploads_that_stall_keep_no_other_key_out(tmp_path: Path) -> None:
    """As many as would fill the room, each of which says that eight megabytes come, and sends one byte."""
    with running_service(tmp_path) as service, ExitStack() as open_ones:
        other = service.make_key(Scope.INGEST)
        for _ in range(17):
            stalled = open_ones.enter_context(connected(service))
            stalled.sendall(head(service, 8_388_600) + b"{")
        assert service.request("GET", "/healthz").status_code == 200
        batch = padded(1000)
        with connected(service) as connection:
            connection.sendall(head(service, len(batch), other) + batch)
            assert answer(connection)[0] == 200


def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "GRACE_SECONDS", 0.0)
    coming = iter([{"type": "http.request", "body": b"x" * 16_384, "more_body": True}])

    async def receive() -> Message:
        for message in coming:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def given_up() -> float:
        began = time.monotonic()
        with pytest.raises(RequestTimeout) as refused:
            await receiving.received_body(Headers(), receive, lambda size: None, 1 << 20)
        assert refused.value.headers == {"Connection": "close"}
        return time.monotonic() - began

    # What came is worth a second.
    assert asyncio.run(given_up()) >= 0.99


def test_of_nobody_little_is_read(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        for key, status in ((service.key, None), ("eq_wrong_key", 401)):
            with connected(service) as connection:
                path = head(service, 30 << 20, key).replace(b"POST /v1/events", b"PATCH /v1/segments/staff")
                connection.sendall(path + b"[")
                connection.settimeout(20 if status else 0.5)
                if status:
                    assert answer(connection)[0] == status
                else:
                    with pytest.raises(TimeoutError):
                        answer(connection)


def test_gzip_that_grows_more_than_any_text_is_refused() -> None:
    bomb = gzip.compress(b" " * (4 << 20))
    with pytest.raises(BadRequest, match="250 times"):
        decompress(bomb, 1 << 30)
    usual = body([], [event() for _ in range(2000)])
    assert decompress(gzip.compress(usual), 1 << 30) == usual


HOSTILE = {
    "numbers": b'{"events": [' + b"1," * 2_000_000 + b"1]}",
    "properties": b'{"events": ['
    + json.dumps(event(properties=[])).replace("[]", '{"a": [%s]}').encode()
    + b"]}",
    "lines": b"\n" * 4_000_000,
    "bomb": b" " * 4_000_000,
    "text": json.dumps({"events": [event(unit="x" * 4_000_000)]}).encode(),
}
HOSTILE["properties"] = HOSTILE["properties"] % (b"{}," * 1_000_000 + b"1")


@pytest.mark.slow
def test_hostile_bodies_leave_memory_bounded_and_cost_no_good_item(tmp_path: Path) -> None:
    """Sixteen senders at once, each of whose bodies would grow to hundreds of megabytes."""
    with running_service(
        tmp_path, EQUIPOISE_EVENT_BODY_MB="16", EQUIPOISE_ANALYSIS_MEMORY_MB="256"
    ) as service:
        before = peak(service)
        statuses: list[int] = []
        good: list[str] = []

        def hostile(number: int) -> None:
            for content in list(HOSTILE.values()) * 2:
                lines = {"Content-Type": "application/x-ndjson"} if content[:1] == b"\n" else {}
                zipped = {"Content-Encoding": "gzip"} if number % 2 else {}
                sent = gzip.compress(content, 1) if zipped else content
                found = service.request("POST", "/v1/events", content=sent, headers=lines | zipped)
                statuses.append(found.status_code)
                item = event()
                if service.request("POST", "/v1/events", content=body([], [item])).status_code == 200:
                    good.append(item["id"])

        senders = [threading.Thread(target=hostile, args=(number,)) for number in range(16)]
        for each in senders:
            each.start()
        for each in senders:
            each.join()
        assert len(statuses) == 160
        assert set(statuses) <= {200, 400, 413, 422, 503}
        assert {422, 503} <= set(statuses)
        assert peak(service) - before < 900
        assert service.request("GET", "/readyz").status_code == 200
        stored = {str(id) for (id,) in service.facts("SELECT id FROM events")}
        assert set(good) == stored


def peak(service: RunningService) -> int:
    """The most memory that the service ever had, in MiB."""
    process = service.process._process
    assert process is not None
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10
