"""Read members of a JSON document, each check naming the place it looked at."""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from sys import float_info
from typing import Any, Final, TypeVar

from equipoise.errors import ConfigurationError

ValueT = TypeVar("ValueT")

_LARGEST: Final = float_info.max

_EXACT: Final = 1 << 53
"""Whole numbers below it (and above its negative) are read exactly by every language."""

MAX_DEPTH: Final = 32
"""How deeply the value of an object flag may nest; copying it must not exhaust the caller's stack."""


def member(document: Mapping[str, Any], name: str, place: str) -> Any:
    """Return the member `name`, which must be there."""
    try:
        return document[name]
    except KeyError:
        raise ConfigurationError(place, f"the member {name!r} is missing") from None


def mapping(value: Any, place: str) -> Mapping[str, Any]:
    """Return a JSON object whose names are usable text."""
    if type(value) is not dict and not isinstance(value, Mapping):
        raise ConfigurationError(place, f"expected an object, found {_kind(value)}")
    # All names at once: a document has tens of thousands, and it is rare that one is not usable.
    try:
        "".join(value).encode()
        usable = "" not in value
    except (TypeError, UnicodeEncodeError):
        usable = False
    if not usable:
        for name in value:
            text(name, f"{place}.{name!r}")
    return value


def sequence(value: Any, place: str) -> Sequence[Any]:
    """Return a JSON array."""
    if not isinstance(value, list | tuple):
        raise ConfigurationError(place, f"expected an array, found {_kind(value)}")
    return value


def text(value: Any, place: str, limit: int | None = None) -> str:
    """Return a non-empty string that has a UTF-8 form, of at most `limit` characters."""
    if type(value) is str and value and limit is None and value.isascii():
        return value
    if value == "":
        raise ConfigurationError(place, "expected a non-empty string, found an empty string")
    return any_text(value, place, limit)


def any_text(value: Any, place: str, limit: int | None = None) -> str:
    """Return a string, perhaps empty, that has a UTF-8 form, of at most `limit` characters."""
    if not isinstance(value, str):
        raise ConfigurationError(place, f"expected a string, found {_kind(value)}")
    if limit is not None and len(value) > limit:
        raise ConfigurationError(place, f"{len(value):,} characters, at most {limit:,} are taken")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            problem = "the string holds a lone surrogate and has no UTF-8 form"
            raise ConfigurationError(place, problem) from None
    return value


def one_of(value: Any, choices: Collection[str], place: str) -> str:
    """Return a string that is one of `choices`."""
    if isinstance(value, str) and value in choices:
        return value
    shown = ", ".join(islice(choices, 20)) + (", …" if len(choices) > 20 else "")
    raise ConfigurationError(place, f"expected one of {shown}; found {value!r:.80}")


def whole(value: Any, place: str) -> int:
    """Return a whole number at or above zero."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(place, f"expected a whole number at or above 0, found {value!r:.80}")
    return value


def boolean(value: Any, place: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise ConfigurationError(place, f"expected true or false, found {_kind(value)}")
    return value


def number(value: Any, place: str, expected: str = "a finite number") -> float:
    """Return a finite number, whole or not; `expected` is what the error says otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST <= value <= _LARGEST:
        raise ConfigurationError(place, f"expected {expected}, found {_kind(value)}")
    return exact(value, place)


def exact(value: ValueT, place: str) -> ValueT:
    """Return a value; a whole number must be one that every language reads exactly."""
    if isinstance(value, int) and not -_EXACT < value < _EXACT:
        raise ConfigurationError(place, "a whole number must lie within ±2^53, so that all languages read it")
    return value


def interval(start: Any, end: Any, limit: int, place: str) -> tuple[int, int]:
    """Return a half-open interval within 0 to `limit`; it may be empty."""
    if type(start) is int and type(end) is int and 0 <= start <= end <= limit:
        return start, end
    low, high = whole(start, place), whole(end, place)
    if not low <= high <= limit:
        raise ConfigurationError(place, f"expected 0 <= start <= end <= {limit}, found {low} to {high}")
    return low, high


def value_of_type(value: Any, flag_type: str, place: str) -> Any:
    """Return a flag's value in exactly the flag's type, detached from the document.

    A number flag written as `1` becomes `1.0`: JSON writers do not keep the difference, callers rely on it.
    """
    if flag_type == "number" and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise ConfigurationError(place, "the number is too large") from None
    expected = {"boolean": bool, "string": str, "integer": int, "number": float, "object": Mapping}[flag_type]
    if not isinstance(value, expected) or (flag_type == "integer" and isinstance(value, bool)):
        raise ConfigurationError(place, f"expected a value of type {flag_type}, found {_kind(value)}")
    return _detach(value, place, MAX_DEPTH)


def _detach(value: Any, place: str, depth: int) -> Any:
    """Copy a JSON value, refusing what JSON cannot say."""
    if depth < 0:
        raise ConfigurationError(place, f"the value nests deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        return {str(name): _detach(each, f"{place}.{name}", depth - 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_detach(each, f"{place}[{index}]", depth - 1) for index, each in enumerate(value)]
    if value is not None and not isinstance(value, bool | int | float | str):
        raise ConfigurationError(place, f"expected a JSON value, found {_kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(place, f"expected a finite number, found {value}")
    return exact(value, place)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    if value == "":
        return "an empty string"
    return names.get(type(value), f"{value!r:.80}")
