"""What senders say that they dropped: kept as totals, once, whatever comes twice or late."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.events.conftest import OpenStore
from tests.service.events.items import body, event, read, rows
from tests.service.events.test_store import append

from equipoise.identifiers import uuid7
from equipoise_service.events.stores.duckdb import file as duckdb_file
from equipoise_service.events.stores.store import EventStore
from equipoise_service.settings import Settings

ONE, TWO = "0195513e-5c00-7000-8000-00000000000a", "0195513e-5c00-7000-8000-00000000000b"


def report(client: str, place: str = "default/production", **counts: int) -> Any:
    return read(body(dropped={"client": client, "counts": counts}), place).batch


def totals(store: EventStore) -> dict[tuple[str, str, str], int]:
    return {(row["place"], str(row["client"]), row["reason"]): row["count"] for row in rows(store, "dropped")}


def test_totals_are_kept_once(store: EventStore) -> None:
    append(store, report(ONE, queue_full=5, invalid=1))
    (first, _) = sorted(rows(store, "dropped"), key=lambda row: -row["count"])
    append(store, report(ONE, queue_full=5, invalid=1))
    append(
        store, report(ONE, queue_full=9), report(TWO, queue_full=2), report(ONE, "default/staging", closed=1)
    )
    append(store, report(ONE, queue_full=7))
    append(store, report(TWO, rejected=0))
    place = "default/production"
    assert totals(store) == {
        (place, ONE, "queue_full"): 9,
        (place, ONE, "invalid"): 1,
        (place, TWO, "queue_full"): 2,
        ("default/staging", ONE, "closed"): 1,
    }
    (again,) = [row for row in rows(store, "dropped") if row["count"] == 9]
    assert again["first_at"] == first["first_at"] == first["last_at"] < again["last_at"]


# The store stays from one example to the next; each has a place of its own.
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([ONE, TWO]), st.sampled_from(["a", "b"]), st.integers(0, 2**63 - 1)),
            max_size=4,
        ),
        max_size=5,
    )
)
def test_the_greatest_total_stays(open_store: OpenStore, groups: list[list[tuple[str, str, int]]]) -> None:
    expected: dict[tuple[str, str, str], int] = defaultdict(int)
    place = f"p-{uuid7()}/production"
    with open_store() as store:
        for group in groups:
            append(store, *(report(client, place, **{reason: count}) for client, reason, count in group))
            for client, reason, count in group:
                expected[place, client, reason] = max(count, expected[place, client, reason])
        found = {key: count for key, count in totals(store).items() if key[0] == place}
    assert found == {key: count for key, count in expected.items() if count}


def test_a_restart_keeps_them(open_store: OpenStore) -> None:
    with open_store() as store:
        append(store, report(ONE, queue_full=3))
    with open_store() as store:
        append(store, report(ONE, queue_full=4))
        assert list(totals(store).values()) == [4]


def test_a_file_of_the_first_release_gets_the_tables_of_this_one(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(duckdb_file, "STEPS", duckdb_file.STEPS[:1])
        file = duckdb_file.DuckdbFile(tmp_path / "events.duckdb", Settings(data_dir=tmp_path))
        id = uuid7()
        file.connection.execute(
            "INSERT INTO events VALUES"
            " ('default/production', ?, now()::TIMESTAMP, now()::TIMESTAMP, 'user', 'u', 'purchase',"
            " NULL, NULL)",
            [id],
        )
        file.close()
    with open_store() as store:
        append(store, report(ONE, queue_full=3))
        assert list(totals(store).values()) == [3]
        (receipt,) = append(store, read(body([], [event(id=id, unit="other"), event()])).batch)
        assert receipt.conflicting_events == {0}
        assert len(rows(store, "events")) == 2
        assert len(rows(store, "rejected")) == 1
        assert rows(store, "intake")[0]["refused"] == 1


@pytest.mark.parametrize(
    "dropped",
    [
        7,
        {},
        {"client": "me", "counts": {}},
        {"client": ONE, "counts": {"queue_full": -1}},
        {"client": ONE, "counts": {"queue_full": 1.5}},
        {"client": ONE, "counts": {"Not A Reason": 1}},
        {"client": "x" * 36, "counts": {"queue_full": 1}},
        {"client": ONE, "counts": {"a" * 65: 1}},
        {"client": ONE, "counts": {"a" * n: 1 for n in range(1, 34)}},
    ],
    ids=repr,
)
def test_an_unreadable_report_is_refused_and_stores_nothing(client: TestClient, dropped: Any) -> None:
    answer = client.post("/v1/events", content=body([], [event()], dropped=dropped))
    assert answer.status_code == 422
    assert rows(client.app.state.event_store, "events") == []  # type: ignore[attr-defined]


def test_it_comes_with_items_and_alone(client: TestClient) -> None:
    for n, items in enumerate(([event()], []), start=1):
        answer = client.post(
            "/v1/events", content=body([], items, dropped={"client": ONE, "counts": {"closed": n}})
        )
        assert answer.json()["accepted"] == len(items)
        assert list(totals(client.app.state.event_store).values()) == [n]  # type: ignore[attr-defined]
    # An unusable item beside it takes the other way through the reading.
    client.post(
        "/v1/events", content=body([], [event(name="")], dropped={"client": ONE, "counts": {"closed": 7}})
    )
    assert list(totals(client.app.state.event_store).values()) == [7]  # type: ignore[attr-defined]
