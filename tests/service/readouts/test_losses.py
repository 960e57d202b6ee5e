"""What senders gave up blocks a decision where it is more than a hundredth of what was logged."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.service.aggregates.test_refresh import opened
from tests.service.events.items import body, event, exposure, read
from tests.service.events.test_store import append
from tests.service.readouts.documents import CONVERTED, PROVENANCE, plan, seal, statistics

from equipoise.identifiers import uuid7
from equipoise_service.events.stores.store import EventStore
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.losses import Dropped, dropped_between
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts

HERE, ELSEWHERE = "default/production", "default/staging"


def winner(dropped: Dropped) -> dict[str, Any]:
    """The readout of a treatment that looks far better, where senders gave up so much."""
    found = statistics(control={"converted": Counts(5_000, 500)}, treatment={"converted": Counts(5_000, 730)})
    readout = build_readout(plan(CONVERTED), found, replace(PROVENANCE, dropped=dropped))
    assert verify_readout(json.loads(json.dumps(readout))) == []
    return readout


@pytest.mark.parametrize(
    ("dropped", "status", "outcome"),
    [
        (Dropped({}), "ok", "ship"),
        (Dropped({"queue_full": 100}, 9_900), "warning", "ship"),
        (Dropped({"queue_full": 101}, 9_899), "failed", "investigate"),
        # What a control's sender reported, of whose purchases two fifths are missing.
        (Dropped({"queue_full": 249}, 963), "failed", "investigate"),
        (Dropped({"queue_full": 60, "closed": 60}, 9_000), "failed", "investigate"),
        # A few tell nothing.
        (Dropped({"closed": 9}, 90), "warning", "ship"),
        # Most of it may have been lost before the start.
        (Dropped({"queue_full": 249}, 5_000, earlier=249, received_longer=50_000), "warning", "ship"),
        (Dropped({"queue_full": 249}, 5_000, 249, 10_000), "failed", "investigate"),
        # Of readouts from before it was counted what came.
        (Dropped({"queue_full": 249}), "warning", "ship"),
    ],
)
def test_much_that_is_lost_blocks_shipping(dropped: Dropped, status: str, outcome: str) -> None:
    readout = winner(dropped)
    check = readout["health"]["dropped_items"]
    assert (check["status"], readout["recommendation"]["outcome"]) == (status, outcome)
    assert readout["summary"].startswith("Do not rely on these results") == (status == "failed")


@pytest.mark.parametrize("member", ["received", "earlier", "received_longer", "share"])
def test_edited_numbers_are_found(member: str) -> None:
    readout = winner(Dropped({"queue_full": 249}, 5_000, 100, 10_000))
    check = readout["health"]["dropped_items"]
    check[member] *= 7
    seal(readout)
    assert "/health/dropped_items/share" in {each.pointer for each in verify_readout(readout)}


def test_a_readout_of_an_earlier_release_agrees() -> None:
    readout = winner(Dropped({"queue_full": 249}))
    for name in ("received", "earlier", "received_longer", "share"):
        del readout["health"]["dropped_items"][name]
    seal(readout)
    assert verify_readout(readout) == []


def newest(store: EventStore) -> datetime:
    """A moment after all that was received, and before what comes."""
    with store.ibis() as backend:
        found = backend.to_pyarrow(backend.table("events").received_at.max()).as_py()
    moment: datetime = found.replace(tzinfo=UTC)
    return moment + timedelta(microseconds=1)


def test_what_came_is_counted_over_the_time_in_which_senders_lost_it(tmp_path: Path) -> None:
    early, late = uuid7(), uuid7()

    def come(events: int, place: str = HERE, client: str | None = None, **counts: int) -> None:
        dropped = None if client is None else {"client": client, "counts": counts}
        items = [event() for _ in range(events)]
        append(store, read(body([exposure()], items, dropped=dropped), place).batch)

    with opened(tmp_path) as store:
        come(40)
        come(3, client=early, queue_full=7)
        begin = newest(store)
        come(5)
        come(50, ELSEWHERE, uuid7(), queue_full=1_000)
        # Nothing new of the early sender: what it lost was lost before.
        assert dropped_between(store, HERE, begin, None) == Dropped({})
        come(2, client=late, closed=4)
        assert dropped_between(store, HERE, begin, None) == Dropped({"closed": 4}, 9)
        end = newest(store)
        come(10, client=early, queue_full=9)
        come(1, client=uuid7(), queue_full=100)
        found = dropped_between(store, HERE, begin, None)
        assert found == Dropped({"closed": 4, "queue_full": 109}, 22, earlier=9, received_longer=26)
        # Up to the end: the sender that began later has no part, and what came later neither.
        found = dropped_between(store, HERE, begin, end)
    assert found == Dropped({"closed": 4, "queue_full": 9}, 9, earlier=9, received_longer=13)
