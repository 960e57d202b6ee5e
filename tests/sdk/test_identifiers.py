"""UUID version 7: unique, ordered, and what the standard library reads it as."""

import threading
import time
from uuid import RFC_4122, UUID

import pytest

from equipoise import identifiers
from equipoise.identifiers import uuid7


def test_it_is_a_uuid_version_7_of_now() -> None:
    before = time.time_ns() // 1_000_000
    identifier = UUID(uuid7())
    after = time.time_ns() // 1_000_000
    assert (identifier.version, identifier.variant) == (7, RFC_4122)
    assert before <= identifier.int >> 80 <= after + 1


def test_they_rise_and_are_written_canonically() -> None:
    ids = [uuid7() for _ in range(20_000)]
    assert ids == sorted(set(ids))
    assert all(str(UUID(identifier)) == identifier for identifier in ids)


def test_they_rise_while_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([5_000_000_000, 4_000_000_000, 4_000_000_000, 5_000_000_000, 6_000_000_000])
    monkeypatch.setattr(identifiers, "_generator", identifiers._Generator())
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    ids = [uuid7() for _ in range(5)]
    assert ids == sorted(set(ids))


def test_threads_draw_different_ones_in_order() -> None:
    drawn: list[list[str]] = [[] for _ in range(8)]

    def draw(into: list[str]) -> None:
        into.extend(uuid7() for _ in range(2000))

    threads = [threading.Thread(target=draw, args=(into,)) for into in drawn]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({identifier for ids in drawn for identifier in ids}) == 16_000
    assert all(ids == sorted(ids) for ids in drawn)
