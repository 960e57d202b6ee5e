"""What every event store has to do with any mix of batches: each item is stored once."""

from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.events.contract import Open, append, batch, event, exposure, rows

from equipoise.identifiers import uuid7
from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.schemas import EventIn
from equipoise_service.events.stores.store import EventStore


@dataclass
class Model:
    """What a store should hold: the rows of each item by its kind, place and id; and the counters."""

    items: dict[tuple[str, str, str], set[tuple[Any, ...]]] = field(default_factory=dict)
    intake: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(self, kind: str, place: str, id: str, content: set[tuple[Any, ...]]) -> int:
        """Add an item: 0 when it is new, 1 for a duplicate, 2 for a conflict."""
        stored = self.items.setdefault((kind, place, id), content)
        verdict = 0 if stored is content else 1 if stored == content else 2
        self.intake.setdefault((place, kind), [0, 0, 0])[verdict] += 1
        return verdict


# An item by a number, so that the same comes again and again, with one of some contents.
EXPOSURES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "a", "b"])), max_size=6)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 9), st.sampled_from([None, 1.0]), st.sampled_from([("user",), ("user", "device")])
    ),
    max_size=6,
)
BATCHES = st.tuples(EXPOSURES, EVENTS, st.sampled_from(["a", "b"]))
ROUNDS = st.lists(st.lists(BATCHES, min_size=1, max_size=4), min_size=1, max_size=4)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds=ROUNDS, seed=st.integers(0, 2**64))
def test_any_mix_is_stored_once(open_store: Open, rounds: list[Any], seed: int) -> None:
    _check_mix(open_store, rounds, seed)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds=ROUNDS, seed=st.integers(0, 2**64))
def test_many_mixes_are_stored_once(open_store: Open, rounds: list[Any], seed: int) -> None:
    _check_mix(open_store, rounds, seed)


def _check_mix(open_store: Open, rounds: list[Any], seed: int) -> None:
    """Against a model. Every round is the life of a store; each example has places of its own."""
    ids = [str(uuid5(NAMESPACE_OID, f"{seed} {number}")) for number in range(5)]
    ids += [str(UUID(int=UUID(uuid7()).int - (number << 110))) for number in range(5)]
    model, example = Model(), uuid7()
    for sent in rounds:
        batches = [_made(each, ids, example) for each in sent]
        with open_store() as store:
            for made, receipt in zip(batches, append(store, *batches), strict=True):
                assert receipt == _expected(model, made)
            for place in (f"{example}/a", f"{example}/b"):
                _assert_holds(store, model, place)


def _made(drawn: tuple[list[Any], list[Any], str], ids: list[str], example: str) -> Batch:
    exposures, events, place = drawn
    exposed = [exposure(ids[number], unit) for number, unit in exposures]
    happened: list[EventIn] = []
    heads: list[int] = []
    for number, value, unit_types in events:
        head = len(happened)
        for unit_type in unit_types:
            heads.append(head)
            happened.append(event(ids[number], unit_type=unit_type, value=value))
    return batch(exposed, happened, f"{example}/{place}", event_heads=heads)


def _expected(model: Model, made: Batch) -> Receipt:
    exposures = [
        model.add(
            "exposure",
            made.place,
            each.id,
            {(each.unit_type, each.unit, each.experiment, each.variant, each.revision)},
        )
        for each in made.exposures
    ]
    items: dict[int, set[tuple[Any, ...]]] = {}
    for head, each in zip(made.event_heads, made.events, strict=True):
        items.setdefault(head, set()).add((each.unit_type, each.unit, each.name, each.value, None))
    verdicts = {
        head: model.add("event", made.place, made.events[head].id, rows) for head, rows in items.items()
    }
    events = [verdicts[head] for head in made.event_heads]

    def of(verdict: int, found: list[int]) -> frozenset[int]:
        return frozenset(position for position, each in enumerate(found) if each == verdict)

    return Receipt(of(1, exposures), of(1, events), of(2, exposures), of(2, events))


def _assert_holds(store: EventStore, model: Model, place: str) -> None:
    contents = {
        "exposure": ("unit_type", "unit", "experiment", "variant", "revision"),
        "event": ("unit_type", "unit", "name", "value", "properties"),
    }
    found = [
        ((kind, place, row["id"]), tuple(row[name] for name in names))
        for kind, names in contents.items()
        for row in rows(store, f"{kind}s", place)
    ]
    expected = [(key, row) for key, item in model.items.items() if key[1] == place for row in item]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    counted = {
        row["kind"]: [row["accepted"], row["duplicate"], row["refused"]]
        for row in rows(store, "intake", place)
    }
    assert counted == {kind: counts for (at, kind), counts in model.intake.items() if at == place}
    listed = len(rows(store, "rejected", place))
    assert listed == sum(counts[2] for (at, _), counts in model.intake.items() if at == place)
