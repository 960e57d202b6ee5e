"""What housekeeping asks of every event store: deleting, searching, taking away."""

from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import pytest
from pyarrow import parquet
from tests.service.events.contract import TIME, Open, append, batch, event, exposure, rows

from equipoise.identifiers import uuid7
from equipoise_service.errors import NotFound
from equipoise_service.events.batches import Receipt, Rejected
from equipoise_service.events.schemas import ExposureIn
from equipoise_service.events.stores.deletions import Old, StoredUnit
from equipoise_service.housekeeping import exports, searching


def test_a_unit_is_deleted_and_nobody_else(open_store: Open) -> None:
    user, device = {"unit_type": "user"}, {"unit_type": "device"}
    hard = "O'Hara\\%_ \U0001f600"
    places = ("default/a", "default/b", "other/a")
    with open_store() as store:
        for place in places:
            exposures = [
                exposure(uuid7(), unit, **kind) for unit in (hard, "u", "U") for kind in (user, device)
            ]
            events = [event(uuid7(), unit, **kind) for unit in (hard, "u", "U") for kind in (user, device)]
            append(store, batch(exposures, events, place=place))
        deleted = store.delete_unit(StoredUnit(places[:2], "user", hard))
        assert deleted == {"exposures": 2, "events": 2}
        assert store.delete_unit(StoredUnit(places, "user", "nobody")) == {"exposures": 0, "events": 0}
    with open_store() as store:
        for table in ("exposures", "events"):
            left = {(row["place"], row["unit_type"], row["unit"]) for row in rows(store, table)}
            everything = {
                (place, kind, unit)
                for place in places
                for kind in ("user", "device")
                for unit in (hard, "u", "U")
            }
            assert everything - left == {(place, "user", hard) for place in places[:2]}
        # What was deleted is no longer known: it is new when it comes again.
        again = batch([exposure(uuid7(), hard)])
        assert append(store, again) == [Receipt()]


def test_refused_items_are_deleted_by_their_text(open_store: Open) -> None:
    items = [f'{{"unit": "u{number}", "odd": "\'{number}\\\\"}}' for number in range(20)]
    rejected = [Rejected("event", None, "/events/0", "wrong", item) for item in items]
    with open_store() as store:
        for place in ("default/a", "default/b"):
            append(store, batch(rejected=rejected, place=place))
        assert store.delete_rejected(["default/a"], items[:15]) == 15
        assert store.delete_rejected(["default/a"], []) == 0
        assert sorted(row["item"] for row in rows(store, "rejected", "default/a")) == sorted(items[15:])
        assert len(rows(store, "rejected", "default/b")) == 20


def test_what_is_old_goes_step_by_step(open_store: Open) -> None:
    def of_month(month: int, number: int) -> tuple[str, datetime]:
        time = datetime(2025, month, 1 + number, tzinfo=UTC)
        return str(UUID(int=(int(time.timestamp() * 1000) << 80) | (7 << 76) | number)), time

    made = [of_month(month, number) for month in (1, 2, 3) for number in range(10)]
    made += [(str(uuid4()), time) for _, time in made]
    exposures = [
        ExposureIn(id=id, time=time, unit="u", experiment=experiment, variant="control", revision=1)
        for experiment in ("ended", "runs")
        for id, time in ((str(uuid5(NAMESPACE_OID, experiment + id)), time) for id, time in made[:30])
    ]
    events = [event(id, time=time) for id, time in made]
    until = datetime(2025, 2, 6)
    with open_store() as store:
        for place in ("default/a", "default/b"):
            append(
                store, batch(exposures, events, place=place, rejected=[Rejected("line", None, "", "r", "7")])
            )
        steps = 0
        old_events = Old("events", {"default/a": until})
        while store.delete_old(old_events, 7):
            steps += 1
        left = [row["time"] for row in rows(store, "events", "default/a")]
        assert sorted(left) == sorted(
            time.replace(tzinfo=None) for _, time in made if time.replace(tzinfo=None) >= until
        )
        assert steps < 30
        old = Old("exposures", {"default/a": until, "default/b": until}, {"default/a": ["runs", "other"]})
        while store.delete_old(old, 1000):
            pass
        assert len(rows(store, "exposures", "default/a")) == 30 + 15
        assert len(rows(store, "exposures", "default/b")) == 15 + 15
        later = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
        assert store.delete_old(Old("rejected", {"default/a": later - timedelta(days=2)}), 10) == 0
        assert store.delete_old(Old("rejected", {"default/a": later}), 10) == 1
        assert store.delete_old(Old("rejected", {}), 10) == 0
        # In the middle of a month of which the other place keeps everything, nothing else went.
        assert len(rows(store, "events", "default/b")) == 60
        # Where nothing of a month stays, more than rows may go at once; new rows have their place again.
        everything = Old("events", {"default/a": datetime(2030, 1, 1), "default/b": datetime(2030, 1, 1)})
        while store.delete_old(everything, 1000):
            pass
        assert rows(store, "events") == []
        assert append(store, batch(events=events)) == [Receipt()]
    with open_store() as store:
        assert append(store, batch(events=events)) == [Receipt(duplicate_events=frozenset(range(60)))]


def test_a_day_is_exported_as_it_is_stored(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_ROWS_AT_ONCE", 30)
    place, midnight = "default/a", datetime(2026, 3, 2, tzinfo=UTC)
    # Around midnight, and many of one unit: no part may hold them all.
    times = [midnight + timedelta(microseconds=step * 7_000_001 - 1) for step in range(-20, 200)]
    events = [event(uuid7(), time=time, value=1.5) for time in times]
    exposures = [exposure(uuid7(), f"u{number}") for number in range(100)]
    with open_store() as store:
        append(store, batch(exposures, events, place, [f'{{"a":"{n} ü"}}' for n in range(len(events))]))
        append(store, batch(events=[event(uuid7(), "elsewhere", time=midnight)], place="default/b"))
        days = exports.exported_days(store, place, "events")
        assert [(day.date, day.rows) for day in days.days] == [
            (date(2026, 3, 1), 21),
            (date(2026, 3, 2), 199),
        ]
        path = tmp_path / "day.parquet"
        for table, day, count in (("events", days.days[1].date, 199), ("exposures", TIME.date(), 100)):
            with path.open("wb") as written:
                exports.write_day(store, place, table, day, written)  # type: ignore[arg-type]
            file = parquet.ParquetFile(path)
            assert file.schema_arrow.remove_metadata() == exports.SCHEMAS[table]
            groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
            assert sum(groups) == count
            assert max(groups) < 60
            stored = [row for row in rows(store, table, place) if row["time"].date() == day]
            found = file.read().to_pylist()
            for row in found:
                row |= {name: row[name].replace(tzinfo=None) for name in ("time", "received_at")}
            names = exports.SCHEMAS[table].names
            assert sorted(map(repr, found)) == sorted(
                repr({name: row[name] for name in names}) for row in stored
            )
        assert file.metadata.metadata[b"equipoise.rows"] == b"100"
        with pytest.raises(NotFound):
            exports.write_day(store, place, "events", date(2026, 3, 3), BytesIO())


def test_a_search_finds_a_unit_wherever_it_is_named(open_store: Open) -> None:
    unit, places = "O'Hara/7 zoë", ["default/a", "default/b"]
    texts = [
        '{"unit": "O\'Hara\\/7 zo\\u00eb"}',
        '{"units": {"user": "O\'Hara/7 zoë"}, "name": 7}',
        ('{"name": "' + "x" * 5000)[:4077] + '", "unit": "O\'Hara/',
        '{"unit": "O\'Hara/7 zo"}',
        '{"name": "before O\'Hara/7 zoë and after"}',
        "",
    ]
    assert len(texts[2]) == 4096
    rejected = [Rejected("event", None, "/events/0", "wrong", text) for text in texts]
    with open_store() as store:
        for place in (*places, "other/a"):
            append(store, batch([exposure(uuid7(), unit)], [event(uuid7(), unit)], place, rejected=rejected))
        with store.workspace() as workspace:
            workspace.keep("base_1", workspace.backend.table("events").select("unit"), lasting=True)
        found = searching.count_facts(store, StoredUnit(places, "user", unit))
        assert found == {"exposures": 2, "events": 2, "aggregates": 1}
        assert searching.rejected_items(store, places, unit, unit) == sorted(texts[:3])
        assert set(searching.count_facts(store, StoredUnit(places, "user", "nobody")).values()) == {0}
        assert searching.rejected_items(store, places, "nobody", "nobody") == []
        with store.workspace() as workspace:
            workspace.forget("base_1")
