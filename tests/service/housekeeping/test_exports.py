"""A day as a file: whole, and with nothing left behind wherever the process ends."""

import asyncio
import gc
import tempfile
from collections.abc import MutableMapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pyarrow import parquet

from equipoise.identifiers import uuid7
from equipoise_service.housekeeping import exports, sending
from equipoise_service.housekeeping.sending import FileAnswer

NOW = datetime.now(UTC)


def test_while_a_day_is_exported_there_is_no_file_that_could_be_left(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [
        {"id": uuid7(), "time": NOW.isoformat(), "unit": f"u{number}", "name": "seen"} for number in range(50)
    ]
    assert client.post("/v1/events", json={"events": events}).status_code == 200
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.setattr(sending, "_CHUNK", 100)
    written = []

    def watched(*arguments: Any) -> None:
        exports.write_day(*arguments)
        written.append((arguments[-1].tell(), list(directory.iterdir())))

    monkeypatch.setattr("equipoise_service.housekeeping.endpoints.write_day", watched)
    answer = client.get(f"/v1/exports/events/{NOW:%Y-%m-%d}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/vnd.apache.parquet"
    assert written == [(len(answer.content), [])]
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    found = parquet.read_table(BytesIO(answer.content))
    assert sorted(found["unit"].to_pylist()) == sorted(each["unit"] for each in events)
    assert client.get("/v1/exports/events/2020-01-01").status_code == 404
    # A file that nobody closed would warn.
    gc.collect()


def test_of_a_client_that_went_away_the_file_is_closed() -> None:
    file = BytesIO(b"a" * 5_000_000)
    answer = FileAnswer(file, "application/octet-stream")

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(Exception):  # noqa: B017, PT011 - the framework has a name of its own for it
        asyncio.run(answer(scope, receive, send))
    assert file.closed
