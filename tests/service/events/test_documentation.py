"""The reference of events names every field, limit and answer."""

import re
from pathlib import Path

import msgspec
import pytest
from tests.service.events.items import SENDER, TERMS

from equipoise_service.events import inspection
from equipoise_service.events.batches import Kind
from equipoise_service.events.clocks import TOLERANCE
from equipoise_service.events.counters import CounterOut
from equipoise_service.events.endpoints import router
from equipoise_service.events.reading import read_whole
from equipoise_service.events.rejections import RejectedOut
from equipoise_service.events.schemas import (
    MAX_DROP_REASONS,
    MAX_NAME_LENGTH,
    MAX_PROPERTIES_BYTES,
    MAX_PROPERTIES_DEPTH,
    MAX_UNIT_LENGTH,
    MAX_UNITS,
    BatchIn,
    BatchOut,
    DroppedIn,
    EventIn,
    ExposureIn,
    ItemOut,
    LinesOut,
)
from equipoise_service.events.tail import MOST_SHOWN

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "events.md").read_text()


def test_every_field_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", PAGE, re.MULTILINE)
    fields = {
        (field.encode_name, "yes" if field.required else "no")
        for type_ in (BatchIn, ExposureIn, EventIn, DroppedIn)
        for field in msgspec.structs.fields(type_)
    }
    assert set(rows) == fields
    assert len(rows) == len(fields)


@pytest.mark.parametrize("type_", [BatchOut, ItemOut, LinesOut])
def test_every_member_of_the_answer_is_named(type_: type[msgspec.Struct]) -> None:
    assert [name for name in type_.__struct_fields__ if f"`{name}`" not in PAGE] == []


def test_every_answer_is_documented() -> None:
    (route,) = router.routes
    statuses = {str(status) for status in route.responses} - {"200"}  # type: ignore[attr-defined]
    rows = re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE)
    assert {status for row in rows for status in row.split(", ")} == statuses


def test_every_member_and_filter_of_the_lists_is_named() -> None:
    names = {*RejectedOut.model_fields, *CounterOut.model_fields, *Kind.__args__}  # type: ignore[attr-defined]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    queries = {
        param.name
        for route in inspection.router.routes
        for param in route.dependant.query_params  # type: ignore[attr-defined]
    } - {"cursor", "limit", "days"}
    assert [name for name in queries if f"`?{name}=`" not in PAGE] == []


def test_the_limits_are_those_of_the_code() -> None:
    assert f"1 to {MAX_UNIT_LENGTH} characters" in PAGE
    assert f"1 to {MAX_NAME_LENGTH} characters" in PAGE
    assert f"at most {MAX_PROPERTIES_BYTES:,} bytes" in PAGE
    assert f"nested at most {MAX_PROPERTIES_DEPTH} deep" in PAGE
    assert f"by unit type, at most {MAX_UNITS}" in PAGE
    assert f"newest {MOST_SHOWN} of" in PAGE
    assert f"more than {TOLERANCE.seconds} seconds" in PAGE
    assert f"At most {MAX_DROP_REASONS} reasons" in PAGE


def test_the_examples_are_what_is_sent_and_answered() -> None:
    sent, answered = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    known = sent.replace("new-landing-page", "page")
    assert read_whole(known.encode(), SENDER, TERMS) is not None
    answer = msgspec.json.decode(answered, type=BatchOut)
    statuses = [each.status for each in answer.exposures + answer.events]
    assert [statuses.count("accepted"), statuses.count("duplicate"), statuses.count("refused")] == [
        answer.accepted,
        answer.duplicate,
        answer.refused,
    ]
