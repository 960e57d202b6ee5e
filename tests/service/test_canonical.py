"""Canonical JSON, against the published vectors of RFC 8785."""

import hashlib
import json
import math
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise_service.canonical import canonical_json, digest

# RFC 8785, appendix B: a double's bits and how it is printed.
NUMBERS = """
0000000000000000 0
8000000000000000 0
0000000000000001 5e-324
8000000000000001 -5e-324
7fefffffffffffff 1.7976931348623157e+308
ffefffffffffffff -1.7976931348623157e+308
4340000000000000 9007199254740992
c340000000000000 -9007199254740992
4430000000000000 295147905179352830000
44b52d02c7e14af5 9.999999999999997e+22
44b52d02c7e14af6 1e+23
44b52d02c7e14af7 1.0000000000000001e+23
444b1ae4d6e2ef4e 999999999999999700000
444b1ae4d6e2ef4f 999999999999999900000
444b1ae4d6e2ef50 1e+21
3eb0c6f7a0b5ed8c 9.999999999999997e-7
3eb0c6f7a0b5ed8d 0.000001
41b3de4355555553 333333333.3333332
41b3de4355555554 333333333.33333325
41b3de4355555555 333333333.3333333
41b3de4355555556 333333333.3333334
41b3de4355555557 333333333.33333343
becbf647612f3696 -0.0000033333333333333333
43143ff3c1cb0959 1424953923781206.2
"""

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("line", NUMBERS.split("\n")[1:-1])
def test_numbers_are_printed_as_published(line: str) -> None:
    bits, text = line.split()
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(value) == text


def test_members_are_sorted_as_published() -> None:
    # RFC 8785, section 3.2.3.
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    order = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(dict.fromkeys(names, 0)))) == order


def test_strings_are_escaped_as_published() -> None:
    # RFC 8785, section 3.2.2.
    assert canonical_json('\u20ac$\u000f\nA\'B"\\\\"/') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


@given(JSON_VALUES)
def test_parses_to_the_same_value(value: Any) -> None:
    assert json.loads(canonical_json(value), parse_int=float) == value


@given(JSON_VALUES, st.randoms())
def test_neither_order_nor_white_space_nor_the_form_of_numbers_matters(
    value: Any, chance: random.Random
) -> None:
    def shuffled(node: Any) -> Any:
        if isinstance(node, dict):
            names = list(node)
            chance.shuffle(names)
            return {name: shuffled(node[name]) for name in names}
        if isinstance(node, list):
            return [shuffled(each) for each in node]
        if isinstance(node, float) and node.is_integer() and abs(node) < 2**53:
            return int(node)
        return node

    assert digest(json.loads(json.dumps(shuffled(value), indent=3))) == digest(value)


def test_the_digest_is_sha_256_in_hex() -> None:
    assert digest({"b": 1.0, "a": "é"}) == "sha256:" + hashlib.sha256('{"a":"é","b":1}'.encode()).hexdigest()


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**400, {1: 2}, object(), [-math.inf], "\ud800"])
def test_what_has_no_canonical_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        digest(value)
