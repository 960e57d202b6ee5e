"""What every event store has to do, whatever its engine; each engine's tests run these functions."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

from equipoise.identifiers import uuid7
from equipoise_service.events.batches import CONFLICT, Batch, Receipt, Rejected
from equipoise_service.events.schemas import DroppedIn, EventIn, ExposureIn
from equipoise_service.events.stores.store import EventStore

# Opens the store of this test; again after it was closed, it is the same store.
Open = Callable[[], AbstractContextManager[EventStore]]

TIME = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def exposure(id: str, unit: str = "u", **changes: Any) -> ExposureIn:
    """An exposure, complete."""
    given = {"experiment": "page", "variant": "treatment", "unit_type": "user", "revision": 2, **changes}
    return ExposureIn(id=id, time=TIME, unit=unit, **given)


def event(id: str, unit: str = "u", **changes: Any) -> EventIn:
    """An event."""
    return EventIn(id=id, unit=unit, **{"time": TIME, "name": "purchase", "unit_type": "user", **changes})


def batch(
    exposures: Sequence[ExposureIn] = (),
    events: Sequence[EventIn] = (),
    place: str = "default/a",
    properties: Sequence[str | None] = (),
    **more: Any,
) -> Batch:
    """A batch of them."""
    return Batch(place, exposures, events, properties or [None] * len(events), 100, **more)


def append(store: EventStore, *batches: Batch) -> list[Receipt]:
    """Append batches at the same time."""

    async def together() -> list[Receipt]:
        return await asyncio.wait_for(asyncio.gather(*(store.append(each) for each in batches)), 60)

    return asyncio.run(together())


def rows(store: EventStore, table: str, place: str | None = None) -> list[dict[str, Any]]:
    """The rows of a table, ids as texts."""
    with store.ibis() as backend:
        found = backend.table(table)
        if place is not None:
            found = found.filter(found.place == place)
        texts = {name: found[name].cast("string") for name in ("id", "client") if name in found.columns}
        result: list[dict[str, Any]] = found.mutate(**texts).to_pyarrow().to_pylist()
    return result


HARD_TEXTS = [
    '"quoted", \\and\\',
    "line\n\\.\nline",
    "ü😀\u2028",
    "'; DROP TABLE events; --",
    " ",
    "\\N",
    "{x}%s",
]


def test_values_come_back_as_they_went_in(open_store: Open) -> None:
    exposures = [exposure(uuid7(), text, variant=text, experiment=text) for text in HARD_TEXTS]
    events = [
        event(uuid7(), text, name=text, value=value)
        for text, value in zip(HARD_TEXTS, [None, 0.1, -1.5e300, 5e-324, 2.0**53, -0.0, 7], strict=True)
    ]
    properties = [None, *[f'{{"a":"{text}"}}' for text in HARD_TEXTS[1:]]]
    with open_store() as store:
        append(store, batch(exposures, events, properties=properties))
        stored = {row["id"]: row for table in ("exposures", "events") for row in rows(store, table)}
        with store.ibis() as backend:
            schema = backend.table("events").schema()
    assert len(stored) == len(exposures) + len(events)
    for each in exposures:
        row = stored[each.id]
        assert (row["unit"], row["variant"], row["experiment"]) == (each.unit,) * 3
        assert (row["revision"], row["time"], row["place"]) == (2, TIME.replace(tzinfo=None), "default/a")
    for happened, text in zip(events, properties, strict=True):
        row = stored[happened.id]
        assert (row["unit"], row["name"], row["value"]) == (happened.unit, happened.name, happened.value)
        assert (row["properties"], row["time"]) == (text, TIME.replace(tzinfo=None))
    assert {name: str(type).strip("!") for name, type in schema.items()} == {
        "place": "string",
        "id": "uuid",
        "time": "timestamp(6)",
        "received_at": "timestamp(6)",
        "unit_type": "string",
        "unit": "string",
        "unit_hash": "int32",
        "name": "string",
        "value": "float64",
        "properties": "string",
    }


def test_offsets_are_brought_to_utc(open_store: Open) -> None:
    before = datetime.now(UTC).replace(tzinfo=None)
    sent = event(uuid7(), time=datetime.fromisoformat("2026-03-01T13:00:00.000001+05:30"))
    with open_store() as store:
        append(store, batch(events=[sent]))
        (row,) = rows(store, "events")
    assert row["time"] == datetime(2026, 3, 1, 7, 30, 0, 1)
    assert before <= row["received_at"] <= datetime.now(UTC).replace(tzinfo=None)


def test_ids_of_every_kind_and_time(open_store: Open) -> None:
    ids = [str(uuid4()) for _ in range(50)]
    ids += [str(UUID(int=(month * 30 * 86_400_000 << 80) | (7 << 76) | month)) for month in range(0, 1200, 7)]
    ids += [str(UUID(int=0)), str(UUID(int=2**128 - 1)), uuid7().upper()]
    sent = batch([exposure(id) for id in ids], [event(id) for id in ids])
    with open_store() as store:
        assert append(store, sent) == [Receipt()]
    with open_store() as store:
        everything = frozenset(range(len(ids)))
        assert append(store, sent) == [Receipt(everything, everything)]
        for table in ("exposures", "events"):
            assert sorted(row["id"] for row in rows(store, table)) == sorted(id.lower() for id in ids)


def test_what_was_rejected_is_listed(open_store: Open) -> None:
    id = uuid7()
    rejected = [
        Rejected("event", "bad\0id \ud83d", "/events/0/id", "it is \0 no UUID", '{"id": "' + "x" * 4000),
        Rejected("exposure", None, "/exposures/3", "got `int`", "7"),
        Rejected("line", None, "/2", "neither", "{}"),
    ]
    with open_store() as store:
        append(store, batch(events=[event(id, name="first")]))
        mixed = batch(
            events=[event(uuid7()), event(id, name="second")],
            rejected=rejected,
            key="k1",
            event_pointers=["/events/1", "/events/2"],
        )
        assert append(store, mixed) == [Receipt(conflicting_events=frozenset({1}))]
        assert append(store, batch(rejected=rejected[1:2], place="default/b", key="k2")) == [Receipt()]
        found = {row["pointer"]: row for row in rows(store, "rejected", "default/a")}
        assert set(found) == {"/events/0/id", "/exposures/3", "/2", "/events/2/id"}
        assert found["/events/0/id"]["id"].startswith("bad\ufffdid ")
        assert found["/events/0/id"]["item"] == rejected[0].item
        assert (found["/exposures/3"]["kind"], found["/exposures/3"]["id"]) == ("exposure", None)
        assert (found["/events/2/id"]["reason"], found["/events/2/id"]["id"]) == (CONFLICT, id)
        assert '"second"' in found["/events/2/id"]["item"]
        assert {row["key"] for row in found.values()} == {"k1"}
        (other,) = rows(store, "rejected", "default/b")
        assert (other["key"], other["reason"]) == ("k2", "got `int`")
        (first,) = [row for row in rows(store, "events") if row["id"] == id]
        assert first["name"] == "first"
        counts = {
            (row["place"], row["key"], row["kind"]): (row["accepted"], row["duplicate"], row["refused"])
            for row in rows(store, "intake")
        }
    assert counts == {
        ("default/a", "", "event"): (1, 0, 0),
        ("default/a", "k1", "event"): (1, 0, 2),
        ("default/a", "k1", "exposure"): (0, 0, 1),
        ("default/a", "k1", "line"): (0, 0, 1),
        ("default/b", "k2", "exposure"): (0, 0, 1),
    }


def test_an_item_of_several_unit_types_is_one_item(open_store: Open) -> None:
    id = uuid7()
    item = [event(id), event(id, unit_type="device")]
    with open_store() as store:
        first, again = batch(events=item * 2, event_heads=[0, 0, 2, 2]), batch(events=item[:1])
        assert append(store, first) == [Receipt(duplicate_events=frozenset({2, 3}))]
        assert append(store, again) == [Receipt(conflicting_events=frozenset({0}))]
        assert sorted(row["unit_type"] for row in rows(store, "events")) == ["device", "user"]
        (counted,) = rows(store, "intake")
    assert (counted["accepted"], counted["duplicate"], counted["refused"]) == (1, 1, 1)


def test_the_greatest_total_dropped_stays(open_store: Open) -> None:
    client, place = uuid7(), "default/a"
    with open_store() as store:
        for counts in ({"full": 5}, {"full": 9, "closed": 1}, {"full": 7, "other": 0}):
            append(store, batch(place=place, dropped=DroppedIn(client, counts)))
    with open_store() as store:
        append(store, batch(place=place, dropped=DroppedIn(client, {"full": 9})))
        found = {row["reason"]: row for row in rows(store, "dropped")}
    assert {reason: row["count"] for reason, row in found.items()} == {"full": 9, "closed": 1}
    assert found["full"]["first_at"] < found["full"]["last_at"]
    assert found["full"]["client"] == client


def test_received_at_grows_with_every_commit(open_store: Open) -> None:
    for _ in range(2):
        with open_store() as store:
            for _ in range(4):
                append(store, batch([exposure(uuid7())], [event(uuid7())]))
    with open_store() as store:
        stamps = [
            sorted((row["id"], row["received_at"]) for row in rows(store, table))
            for table in ("exposures", "events")
        ]
    for found in stamps:
        assert len(found) == 8
        assert all(later - earlier > timedelta(0) for (_, earlier), (_, later) in pairwise(found))


def test_the_first_received_stays_when_only_the_time_differs(open_store: Open) -> None:
    first = event(uuid7())
    with open_store() as store:
        append(store, batch(events=[first]))
        again = EventIn(id=first.id, unit="u", name="purchase", time=TIME + timedelta(hours=1))
        assert append(store, replace(batch(events=[again]))) == [Receipt(duplicate_events=frozenset({0}))]
        (row,) = rows(store, "events")
    assert row["time"] == TIME.replace(tzinfo=None)


def test_a_revision_that_nobody_said_makes_no_conflict(open_store: Open) -> None:
    one, other, third = (str(uuid4()) for _ in range(3))
    assumed = frozenset({0, 2})
    with open_store() as store:
        sent = [exposure(one), exposure(other), exposure(third)]
        append(store, batch(events=[event(str(uuid4()))]), batch(sent))
        again = [exposure(one, revision=3), exposure(other, revision=3), exposure(third, "v", revision=3)]
        (_, receipt) = append(store, batch([exposure(str(uuid4()))]), batch(again, assumed_revisions=assumed))
        assert receipt.duplicate_exposures == {0}
        assert receipt.conflicting_exposures == {1, 2}
        assert {row["revision"] for row in rows(store, "exposures") if row["id"] == one} == {2}


def test_the_order_of_properties_makes_no_conflict(open_store: Open) -> None:
    id = str(uuid4())
    texts = ('{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}', '{"b":{"d":3,"c":2},"a":true}')
    with open_store() as store:
        found = [append(store, batch(events=[event(id)], properties=[text]))[0] for text in texts]
    assert [each.duplicate_events for each in found] == [set(), {0}, set()]
    assert [each.conflicting_events for each in found] == [set(), set(), {0}]


def test_rows_have_the_hash_of_their_unit(open_store: Open) -> None:
    units = ["u", "user-1", "zoë", "", "\U0001f600" * 10]
    with open_store() as store:
        append(store, batch([exposure(str(uuid4()), unit) for unit in units], [event(str(uuid4()), "x")]))
        found = {row["unit"]: row["unit_hash"] for row in rows(store, "exposures") + rows(store, "events")}
    assert found == {
        unit: int.from_bytes(md5(unit.encode(), usedforsecurity=False).digest()[:4], "big") >> 1
        for unit in [*units, "x"]
    }
