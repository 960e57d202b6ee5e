"""Slot allocation, whatever people do: no slot has two holders, ramps keep units, as few as possible move."""

from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from equipoise import BUCKETS
from equipoise_service.layers.slots import Claim, NoFreeSlots, ascending, resize, size

HOLDERS = st.sampled_from(["a", "b", "c", "d"])
# Small and large, and values that come again, so that layers fill up and ramps go up and down.
COUNTS = st.one_of(st.integers(0, BUCKETS), st.sampled_from([0, 1, 10, 1000, 2500, 5000, BUCKETS]))


def numbers(intervals: Any) -> list[int]:
    return [slot for start, end in intervals for slot in range(start, end)]


class LayerMachine(RuleBasedStateMachine):
    """Experiments start, ramp and stop in one layer; the model is a plain list of slots a holder."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, Claim] = {}
        self.once: dict[str, list[int]] = {}
        """Every slot that a holder ever took: those it has, then those given back, last ones first."""

    @rule(holder=HOLDERS, count=COUNTS)
    def ramp(self, holder: str, count: int) -> None:
        before = self.claims.get(holder, Claim())
        others = [claim.taken for key, claim in self.claims.items() if key != holder]
        taken_elsewhere = {slot for each in others for slot in numbers(each)}
        had, free = numbers(before.taken), BUCKETS - len(taken_elsewhere) - size(before.taken)
        if count - len(had) > free:
            with pytest.raises(NoFreeSlots) as refused:
                resize(before, count, others)
            assert (refused.value.needed, refused.value.free) == (count - len(had), free)
            return
        after = resize(before, count, others)
        has = numbers(after.taken)
        assert len(has) == count
        assert has[: len(had)] == had[: len(has)]
        gained = has[len(had) :]
        once = self.once.setdefault(holder, [])
        unfree = taken_elsewhere.union(had)
        before_known = [slot for slot in once if slot not in unfree]
        assert gained[: len(before_known)] == before_known[: len(gained)]
        kept = set(has)
        self.once[holder] = has + [slot for slot in once if slot not in kept]
        self.claims[holder] = after

    @rule(holder=HOLDERS)
    def stop(self, holder: str) -> None:
        self.claims.pop(holder, None)
        self.once.pop(holder, None)

    @invariant()
    def no_slot_has_two_holders(self) -> None:
        held = [slot for claim in self.claims.values() for slot in numbers(claim.taken)]
        assert len(held) == len(set(held))
        assert all(0 <= slot < BUCKETS for slot in held)

    @invariant()
    def what_is_published_is_what_is_held(self) -> None:
        for claim in self.claims.values():
            shown = ascending(claim.taken)
            assert numbers(shown) == sorted(numbers(claim.taken))
            assert all(before[1] < after[0] for before, after in pairwise(shown))


TestLayer = LayerMachine.TestCase
TestLayer.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)


@settings(max_examples=30, deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=8))
def test_a_holder_alone_always_has_the_first_slots(counts: list[int]) -> None:
    claim = Claim()
    for count in counts:
        claim = resize(claim, count, [])
        assert ascending(claim.taken) == ([[0, count]] if count else [])


def test_down_and_up_again_past_a_newcomer() -> None:
    first = resize(Claim(), 5000, [])
    first = resize(first, 1000, [])
    other = resize(Claim(), 2000, [first.taken])
    assert other.taken == [[1000, 3000]]
    first = resize(first, 4000, [other.taken])
    assert first.taken == [[0, 1000], [3000, 6000]]
    assert numbers(first.former) == list(range(1000, 3000))
    assert resize(first, 5000, []).taken == [[0, 1000], [3000, 6000], [1000, 2000]]
