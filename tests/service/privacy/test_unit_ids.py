"""What is said of units in texts, and what is stored in place of their ids."""

import hashlib
import hmac
import json

from hypothesis import given
from hypothesis import strategies as st

from equipoise_service.privacy.texts import MOST_CHARACTERS, longest_word, names, tokens
from equipoise_service.privacy.unit_ids import item_as_stored, left_out_as_stored, unit_as_stored

KEY = "a key of at least thirty-two characters"
UNITS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


def test_ids_become_a_part_of_their_hmac() -> None:
    expected = hmac.new(KEY.encode(), "zoë".encode(), hashlib.sha256).hexdigest()[:40]
    assert unit_as_stored("zoë", KEY) == f"h_{expected}"
    assert unit_as_stored("zoë", "") == "zoë"
    assert left_out_as_stored(["b"], "") == ("b",)
    assert set(left_out_as_stored(["b"], KEY)) == {"b", unit_as_stored("b", KEY)}


@given(unit=UNITS, other=UNITS, ascii_only=st.booleans(), nested=st.booleans())
def test_a_text_names_a_unit_however_it_is_escaped(
    unit: str, other: str, ascii_only: bool, nested: bool
) -> None:
    item = {"units": {"user": unit}, "name": other} if nested else {"unit": unit, "name": other}
    text = json.dumps(item, ensure_ascii=ascii_only)
    assert names(text, unit)
    assert longest_word(unit) in text
    assert names(text, other)
    assert not names(text, f"{unit}!{other}")
    assert set(tokens(text)) >= {unit, other}
    slashes = text.replace("/", "\\/")
    assert names(slashes, unit)


@given(unit=UNITS.filter(lambda unit: len(unit) >= 5), room=st.integers(4, 20))
def test_an_id_that_was_cut_is_found_by_its_beginning(unit: str, room: int) -> None:
    begin = '{"name": "' + "x" * MOST_CHARACTERS
    text = begin[: MOST_CHARACTERS - 11 - room] + '", "unit":"' + unit.replace("\\", "y").replace('"', "y")
    text = text[:MOST_CHARACTERS].ljust(MOST_CHARACTERS, "!")
    shown = text.rpartition('"')[2]
    assert names(text, shown + "more")
    assert not names(text, "z" + shown)


def test_numbers_are_units_that_were_sent_without_quotes() -> None:
    assert names('{"unit":12345,"name":"a"}', "12345")
    assert not names('{"unit":123456,"name":"a12345"}', "12345")


@given(unit=UNITS.filter(lambda unit: len(unit) > 3), nested=st.booleans())
def test_a_refused_item_keeps_no_id(unit: str, nested: bool) -> None:
    item = {"name": 7, "value": 1.5, **({"units": {"user": unit}} if nested else {"unit": unit})}
    kept = item_as_stored(json.dumps(item), KEY)
    assert not names(kept, unit)
    assert names(kept, unit_as_stored(unit, KEY))
    assert json.loads(kept)["value"] == 1.5
    assert item_as_stored(json.dumps(item), "") == json.dumps(item)


def test_what_nobody_can_read_is_not_kept() -> None:
    for text in ('{"unit": "someb', '["someb"]', "someb", '{"units": ["someb"]}', '{"unit": {"a": "someb"}}'):
        assert "someb" not in item_as_stored(text, KEY)
