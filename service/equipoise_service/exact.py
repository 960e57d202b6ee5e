"""JSON compared with its types: to Python true is 1 and 1 is 1.0, to whoever reads a flag they are not."""

from typing import Any

import msgspec
from sqlalchemy import JSON


def is_same(one: object, other: object) -> bool:
    """Whether two values are the same JSON; the order of members does not matter.

    Example:
        >>> is_same({"a": 1, "b": [2.5]}, {"b": [2.5], "a": 1}), is_same({"a": 1}, {"a": True})
        (True, False)
    """
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


class ExactJson(JSON):
    """A column of JSON whose change of a type alone is stored.

    With the library's own comparison `{"a": true}` set in place of `{"a": 1}` is no change, and is dropped.
    """

    def compare_values(self, x: Any, y: Any) -> bool:
        """Whether nothing needs to be stored."""
        return is_same(x, y)
