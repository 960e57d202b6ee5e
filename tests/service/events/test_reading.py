"""What is refused and why, and that one bad item costs no good one its place."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.events.items import CONFIGURATION, NOW, SENDER, TERMS, body, event, exposure, later, read

from equipoise_service.errors import BadRequest, InvalidPayload
from equipoise_service.events.identifiers import id_bytes
from equipoise_service.events.reading import read_each, read_whole
from equipoise_service.events.rules import latest_time


def nested(levels: int, leaf: Any) -> Any:
    """A leaf in so many arrays."""
    for _ in range(levels):
        leaf = [leaf]
    return leaf


COMMON: list[tuple[dict[str, Any], str, str]] = [
    ({"id": None}, "/id", "got `null`"),
    ({"id": 7}, "/id", "got `int`"),
    ({"id": "7"}, "/id", "length >= 36"),
    ({"id": "x" * 10_000_000}, "/id", "length <= 36"),
    ({"id": "018f4c3e8a007000800000000000000a"}, "/id", "length >= 36"),
    ({"id": "018f4c3e-8a00-7000-8000-00000000000g"}, "/id", "UUID"),
    ({"id": "018f4c3e-8a00-7000-8000-0000000000 a"}, "/id", "UUID"),
    ({"id": "018f4c3e8a00-7000-8000-00-0000000000"}, "/id", "UUID"),
    ({"id": "018f4c3e-8a00-7000-8000-00000000000é"}, "/id", "UUID"),
    ({"time": None}, "/time", "got `null`"),
    ({"time": 1_772_366_400}, "/time", "got `int`"),
    ({"time": "2026-03-01"}, "/time", "RFC3339"),
    ({"time": "2026-03-01T12:00:00"}, "/time", "timezone"),
    ({"time": "2026-02-30T12:00:00Z"}, "/time", "RFC3339"),
    ({"time": "2026-03-01T24:00:00Z"}, "/time", "RFC3339"),
    ({"time": "2016-12-31T23:59:60Z"}, "/time", "RFC3339"),
    ({"time": "2026-03-01T12:00:00+24:00"}, "/time", "RFC3339"),
    ({"time": "1999-12-31T23:59:59.999999Z"}, "/time", "2000-01-01"),
    ({"time": "2000-01-01T00:00:00+00:01"}, "/time", "2000-01-01"),
    ({"time": "0001-01-01T00:00:00+14:00"}, "/time", "2000-01-01"),
    ({"time": later(86_400.000_001)}, "/time", "too far ahead"),
    ({"time": "9999-12-31T23:59:59-23:59"}, "/time", "too far ahead"),
    ({"unit": ""}, "/unit", "length >= 1"),
    ({"unit": "x" * 513}, "/unit", "length <= 512"),
    ({"unit": "x" * 10_240}, "/unit", "length <= 512"),
    ({"unit": 42}, "/unit", "got `int`"),
    ({"unit": None}, "/unit", "got `null`"),
    ({"unit": "a\0b"}, "/unit", "NUL"),
    ({"unit_type": ""}, "/unit_type", "length >= 1"),
    ({"unit_type": "User"}, "/unit_type", "lower-case"),
    ({"unit_type": "user\n"}, "/unit_type", "lower-case"),
    ({"unit_type": "u" * 129}, "/unit_type", "length <= 128"),
]
EXPOSURES: list[tuple[dict[str, Any], str, str]] = [
    ({"experiment": "nope"}, "/experiment", "no experiment 'nope'"),
    ({"experiment": "idea"}, "/experiment", "never started"),
    ({"experiment": 1}, "/experiment", "got `int`"),
    ({"variant": "blue"}, "/variant", "it has control, treatment"),
    ({"variant": "gone"}, "/variant", "it has control, treatment"),
    ({"variant": "gone", "revision": 3}, "/variant", "it has control, treatment"),
    ({"variant": "blue", "revision": 2}, "/variant", "it has control, gone, treatment"),
    ({"revision": 4}, "/revision", "revision 3"),
    ({"revision": 0}, "/revision", ">= 1"),
    ({"revision": 2**40}, "/revision", "<= "),
    ({"revision": 1.5}, "/revision", "got `float`"),
    ({"revision": True}, "/revision", "got `bool`"),
    ({"unit_type": "device"}, "/unit_type", "randomises 'user'"),
    ({"experiment": "device-test"}, "/unit_type", "randomises 'device'"),
]
EVENTS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "/name", "length >= 1"),
    ({"name": "x" * 201}, "/name", "length <= 200"),
    ({"name": "a\0b"}, "/name", "NUL"),
    ({"value": "12"}, "/value", "got `str`"),
    ({"value": True}, "/value", "got `bool`"),
    ({"value": 10**400}, "/value", "out of range"),
    ({"properties": []}, "/properties", "got `array`"),
    ({"properties": "x"}, "/properties", "got `str`"),
    ({"properties": {"a": "x" * 8185}}, "/properties", "8,192 bytes"),
    ({"properties": {"a": "é" * 4093}}, "/properties", "8,192 bytes"),
    ({"properties": {"a": ["\0"]}}, "/properties", "NUL"),
    ({"properties": {"\0": 1}}, "/properties", "NUL"),
    ({"properties": {"a": nested(600, "\0")}}, "/properties", "nest deeper"),
    ({"properties": {"a": json.loads("[" * 32 + "]" * 32)}}, "/properties", "32 levels"),
]


def refused_exposures() -> list[tuple[dict[str, Any], str, str]]:
    return [(exposure(**changes), field, reason) for changes, field, reason in COMMON + EXPOSURES]


def refused_events() -> list[tuple[dict[str, Any], str, str]]:
    return [(event(**changes), field, reason) for changes, field, reason in COMMON + EVENTS]


@pytest.mark.parametrize(
    ("changes", "field", "reason"), COMMON + EXPOSURES, ids=lambda value: repr(value)[:40]
)
def test_a_bad_exposure_is_refused_with_its_place(changes: dict[str, Any], field: str, reason: str) -> None:
    good, bad = exposure(), exposure(**changes)
    reading = read(body([good, bad, exposure()], [event()]))
    refused = reading.refused_exposures
    assert list(refused) == [1]
    assert refused[1].pointer == f"/exposures/1{field}"
    assert reason in refused[1].reason
    assert len(reading.batch.exposures) == 2
    assert reading.batch.exposures[0].id == good["id"]
    assert len(reading.batch.events) == 1


@pytest.mark.parametrize(("changes", "field", "reason"), COMMON + EVENTS, ids=lambda value: repr(value)[:40])
def test_a_bad_event_is_refused_with_its_place(changes: dict[str, Any], field: str, reason: str) -> None:
    reading = read(body([exposure()], [event(), event(**changes), event()]))
    refused = reading.refused_events
    assert list(refused) == [1]
    assert refused[1].pointer == f"/events/1{field}"
    assert reason in refused[1].reason
    assert len(reading.batch.exposures) == 1
    assert len(reading.batch.events) == len(reading.batch.properties) == 2


@pytest.mark.parametrize("missing", ["id", "time", "unit", "name"])
def test_a_missing_field_is_named(missing: str) -> None:
    bad = event()
    del bad[missing]
    refused = read(body([], [bad])).refused_events[0]
    assert missing in refused.reason
    assert refused.id == bad.get("id")


@pytest.mark.parametrize(
    ("items", "reason"), [(["x"], "got `str`"), ([None], "got `null`"), ([[1]], "got `array`")]
)
def test_an_item_that_is_no_object_is_refused(items: list[Any], reason: str) -> None:
    reading = read(body([], [*items, event()]))
    assert reading.refused_events[0].pointer == "/events/0"
    assert reason in reading.refused_events[0].reason
    assert reading.refused_events[0].id is None
    assert len(reading.batch.events) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"unit": "x" * 512},
        {"unit": "😀" * 512},
        {"unit": " "},
        {"id": "018F4C3E-8A00-7000-8000-00000000000A"},
        {"id": "c1378743-c4be-4b69-bd79-d4d397326a11"},
        {"time": "2000-01-01T00:00:00Z"},
        {"time": later(86_400)},
        {"time": "2026-03-01 12:00:00.123456z"},
        {"value": 0},
        {"value": -1.5e300},
        {"value": None},
        {"name": "x" * 200},
        {"properties": None},
        {"properties": {}},
        {"properties": {"a": "x" * 8184}},
        {"properties": {"a": json.loads("[" * 31 + "]" * 31)}},
        {"properties": {"a": [[]] * 100}},
        {"properties": {"a": r"\u0000"}},
        {"properties": {"a": 10**30, "'; DROP TABLE events; --": None}},
        {"unknown": {"deep": [1, 2]}},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_lies_within_the_limits_is_taken_whole(changes: dict[str, Any]) -> None:
    assert read_whole(body([], [event(**changes)]), SENDER, TERMS) is not None


@pytest.mark.parametrize(
    "text", [r"\ud83d", r"\uDE00", r"\ud83d\ud83d\ude00", r"a\\\ud83d", r"\ud83dx", r"\ude00\ud83d"]
)
def test_half_a_surrogate_pair_costs_only_its_item(text: str) -> None:
    whole = event(unit="😀 \\ud83d")
    content = body([], [event(unit="HALF"), whole, event(properties={"a": ["HALF"]})])
    reading = read(content.replace(b"HALF", text.encode()))
    assert {position: each.pointer for position, each in reading.refused_events.items()} == {
        0: "/events/0/unit",
        2: "/events/2/properties",
    }
    assert [each.unit for each in reading.batch.events] == ["😀 \\ud83d"]


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud83d", r"\\\ud83d\ude00"])
def test_whole_surrogate_pairs_and_escaped_backslashes_stay(text: str) -> None:
    content = body([], [event(unit="TEXT"), event(id=7)]).replace(b"TEXT", text.encode())
    reading = read(content)
    assert [each.unit for each in reading.batch.events] == [json.loads(f'"{text}"')]


def test_a_number_out_of_range_costs_only_its_item() -> None:
    content = body([], [event(value=1), event(value=2)]).replace(b'"value":2', b'"value":1e999')
    reading = read(content)
    assert list(reading.refused_events) == [1]
    assert reading.refused_events[1].pointer == "/events/1/value"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"events": [{"value": NaN}]}',
        b'{"events": [{"value": -Infinity}]}',
        b"\xff",
        b'{"a":"\xff"}x',
    ],
)
def test_what_is_not_json_is_a_bad_request(content: bytes) -> None:
    with pytest.raises(BadRequest):
        read(content)


def test_what_nests_without_end_is_a_bad_request() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(BadRequest, match="nests too deeply"):
        read(b'{"events": [{"properties": {"a": ' + deep + b"}}]}")


@pytest.mark.parametrize("field", ["unit", "name", "properties"])
def test_invalid_utf8_costs_only_its_item(field: str) -> None:
    bad = event(**{field: {"a": ["HERE"]} if field == "properties" else "HERE"})
    content = body([exposure()], [event(), bad, event()]).replace(b"HERE", b"a\xff\xfe")
    reading = read(content)
    assert list(reading.refused_events) == [1]
    refused = reading.refused_events[1]
    assert "is not UTF-8" in refused.reason
    assert refused.id == bad["id"]
    assert "a\ufffd\ufffd" in refused.item
    assert len(reading.batch.exposures) + len(reading.batch.events) == 3


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b"[]", ""),
        (b'"x"', ""),
        (b'{"events": {}}', "/events"),
        (b'{"exposures": null}', "/exposures"),
        (b'{"sent_at": "x"}', "/sent_at"),
    ],
)
def test_what_is_no_batch_is_an_invalid_payload(content: bytes, pointer: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        read(content)
    assert caught.value.extensions["errors"][0]["pointer"] == pointer  # type: ignore[index]


@pytest.mark.parametrize("bad", [{}, {"id": 1}])
def test_too_many_items_are_refused_with_the_limit(bad: dict[str, Any]) -> None:
    content = body([exposure()] * 3, [event(**bad)] * 8)
    with pytest.raises(InvalidPayload, match="11 items; the limit is 10") as caught:
        read(content, max_items=10)
    assert caught.value.extensions["limit_items"] == 10
    assert read(content, max_items=11)


def test_an_exposure_without_a_revision_gets_the_present_one() -> None:
    content = [exposure(), exposure(revision=2), exposure(revision=None)]
    assert [each.revision for each in read(body(content)).batch.exposures] == [3, 2, 3]
    assert [each.revision for each in read(body([*content, 1])).batch.exposures] == [3, 2, 3]


def test_a_variant_that_was_taken_out_still_gets_the_exposures_of_its_revision() -> None:
    reading = read_whole(body([exposure(variant="gone", revision=2)]), SENDER, TERMS)
    assert reading is not None
    assert reading.batch.exposures[0].variant == "gone"


def test_an_answer_repeats_no_id_that_is_longer_than_an_id() -> None:
    refused = read(body([], [event(id="x" * 37), event(id="short", unit="")])).refused_events
    assert (refused[0].id, refused[1].id) == (None, "short")


@pytest.mark.parametrize("seconds", [0.0, 1e9, 1e15, float("inf")])
def test_no_limit_on_the_future_passes_the_calendars_end(seconds: float) -> None:
    assert latest_time(NOW, seconds) >= NOW


ITEMS = st.one_of(
    st.builds(lambda: (True, exposure())),
    st.builds(lambda: (True, event(properties={"n": 1}, value=2))),
    st.sampled_from(refused_exposures() + refused_events()).map(lambda each: (False, each[0])),
)


@given(st.lists(ITEMS, max_size=12))
def test_the_whole_and_the_single_reading_agree(items: list[tuple[bool, dict[str, Any]]]) -> None:
    exposures = [item for item in items if "experiment" in item[1]]
    events = [item for item in items if "experiment" not in item[1]]
    asked = body([each for _, each in exposures], [each for _, each in events]), SENDER, TERMS
    whole, each = read_whole(*asked), read_each(*asked)
    assert (whole is not None) == all(good for good, _ in items)
    if whole is not None:
        assert whole == each
    assert [item.id for item in each.batch.exposures] == [item["id"] for good, item in exposures if good]
    assert [item.id for item in each.batch.events] == [item["id"] for good, item in events if good]
    assert each.batch.exposure_ids == id_bytes([item.id for item in each.batch.exposures])
    assert each.batch.event_ids == id_bytes([item.id for item in each.batch.events])
    assert list(each.refused_events) == [i for i, (good, _) in enumerate(events) if not good]
    assert list(each.refused_exposures) == [i for i, (good, _) in enumerate(exposures) if not good]


@given(st.lists(st.uuids()))
def test_ids_have_the_bytes_of_their_uuids(ids: list[uuid.UUID]) -> None:
    assert id_bytes([str(each) for each in ids]) == b"".join(each.bytes for each in ids)
    assert id_bytes([str(each).upper() for each in ids]) == b"".join(each.bytes for each in ids)


@given(st.lists(st.text(alphabet="0aF-\n g", min_size=35, max_size=37), min_size=1))
def test_what_is_no_canonical_uuid_has_no_bytes(ids: list[str]) -> None:
    # A random text of this alphabet has four hyphens in the right places practically never.
    with pytest.raises(ValueError, match="canonical"):
        id_bytes(ids)


def test_the_tests_experiments_are_what_they_are_taken_for() -> None:
    assert CONFIGURATION.experiments["idea"].revision is None
