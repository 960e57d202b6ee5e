"""The spool: what is queued survives a crash, is sent once it can be, and never stands in the way."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, Reply
from tests.sdk.test_client import wait_until
from tests.sdk.test_faults import assert_account_is_whole

from equipoise import Client, _backoff
from equipoise._items import Item
from equipoise._spool import Segment, Spool

EVENTS = "/v1/events"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "FIRST_SECONDS", 0.05)


def item(n: int, size: int = 10) -> Item:
    return Item("events", f"id-{n}", b'{"id":"id-%d","text":"%b"}' % (n, b"x" * size))


def units(service: FakeService) -> list[str]:
    return [each["unit"] for each in service.stored("events")]


def crash(service: FakeService, spool: Path, script: str) -> None:
    """Run a script that has a client with the spool, in a process that kills itself at its end."""
    start = f"""
import os, signal, sys, time
from equipoise import Client
client = Client(sys.argv[1], {KEY!r}, spool=sys.argv[2], flush_interval=60)
"""
    end = "\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            start + textwrap.dedent(script) + end,
            service.url,
            str(spool),
        ],
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def test_what_a_killed_process_had_queued_is_sent_by_the_next(service: FakeService, tmp_path: Path) -> None:
    crash(
        service,
        tmp_path / "spool",
        f"""
        assert client.wait_ready(10)
        for n in range(300): client.track("seen", f"user-{{n}}")
        client.variant({FLAG!r}, "user-1")
        """,
    )
    assert service.items == {}
    with Client(service.url, KEY, spool=tmp_path / "spool", flush_interval=0.05) as client:
        client.track("seen", "new")
        wait_until(lambda: len(service.items) == 302)
        wait_until(lambda: client.counters.pending == 0)
        assert client.counters.accepted == client.counters.logged == 302
    assert units(service) == ["new", *(f"user-{n}" for n in range(300))]
    assert len(service.stored("exposures")) == 1
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_had_been_sent_comes_again_with_the_same_ids(service: FakeService, tmp_path: Path) -> None:
    crash(
        service,
        tmp_path,
        """
        client.track("seen", "sent-before")
        # The segment is emptied once all of it is answered for; here one more is in it by then.
        worker = client._worker
        settle = worker._keeping._spool.settle
        worker._keeping._spool.settle = lambda oldest: None
        assert client.flush(10).accepted == 1
        client.track("seen", "sent-after")
        """,
    )
    assert units(service) == ["sent-before"]
    with Client(service.url, KEY, spool=tmp_path, flush_interval=0.05) as client:
        client.assign(FLAG, "user-1")
        wait_until(lambda: client.counters.sent == 2)
        assert (client.counters.accepted, client.counters.duplicate) == (1, 1)
    assert units(service) == ["sent-before", "sent-after"]


def test_a_living_process_keeps_its_own(service: FakeService, tmp_path: Path) -> None:
    service.always[EVENTS] = Reply(503)
    with Client(service.url, KEY, spool=tmp_path, flush_interval=60) as one:
        for n in range(10):
            one.track("seen", f"one-{n}")
        with Client(service.url, KEY, spool=tmp_path, flush_interval=60) as two:
            two.track("seen", "two")
            two.flush(0.3)
            assert two.counters.logged == 1
            service.always.clear()
            assert two.flush(10).accepted == 1
        assert one.flush(10).accepted == 10
    assert set(service.arrivals) == set(service.items)
    assert list(tmp_path.iterdir()) == []


def test_what_close_could_not_send_is_left_to_the_next(service: FakeService, tmp_path: Path) -> None:
    service.always[EVENTS] = Reply(503)
    client = Client(service.url, KEY, spool=tmp_path)
    for n in range(20):
        client.track("seen", f"user-{n}")
    report = client.close(0.3)
    assert (dict(report.dropped), report.pending) == ({"spooled": 20}, 0)
    service.always.clear()
    with Client(service.url, KEY, spool=tmp_path, flush_interval=0.05) as after:
        after.assign(FLAG, "user-1")
        wait_until(lambda: after.counters.accepted == 20)
    assert units(service) == [f"user-{n}" for n in range(20)]


def test_a_fork_leaves_the_parents_spool_alone(service: FakeService, tmp_path: Path) -> None:
    crash(
        service,
        tmp_path,
        """
        reader, writer = os.pipe()
        for n in range(10): client.track("seen", f"parent-{n}")
        if os.fork() == 0:
            client.track("seen", "child")
            client.close(10)
            os.write(writer, b"1")
            time.sleep(8)  # it lives longer than its parent, whose files it must not hold
            os._exit(0)
        os.read(reader, 1)
        client.track("seen", "parent-after")
        """,
    )
    assert units(service) == ["child"]
    with Client(service.url, KEY, spool=tmp_path, flush_interval=0.05) as client:
        client.assign(FLAG, "user-1")
        wait_until(lambda: client.counters.accepted == 11, seconds=4)
    assert sorted(units(service)) == sorted(["child", "parent-after", *(f"parent-{n}" for n in range(10))])


@pytest.mark.parametrize(
    "tail", [b'e {"id":"torn', b"e ", b"garbage\n", b"e not json\n", b"\x00" * 100, b"e []\n"]
)
def test_a_torn_tail_costs_nothing_else(service: FakeService, tmp_path: Path, tail: bytes) -> None:
    crash(service, tmp_path, "for n in range(5): client.track('seen', f'user-{n}')")
    (segment,) = tmp_path.iterdir()
    assert segment.stat().st_mode & 0o777 == 0o600
    with segment.open("ab") as file:
        file.write(tail)
    with Client(service.url, KEY, spool=tmp_path, flush_interval=0.05) as client:
        client.assign(FLAG, "user-1")
        wait_until(lambda: client.counters.accepted == 5)
    assert units(service) == [f"user-{n}" for n in range(5)]


def test_more_was_left_than_the_queue_holds(service: FakeService, tmp_path: Path) -> None:
    crash(service, tmp_path, "for n in range(500): client.track('seen', f'user-{n}')")
    with Client(
        service.url, KEY, spool=tmp_path, queue_size=20, batch_size=10, flush_interval=0.01
    ) as client:
        client.assign(FLAG, "user-1")
        wait_until(lambda: client.counters.accepted == 500)
        assert client.counters.dropped == {}
    assert units(service) == [f"user-{n}" for n in range(500)]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_counted_and_never_raised(
    service: FakeService,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The disk takes half of a line and then nothing; what was whole stays whole."""
    write, full = os.write, False

    def limited(descriptor: int, data: bytes) -> int:
        if full and data.startswith((b"e ", b"x ")):
            if data.endswith(b"\n") and b"user-10" in data:
                return write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", limited)
    service.always[EVENTS] = Reply(503)
    with Client(service.url, KEY, spool=tmp_path, flush_interval=60) as client:
        for n in range(20):
            full = 10 <= n < 15
            client.track("seen", f"user-{n}")
        assert client.counters.unspooled == 5
        assert client.counters.pending == 20
        report = client.close(0.3)
        assert dict(report.dropped) == {"spooled": 15, "closed": 5}
        assert_account_is_whole(client)
    assert len([each for each in caplog.records if "not kept on disk" in each.getMessage()]) == 1
    (path,) = tmp_path.iterdir()
    segment = Segment.claim(path)
    assert segment is not None
    assert len([*segment.items()]) == 15, "what was half written took no whole line with it"
    segment.release()


def test_a_real_full_device(service: FakeService, tmp_path: Path) -> None:
    """`/dev/full` as the segment: every write fails as on a full disk."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    descriptor = os.open("/dev/full", os.O_RDWR)
    segment = Segment(tmp_path / "s.spool", descriptor)
    with pytest.raises(OSError, match="No space"):
        segment.append(b"e {}\n", 1)
    assert (segment.size, segment.last) == (0, 0)
    segment.release()


def test_a_spool_that_cannot_be_made_is_counted(service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a directory")
    with Client(service.url, KEY, spool=file / "spool") as client:
        client.track("seen", "user-1")
        assert client.flush(10).accepted == 1
        assert client.counters.unspooled == 1


def test_its_bytes_are_bounded(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100_000)
    kept = 0
    for n in range(1, 2000):
        try:
            spool.append(item(n, 100), n)
            kept += 1
        except OSError:
            spool.missing.discard(0)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 90_000 < size <= 100_000
    assert len(spool.missing) == 1999 - kept
    spool.settle(kept // 2)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 0.6 * size
    spool.append(item(2000, 100), 2000)
    spool.settle(2001)
    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]
    spool.release()
    assert list(tmp_path.iterdir()) == []


def test_two_claim_one_wins(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 100_000)
    spool.append(item(1), 1)
    (path,) = tmp_path.iterdir()
    assert Segment.claim(path) is None, "its process lives"
    spool.release()
    first = Segment.claim(path)
    assert first is not None
    assert Segment.claim(path) is None
    assert [each.id for each in first.items()] == ["id-1"]
    first.remove()
    assert Segment.claim(path) is None


@pytest.mark.parametrize(
    ("name", "value"), [("spool", 7), ("spool", ""), ("spool_bytes", 10), ("last_known_good", b"")]
)
def test_unusable_settings_are_refused(service: FakeService, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Client(service.url, KEY, **{name: value})  # type: ignore[arg-type]
