"""The process that draws: replaced after a while, and nobody waits for one that ended."""

import asyncio
import time
from typing import Any

import pytest

from equipoise_service.errors import Unavailable
from equipoise_service.exports import drawing
from equipoise_service.exports.drawing import Drawing
from equipoise_service.exports.making import Export


def slow(_form: Export, body: bytes, _earlier: list[bytes], _figure: str | None) -> bytes:
    """Stands for an export that takes as many seconds as its body says."""
    time.sleep(float(body))
    return body


@pytest.fixture
def drawer(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(drawing, "export", slow)
    made = Drawing()
    yield made
    made.close()


def test_the_process_is_replaced_after_many_figures_however_many_wait(
    drawer: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_MOST_DRAWN", 5)
    monkeypatch.setattr(drawing, "_SECONDS", 20.0)
    processes: set[int] = set()

    async def several() -> list[bytes | None]:
        wanted = (drawer.draw(Export.SVG, b"0.02", [], None) for _ in range(4))
        found = asyncio.gather(*wanted)
        await asyncio.sleep(0.01)
        processes.update(getattr(drawer._pool, "_processes", {}))
        return await found

    for _ in range(3):
        assert asyncio.run(several()) == [b"0.02"] * 4
    assert len(processes) == 2


def test_who_waits_behind_an_export_that_takes_too_long_is_told(
    drawer: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def both() -> list[Any]:
        await drawer.draw(Export.SVG, b"0", [], None)
        monkeypatch.setattr(drawing, "_SECONDS", 0.5)
        first = asyncio.create_task(drawer.draw(Export.SVG, b"20", [], None))
        await asyncio.sleep(0.1)
        monkeypatch.setattr(drawing, "_SECONDS", 20.0)
        behind = [asyncio.create_task(drawer.draw(Export.SVG, b"0", [], None)) for _ in range(3)]
        return await asyncio.gather(first, *behind, return_exceptions=True)

    found = asyncio.run(both())
    assert [type(each) for each in found] == [Unavailable] * 4, found
