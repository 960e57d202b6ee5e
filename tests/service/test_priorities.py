"""Who gives way to whom: priorities of the threads of a service."""

import os
import sys
import threading
from pathlib import Path

import pytest

from equipoise_service.events.stores.store import open_event_store
from equipoise_service.priorities import give_way
from equipoise_service.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are a thing of Linux")


def test_only_the_thread_that_asks_gives_way_and_those_that_it_starts() -> None:
    own = priority(threading.get_native_id())
    found: list[int] = []

    def inherit() -> None:
        give_way()
        thread = threading.Thread(target=note)
        thread.start()
        thread.join()
        note()

    def note() -> None:
        found.append(priority(threading.get_native_id()))

    asking = threading.Thread(target=inherit)
    asking.start()
    asking.join()
    assert len(found) == 2
    # There is no lower priority than 19.
    assert all(each > min(own, 18) for each in found)
    assert priority(threading.get_native_id()) == own


def test_the_threads_of_the_embedded_event_store_give_way_but_not_the_one_that_writes(tmp_path: Path) -> None:
    own, before = priority(threading.get_native_id()), native_ids()
    with open_event_store(Settings(data_dir=tmp_path, analysis_threads=3)):
        started = native_ids() - before
        (writing,) = (each for each in threading.enumerate() if each.name == "equipoise-event-writer")
        assert priority(writing.native_id or 0) == own
        others = [priority(each) for each in started - {writing.native_id}]
        # Three threads for analyses: two, and whoever asks. Others may have been started, such as Arrow's.
        assert sum(each > min(own, 18) for each in others) >= 2
        assert priority(threading.get_native_id()) == own


def native_ids() -> set[int]:
    return {int(each.name) for each in Path("/proc/self/task").iterdir()}


def priority(native_id: int) -> int:
    """The lower the number, the higher the priority."""
    return os.getpriority(os.PRIO_PROCESS, native_id)
