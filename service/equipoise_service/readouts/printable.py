"""Texts from outside without control characters: a terminal obeys them, and XML has no place for them."""

import re
from typing import Any

# C0, DEL, C1, and the two others that XML 1.0 forbids. Halves of surrogate pairs are refused at the door.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def printable(value: Any) -> Any:
    r"""What JSON parses to, with a mark in place of every control character in its texts.

    Example:
        >>> printable({"value": ["a\x1b[2Jb", 1.5]})
        {'value': ['a�[2Jb', 1.5]}
    """
    if isinstance(value, str):
        return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {name: printable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [printable(each) for each in value]
    return value
