"""The file of the last configuration, and the client in asynchronous code."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, Reply, document
from tests.sdk.test_client import wait_until

from equipoise import Client, Reason, _backoff, evaluate
from equipoise._last_good import save
from equipoise.configuration import parse

CONFIG = "/v1/config"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "FIRST_SECONDS", 0.05)


def test_each_configuration_is_kept_for_this_user_alone(service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.json"
    with Client(service.url, KEY, poll_interval=0.05, last_known_good=file) as client:
        assert client.wait_ready(10)
        wait_until(file.exists)
        assert json.loads(file.read_bytes()) == document()
        service.publish(document(version=2, status="paused"))
        wait_until(lambda: json.loads(file.read_bytes())["version"] == 2)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert Client.from_config(file).assign(FLAG, "user-1").reason is Reason.DISABLED


def test_a_start_while_the_service_is_away(service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    save(file, json.dumps(document(revision=5)).encode())
    service.stop()
    with Client(service.url, KEY, last_known_good=str(file)) as client:
        assert client.wait_ready(10)
        for n in range(20):
            got = client.variant(FLAG, f"user-{n}")
            assert got == evaluate(parse(document(revision=5)), FLAG, f"user-{n}")
        service.publish(document(version=2, revision=6))
        service.start()
        wait_until(lambda: client.assign(FLAG, "user-1").revision == 6)
        assert client.flush(10).accepted == 20
    assert json.loads(file.read_bytes())["version"] == 2


@pytest.mark.parametrize("reply", [Reply(500), Reply(401), Reply(200, b"<html>"), Reply(hang_up=True)])
def test_a_service_without_a_configuration_is_away_too(
    service: FakeService, tmp_path: Path, reply: Reply
) -> None:
    file = tmp_path / "config.json"
    save(file, json.dumps(document()).encode())
    service.always[CONFIG] = reply
    with Client(service.url, KEY, last_known_good=file) as client:
        assert client.wait_ready(10)
        assert client.assign(FLAG, "user-1").reason is Reason.SPLIT
    assert json.loads(file.read_bytes()) == document()


def test_the_service_goes_before_the_file(service: FakeService, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    save(file, json.dumps(document(revision=5)).encode())
    with Client(service.url, KEY, last_known_good=file) as client:
        assert client.wait_ready(10)
        assert client.assign(FLAG, "user-1").revision == 1


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b"[" * 100_000])
def test_an_unusable_file_is_said_and_changes_nothing(
    service: FakeService, tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "config.json"
    if content is not None:
        file.write_bytes(content)
    service.stop()
    with Client(service.url, KEY, last_known_good=file) as client:
        assert not client.wait_ready(0.4)
        assert client.assign(FLAG, "user-1", "mine").value == "mine"
        client.close(0.1)
    said = [each for each in caplog.records if "is unusable" in each.getMessage()]
    assert len(said) == (content is not None)


def test_a_file_that_cannot_be_written_is_said_once(
    service: FakeService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no directory")
    with Client(service.url, KEY, poll_interval=0.02, last_known_good=tmp_path / "file" / "c.json") as client:
        assert client.wait_ready(10)
        for version in range(2, 5):
            service.publish(document(version=version, revision=version))
            wait_until(lambda version=version: client.assign(FLAG, "user-1").revision == version)  # type: ignore[misc]
    assert len([each for each in caplog.records if "could not be kept" in each.getMessage()]) == 1


def test_a_crash_while_it_is_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.json"
    save(file, b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("No space left on device")))
    with pytest.raises(OSError, match="No space"):
        save(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_asynchronous_code_is_not_blocked(service: FakeService) -> None:
    service.always["/v1/events"] = Reply(seconds=0.5, store=True, status=503)

    async def main() -> tuple[Any, float]:
        longest, running = 0.0, True

        async def beat() -> None:
            nonlocal longest
            while running:
                start = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - start)

        async with Client(service.url, KEY, flush_interval=60) as client:
            client.track("seen", "user-1")
            beating = asyncio.create_task(beat())
            report = await client.aflush(0.3)
            assert report.pending == 1
            service.always.clear()
            report = await client.aflush(10)
            running = False
            await beating
            client.track("seen", "user-2")
        assert client.counters.sent == 2
        assert (await client.aclose()).pending == 0
        return report, longest

    report, longest = asyncio.run(main())
    assert report.accepted + report.duplicate == 1
    assert longest < 0.25
    assert len(service.items) == 2
