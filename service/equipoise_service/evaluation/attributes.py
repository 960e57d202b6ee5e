"""What attributes may be, so that one request costs a bounded time: conditions read every character."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

MAX_ATTRIBUTES = 1_000
"""Attributes of one request, and elements of a list among them."""

MAX_TEXT = 4_096
"""Characters of an attribute's name, of a string and of a string in a list."""

Attributes = Annotated[dict[str, Any], msgspec.Meta(max_length=MAX_ATTRIBUTES)]


class Excess(NamedTuple):
    """An attribute that is too large.

    Attributes:
        pointer: JSON pointer to it, below the attributes.
        message: What is wrong with it.
    """

    pointer: str
    message: str


def find_excess(attributes: Mapping[str, Any]) -> Excess | None:
    """The first attribute that is too large, if there is one.

    What is nested deeper than a list is not looked at: no operator does, either.
    """
    for name, value in attributes.items():
        if len(name) > MAX_TEXT:
            return Excess("", f"the name of an attribute has at most {MAX_TEXT:,} characters")
        message = _excess(value)
        if message is not None:
            return Excess("/" + name.replace("~", "~0").replace("/", "~1"), message)
    return None


def _excess(value: Any) -> str | None:
    if isinstance(value, list):
        if len(value) > MAX_ATTRIBUTES:
            return f"a list has at most {MAX_ATTRIBUTES:,} elements, not {len(value):,}"
        return next(filter(None, map(_excess_of_text, value)), None)
    return _excess_of_text(value)


def _excess_of_text(value: Any) -> str | None:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"a string has at most {MAX_TEXT:,} characters, not {len(value):,}"
    return None
