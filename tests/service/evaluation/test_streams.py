"""What a stream does with a reader that is slow, silent or gone: the application without a socket."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.service.conftest import Service

from equipoise_service.accounts.principals import Scope
from equipoise_service.evaluation import streams

PATH = "/v1/experiments/new-landing-page"


class Reader:
    """Takes what the application sends, when it is told to."""

    def __init__(self, client: TestClient, headers: Mapping[str, str] | None = None) -> None:
        self._app = client.app
        key = (headers or {"Authorization": client.headers["authorization"]})["Authorization"]
        self._headers = [(b"authorization", key.encode())]
        self.chunks: list[bytes] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.gone = asyncio.Event()
        self.done: asyncio.Task[None] | None = None

    def start(self) -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/config/stream",
            "raw_path": b"/v1/config/stream",
            "query_string": b"",
            "headers": self._headers,
            "http_version": "1.1",
            "scheme": "http",
        }
        self.done = asyncio.ensure_future(self._app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.body":
            self.chunks.append(message["body"])
        await self.takes.wait()

    async def until(self, count: int) -> None:
        """Wait until so many chunks came."""
        async with asyncio.timeout(10):
            while len(self.chunks) < count:
                await asyncio.sleep(0.005)

    async def leave(self) -> None:
        """Go, and wait until the application noticed."""
        self.gone.set()
        assert self.done
        await self.done

    @property
    def events(self) -> list[bytes]:
        return [chunk for chunk in self.chunks if chunk.startswith(b"id: ")]


@pytest.fixture
def running(client: TestClient, payload: Any) -> TestClient:
    assert client.post("/v1/experiments", json=payload()).status_code == 201
    assert client.post(f"{PATH}/start").status_code == 200
    return client


def move(client: TestClient, *names: str) -> None:
    for name in names:
        assert client.post(f"{PATH}/{name}").status_code == 200


def test_a_slow_reader_hears_the_latest_change_only(running: TestClient) -> None:
    async def read() -> None:
        reader = Reader(running)
        reader.start()
        await reader.until(1)
        reader.takes.clear()
        await asyncio.to_thread(move, running, "pause")
        await reader.until(2)
        await asyncio.to_thread(move, running, *("resume", "pause") * 5)
        present = running.get("/v1/config").headers["ETag"].strip('"')
        reader.takes.set()
        await reader.until(3)
        await asyncio.sleep(0.1)
        assert len(reader.events) == 3
        assert reader.events[-1].startswith(f"id: {present}\n".encode())
        reader.gone.set()
        assert reader.done
        await reader.done

    asyncio.run(read())


def test_silence_is_broken_by_comments(running: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.02)

    async def read() -> None:
        reader = Reader(running)
        reader.start()
        await reader.until(5)
        assert reader.chunks[1:5] == [b":\n\n"] * 4
        reader.gone.set()
        assert reader.done
        await reader.done

    asyncio.run(read())


def test_a_reader_that_goes_leaves_nothing_behind(running: TestClient) -> None:
    changes = running.app.state.changes  # type: ignore[attr-defined]

    async def read() -> None:
        readers = [Reader(running) for _ in range(3)]
        for reader in readers:
            reader.start()
            await reader.until(1)
        assert changes._count == 3
        readers[0].gone.set()
        assert readers[0].done
        assert readers[1].done
        await readers[0].done
        # As a server does with what is still open when its patience ends.
        readers[1].done.cancel()
        with pytest.raises(asyncio.CancelledError):
            await readers[1].done
        assert changes._count == 1
        readers[2].gone.set()
        assert readers[2].done
        await readers[2].done
        assert changes._count == 0
        assert not changes._waiting

    asyncio.run(read())
    # The loop has gone with its readers: announcing a change to nobody is no fault.
    move(running, "pause")


def test_one_key_never_keeps_another_away(running: TestClient, service: Service) -> None:
    limit = 8
    service.client.app.state.changes._limit = limit  # type: ignore[attr-defined]

    async def open_all(key: Mapping[str, str], opened: AsyncExitStack) -> int:
        """Open as many streams as one key gets; how many these are."""
        for count in range(limit + 1):
            reader = Reader(running, key)
            reader.start()
            await reader.until(1)
            if not reader.events:
                assert b"urn:equipoise:problem:too-many-requests" in reader.chunks[0]
                assert b"EQUIPOISE_STREAM_SUBSCRIBERS" in reader.chunks[0]
                return count
            opened.push_async_callback(reader.leave)
        return limit + 1

    keys = [service.key(Scope.EVALUATE) for _ in range(4)]

    async def read() -> None:
        async with AsyncExitStack() as opened:
            counts = [await open_all(key, opened) for key in keys]
            assert counts == [4, 2, 1, 1]

    asyncio.run(read())
    changes = service.client.app.state.changes  # type: ignore[attr-defined]
    assert changes._count == 0
    assert not changes._of_key
