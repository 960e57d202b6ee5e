"""Units in texts that nobody could read as an item: whether a piece of JSON, perhaps cut, names one."""

import json
import re
from collections.abc import Iterator

MOST_CHARACTERS = 4096
"""Of a refused item, so many characters are kept."""

# Strings, or the beginning of one at the end of a text that was cut, and what else can stand for an id.
_TOKENS = re.compile(r'"((?:[^"\\]|\\.)*)("|\\?\Z)|([^\s"\[\]{},:]+)', re.DOTALL)
_WORD = re.compile(r"[A-Za-z0-9]+")


def tokens(text: str) -> Iterator[str]:
    r"""The strings of a piece of JSON, whatever way they are escaped, and its numbers, as texts.

    Example:
        >>> list(tokens('{"unit": "zo\\u00eb", "units": {"user": 7}, "na'))
        ['unit', 'zoë', 'units', 'user', '7', 'na']
    """
    for found in _TOKENS.finditer(text):
        string, end, other = found.groups()
        if other is not None:
            yield other
        elif end == '"':
            yield _unescaped(string)
        else:
            yield string


def names(text: str, unit: str) -> bool:
    """Whether a piece of JSON holds a unit's id as a whole string or number.

    Where the text was cut in the middle of a string, a beginning of the id of four characters is enough.
    """
    found = list(tokens(text))
    if unit in found:
        return True
    cut = len(text) >= MOST_CHARACTERS and bool(found)
    return cut and len(found[-1]) >= 4 and unit.startswith(found[-1])


def longest_word(unit: str) -> str:
    """The longest piece of a unit's id that every encoder writes as it is: what a text must hold."""
    return max(_WORD.findall(unit), key=len, default="")


def _unescaped(string: str) -> str:
    try:
        return str(json.loads(f'"{string}"', strict=False))
    except ValueError:
        return string
