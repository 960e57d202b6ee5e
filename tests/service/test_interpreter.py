"""The interpreter of a service: full collections that visit little, and turns that are short."""

import gc
import sys

from equipoise_service.interpreter import shared_interpreter


class _Node:
    other: "_Node | None" = None


def test_full_collections_leave_out_what_was_there_and_still_find_garbage() -> None:
    kept: list[list[int]] = [[] for _ in range(1000)]
    before = sys.getswitchinterval()
    with shared_interpreter():
        assert sys.getswitchinterval() < before
        at_start = gc.get_freeze_count()
        assert at_start > len(kept)
        more: list[list[int]] = [[] for _ in range(1000)]
        assert gc.get_freeze_count() <= at_start
        gc.collect()
        with_more = gc.get_freeze_count()
        assert with_more >= at_start + len(more)
        for _ in range(3):
            one, two = _Node(), _Node()
            one.other, two.other = two, one
            del one, two
            # Nothing is frozen a second time, so a ring that nobody holds is found.
            assert gc.collect() >= 2
        assert gc.get_freeze_count() <= with_more
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == before
