"""What every event store has to do, whatever its engine; each engine's tests run these functions."""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from importlib.util import find_spec
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.crash.checks import differences

from equipoise.identifiers import uuid7
from equipoise_service.aggregates.service import Keeping, analyse
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import first_exposures
from equipoise_service.analysis.store import analyse_store
from equipoise_service.events.batches import CONFLICT, Batch, Receipt, Rejected
from equipoise_service.events.schemas import DroppedIn, EventIn, ExposureIn
from equipoise_service.events.stores.store import EventStore
from equipoise_service.events.tail import Shown, look
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, MetricType

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


def test_a_workspace_keeps_what_lasts(open_store: Open) -> None:
    with open_store() as store:
        append(store, batch([exposure(str(uuid4()), f"u{i}") for i in range(5)]))
        with store.workspace() as workspace:
            exposures = workspace.backend.table("exposures").select("unit", "unit_hash")
            workspace.keep("passing", exposures.filter(exposures.unit != "u0"))
            named = workspace.bring("named", pa.table({"unit": ["u1", "u2"]}))
            kept = workspace.keep("lasting_1", exposures.semi_join(named, "unit"), lasting=True)
            assert sorted(workspace.backend.to_pyarrow(kept)["unit"].to_pylist()) == ["u1", "u2"]
            # Commits go on meanwhile, and are not seen.
            append(store, batch([exposure(str(uuid4()), "late")]))
        with store.workspace() as workspace:
            assert workspace.kept("lasting") == ["lasting_1"]
            workspace.keep("passing", workspace.backend.table("lasting_1"))
        assert len(rows(store, "lasting_1")) == 2
    with open_store() as store:
        with store.workspace() as workspace:
            workspace.forget("lasting_1")
        with store.workspace() as workspace:
            assert workspace.kept("lasting") == []


def test_a_workspace_that_fails_keeps_nothing(open_store: Open) -> None:
    with open_store() as store:
        append(store, batch([exposure(str(uuid4()))]))
        with pytest.raises(RuntimeError, match="in the middle"):
            _keep_and_fail(store)
        with store.workspace() as workspace:
            assert workspace.kept("lasting") == []


def _keep_and_fail(store: EventStore) -> None:
    with store.workspace() as workspace:
        workspace.keep("lasting_2", workspace.backend.table("exposures").select("unit"), lasting=True)
        raise RuntimeError("in the middle")


def test_an_empty_store_can_be_asked(open_store: Open) -> None:
    with open_store() as store:
        assert look(store, "default/a", Shown(), datetime(2026, 1, 1)).items == []
        assert analyse(store, _request()).watermark is None


def test_units_are_left_out_by_their_id(open_store: Open) -> None:
    with open_store() as store:
        named = [exposure(str(uuid4()), unit) for unit in ("u1", "u2", "it's", "\\")]
        append(store, batch(named))
        found = analyse(store, _request(left_out=("u2", "it's", "\\", "nobody")))
        assert (found.arms["treatment"].units, found.overridden) == (1, 3)
        _, overridden = first_exposures(store, _request(left_out=("u2",)), 10)
        assert overridden == 1


def test_many_may_refresh_at_once(open_store: Open) -> None:
    bought = Measure("bought", MetricType.PROPORTION, "purchase")
    asked = _request(measures=(bought,))
    with open_store() as store, ThreadPoolExecutor(3) as pool:
        for number in range(1, 4):
            append(store, batch([exposure(str(uuid4()), f"u{number}")]))
            together = pool.map(lambda _: analyse(store, asked, Keeping(0, 0.0)), range(3))
            assert [each.arms["treatment"].units for each in together] == [number] * 3


def test_a_refresh_gives_the_numbers_of_a_full_analysis(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of units that are known, that are new, with events that waited or not, and of a crossover."""
    # ClickHouse lets a minute pass before it counts a fact.
    workspace = "equipoise_service.events.stores.clickhouse.workspace.SETTLES_AFTER"
    if find_spec("clickhouse_connect"):
        monkeypatch.setattr(workspace, timedelta(0))
    now = datetime.now(UTC)
    spent = Measure("spent", MetricType.MEAN, "purchase", pre_period_days=2)
    largest = Measure("largest", MetricType.MEAN, "purchase", Aggregation.MAXIMUM, pre_period_days=1)
    asked = _request(measures=(spent, largest), as_of=now + timedelta(days=1))

    def shown(unit: int, hours: float, variant: str = "") -> ExposureIn:
        found = exposure(str(uuid4()), f"u{unit}", variant=variant or ("control", "treatment")[unit % 2])
        found.time = now - timedelta(hours=hours)
        return found

    def bought(unit: int, hours: float, value: float) -> EventIn:
        return event(str(uuid4()), f"u{unit}", time=now - timedelta(hours=hours), value=value)

    with open_store() as store:
        events = [bought(unit, hours, unit + hours) for unit in range(14) for hours in (1.5, 40, 100)]
        append(store, batch([shown(unit, 20) for unit in range(10)], events))
        for exposures, more in (
            ([], []),
            ([shown(10, 1), shown(11, 2)], [bought(11, 0.5, 3), bought(11, 30, 4), bought(3, 1, 5)]),
            ([shown(12, 60), shown(0, 1, "treatment"), shown(1, 30)], [bought(12, 70, 6), bought(0, 1, 7)]),
        ):
            append(store, batch(exposures, more))
            found = analyse(store, asked, Keeping(0, math.inf))
            with store.ibis() as backend:
                assert differences(found, analyse_store(backend, asked)) == []


def _request(**changes: Any) -> StoreRequest:
    return replace(StoreRequest("default/a", "page", 2, "user", (), TIME), **changes)
