"""Behaviour of the thread that writes, beside what the store's tests show of it: when it gathers."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from tests.service.events.items import batch, event

from equipoise_service.events import writer
from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.writer import Writer


def test_after_a_long_commit_batches_are_gathered_even_where_nobody_asked_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups: list[int] = []
    now = 0.0

    def commit(batches: Sequence[Batch]) -> Sequence[Receipt]:
        nonlocal now
        # By the writer's clock, which nothing else moves.
        now += 1000
        groups.append(len(batches))
        return [Receipt()] * len(batches)

    async def send(to: Writer) -> None:
        await to.submit(batch([], [event()]))
        second = asyncio.create_task(to.submit(batch([], [event()])))
        # Long enough for a thread that does not rest to take it.
        await asyncio.sleep(0.2)
        third = asyncio.create_task(to.submit(batch([], [event()])))
        await asyncio.sleep(0)
        await asyncio.to_thread(to.close)
        await asyncio.gather(second, third)

    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(writer, "_MOST_REST_SECONDS", 600.0)
    asyncio.run(send(Writer(commit, lambda _: None, gather_seconds=0, queue_size=100)))
    assert groups == [1, 2]


def test_a_commit_that_took_very_long_keeps_nobody_waiting_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def commit(batches: Sequence[Batch]) -> Sequence[Receipt]:
        nonlocal now
        now += 1_000_000
        return [Receipt()] * len(batches)

    async def send(to: Writer) -> None:
        for _ in range(3):
            await asyncio.wait_for(to.submit(batch([], [event()])), 120)
        to.close()

    monkeypatch.setattr(writer, "time", SimpleNamespace(monotonic=lambda: now))
    asyncio.run(send(Writer(commit, lambda _: None, gather_seconds=0, queue_size=100)))
