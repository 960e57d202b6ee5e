"""Newline-delimited JSON, several units an item, clocks: over HTTP and through the readers."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.service.conftest import Service, experiment
from tests.service.events.items import SENDER, TERMS, body, event, exposure, read, rows
from tests.service.events.test_endpoint import ANYTHING, GOOD

from equipoise.identifiers import uuid7
from equipoise_service.app import create_app
from equipoise_service.errors import InvalidPayload
from equipoise_service.events import lines
from equipoise_service.settings import Settings

KEY = "new-landing-page"
LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    own = Settings(data_dir=tmp_path_factory.mktemp("lines"), event_commit_milliseconds=0)
    with TestClient(create_app(own)) as client:
        client.headers.update(Service(client, own).key())
        for key in (KEY, "by-account"):
            unit_type = {"unit_type": "account"} if key == "by-account" else {}
            client.post("/v1/experiments", json=experiment(key, **unit_type)).raise_for_status()
            client.post(f"/v1/experiments/{key}/start").raise_for_status()
        yield client


def ndjson(*items: Any) -> bytes:
    return b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in items)


def an_event(**changes: Any) -> dict[str, Any]:
    return {"kind": "event", **event(**changes)}


def an_exposure(**changes: Any) -> dict[str, Any]:
    return {"kind": "exposure", **exposure(**{"experiment": KEY, **changes})}


def send(client: TestClient, content: bytes, **headers: str) -> Any:
    answer = client.post("/v1/events", content=content, headers={**LINES, **headers})
    assert answer.status_code == 200, answer.text
    return answer.json()


def stored(client: TestClient, table: str, ids: list[str]) -> list[dict[str, Any]]:
    found = rows(client.app.state.event_store, table)  # type: ignore[attr-defined]
    return [row for row in found if str(row["id"]) in ids]


def test_each_line_has_its_answer_in_order(running: TestClient) -> None:
    one, two = an_event(), an_exposure()
    content = ndjson(
        {"kind": "batch", "sent_at": datetime.now(UTC).isoformat(), "later": 1},
        one,
        b"",
        b"{not json",
        b'{"kind": "event", "unit": "\xff"}',
        two,
        an_event(name=""),
        {"kind": "click"},
        event(),
        {"kind": "batch"},
        one,
        b"[" * 100_000,
        b'{"kind": "event", "properties": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    )
    answer = send(running, content)
    assert [answer[name] for name in ("accepted", "duplicate", "refused")] == [2, 1, 8]
    assert [(each["status"], each.get("pointer")) for each in answer["items"]] == [
        ("accepted", None),
        ("refused", "/3"),
        ("refused", "/4"),
        ("accepted", None),
        ("refused", "/6/name"),
        ("refused", "/7/kind"),
        ("refused", "/8/kind"),
        ("refused", "/9/kind"),
        ("duplicate", None),
        ("refused", "/11"),
        ("refused", "/12"),
    ]
    assert answer["items"][4]["id"] is not None
    assert len(stored(running, "events", [one["id"]])) == len(stored(running, "exposures", [two["id"]])) == 1
    listed = running.get("/v1/events/rejected", params={"limit": 500}).json()["items"]
    assert {"/3", "/4", "/6/name", "/11", "/12"} <= {each["pointer"] for each in listed}
    assert {each["kind"] for each in listed if each["pointer"] in ("/3", "/11")} == {"line"}


def test_lines_may_be_gzip_and_end_as_they_like(running: TestClient) -> None:
    for end in (b"", b"\n", b"\r\n", b"\n\n\n"):
        content = gzip.compress(ndjson(an_event(), an_event()) + end)
        assert send(running, content, **{"Content-Encoding": "gzip"})["accepted"] == 2
    assert send(running, b"") == {"accepted": 0, "duplicate": 0, "refused": 0, "items": []}


def test_what_is_dropped_is_told_by_the_first_line(running: TestClient) -> None:
    client = uuid7()
    report = {"kind": "batch", "dropped": {"client": client, "counts": {"closed": 3}}}
    assert send(running, ndjson(report))["items"] == []
    kept = rows(running.app.state.event_store, "dropped")  # type: ignore[attr-defined]
    assert [row["count"] for row in kept if str(row["client"]) == client] == [3]
    bad = running.post("/v1/events", content=ndjson({**report, "dropped": 7}, an_event()), headers=LINES)
    assert (bad.status_code, bad.json()["type"]) == (422, "urn:equipoise:problem:invalid-payload")


@pytest.mark.parametrize("content", [b"\n" * 100, ndjson(*[b"{}"] * 11), ndjson(*[an_event()] * 11)])
def test_too_many_lines_are_refused(content: bytes) -> None:
    small = replace(SENDER, max_items=10)
    with pytest.raises(InvalidPayload):
        lines.read_each(content, small, TERMS)
    with pytest.raises(InvalidPayload):
        assert lines.read_whole(content, small, TERMS) or lines.read_each(content, small, TERMS)


BAD_LINE = st.one_of(
    ANYTHING.filter(lambda value: not isinstance(value, dict) or "id" not in value).map(
        lambda value: json.dumps(value).encode()
    ),
    st.binary(min_size=1, max_size=40).map(lambda text: b"\xfe" + text.replace(b"\n", b"").strip()),
    st.sampled_from(["id", "time", "unit", "name", "unit_type", "kind"]).map(
        lambda field: json.dumps(an_event(**{field: "\0"})).encode()
    ),
    st.sampled_from(["unit", "name", "properties"]).map(
        lambda field: json.dumps(an_event(**{field: "HERE"})).encode().replace(b"HERE", b"\xff")
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["good", "bad", "again", "empty"]), GOOD, BAD_LINE), max_size=12))
def test_of_any_lines_exactly_the_good_ones_are_stored_once_and_the_bad_ones_listed(
    running: TestClient, mix: list[tuple[str, dict[str, Any], bytes]]
) -> None:
    content: list[bytes] = []
    expected: list[tuple[str, int]] = []
    seen: dict[str, dict[str, Any]] = {}
    for number, (kind, good, bad) in enumerate(mix):
        item = good if kind == "good" or not seen else next(iter(seen.values()))
        if kind == "empty":
            content.append(b"")
        elif kind == "bad":
            content.append(bad)
            expected.append(("refused", number))
        else:
            content.append(json.dumps({"kind": "event", **item}).encode())
            expected.append(("duplicate" if item["id"] in seen else "accepted", number))
            seen.setdefault(item["id"], item)
    since = datetime.now(UTC).isoformat()
    answer = send(running, b"\n".join(content))
    assert [each["status"] for each in answer["items"]] == [status for status, _ in expected]
    refused = [each["pointer"] for each in answer["items"] if each["status"] == "refused"]
    numbers = [number for status, number in expected if status == "refused"]
    assert [pointer.split("/")[1] for pointer in refused] == [str(number) for number in numbers]
    found = stored(running, "events", list(seen))
    assert sorted(str(row["id"]) for row in found) == sorted(seen)
    assert {str(row["id"]): row["unit"] for row in found} == {id: item["unit"] for id, item in seen.items()}
    page = running.get("/v1/events/rejected", params={"since": since, "limit": 500}).json()["items"]
    assert sorted(each["pointer"] for each in page) == sorted(refused)


def test_an_event_counts_for_each_of_its_units_once(running: TestClient) -> None:
    one = an_event(unit="u", units={"account": "acme", "device": "d1"})
    same = {**one, "units": {"user": "u", "device": "d1", "account": "acme"}}
    del same["unit"]
    answer = send(running, ndjson(one, an_event(unit=""), same))
    assert [each["status"] for each in answer["items"]] == ["accepted", "refused", "duplicate"]
    expected = {("account", "acme"), ("device", "d1"), ("user", "u")}
    assert {(row["unit_type"], row["unit"]) for row in stored(running, "events", [one["id"]])} == expected
    as_json = running.post("/v1/events", content=body([], [event(), one, {**one, "units": {"account": "b"}}]))
    assert [each["status"] for each in as_json.json()["events"]] == ["accepted", "duplicate", "refused"]
    assert as_json.json()["events"][2]["pointer"] == "/events/2/id"
    assert len(stored(running, "events", [one["id"]])) == 3
    fewer = {**one, "units": None}
    assert send(running, ndjson(fewer))["items"][0]["status"] == "refused"
    assert len(stored(running, "events", [one["id"]])) == 3


def test_an_exposure_is_of_its_experiments_unit(running: TestClient) -> None:
    units = {"user": "u", "account": "acme"}
    one, two = an_exposure(units=units), an_exposure(experiment="by-account", units=units)
    del one["unit"], two["unit"]
    lost = {**an_exposure(experiment="by-account", units={"device": "d"}), "unit": "u"}
    answer = send(running, ndjson(one, two, lost))
    assert [each["status"] for each in answer["items"]] == ["accepted", "accepted", "refused"]
    assert answer["items"][2]["pointer"] == "/2/units"
    found = stored(running, "exposures", [one["id"], two["id"]])
    assert {(row["experiment"], row["unit_type"], row["unit"]) for row in found} == {
        (KEY, "user", "u"),
        ("by-account", "account", "acme"),
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"units": {}}, "/units"),
        ({"units": {"User": "u"}}, "/units"),
        ({"units": {"user": "other"}}, "/units/user"),
        ({"units": {"account": ""}}, "/units/..."),
        ({"units": {"account": "\0"}}, "/units"),
        ({"units": {f"t{n}": "u" for n in range(9)}}, "/units"),
        ({"units": ["u"]}, "/units"),
    ],
)
def test_unusable_units_are_refused(changes: dict[str, Any], field: str) -> None:
    reading = read(body([], [event(), event(**changes)]))
    assert reading.refused_events[1].pointer == f"/events/1{field}"
    assert len(reading.batch.events) == 1


@pytest.mark.parametrize("behind", [timedelta(days=-400), timedelta(minutes=-2), timedelta(hours=30)])
@pytest.mark.parametrize("with_bad", [False, True])
def test_a_clock_that_is_wrong_is_set_right(running: TestClient, behind: timedelta, with_bad: bool) -> None:
    now = datetime.now(UTC)
    happened = now - timedelta(minutes=10)
    told = [an_event(time=(happened - behind).isoformat()), *([an_event(name="")] if with_bad else [])]
    head = {"kind": "batch", "sent_at": (now - behind).isoformat()}
    assert send(running, ndjson(head, *told))["accepted"] == 1
    as_json = [{**each, "id": uuid7()} for each in told]
    answer = running.post("/v1/events", content=body([], as_json, sent_at=head["sent_at"]))
    assert answer.json()["accepted"] == 1
    for row in stored(running, "events", [told[0]["id"], as_json[0]["id"]]):
        assert abs(row["time"].replace(tzinfo=UTC) - happened) < timedelta(seconds=20)


def test_a_clock_that_is_right_enough_is_left_alone(running: TestClient) -> None:
    now = datetime.now(UTC)
    one, two = an_event(time="2026-03-01T12:00:00.000001Z"), an_event(time="2026-03-01T12:00:00.000001Z")
    send(running, ndjson({"kind": "batch", "sent_at": (now - timedelta(seconds=40)).isoformat()}, one))
    send(running, ndjson(two))
    found = {row["time"] for row in stored(running, "events", [one["id"], two["id"]])}
    assert found == {datetime(2026, 3, 1, 12, 0, 0, 1)}


def test_a_corrected_time_may_leave_the_calendar(running: TestClient) -> None:
    head = {"kind": "batch", "sent_at": "2000-01-01T00:00:00Z"}
    (item,) = send(running, ndjson(head, an_event(time="9999-12-31T00:00:00Z")))["items"]
    assert (item["status"], item["pointer"]) == ("refused", "/1/time")
    assert "sent_at" in item["reason"]
