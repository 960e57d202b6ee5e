"""Values of flags: five types, kept exactly."""

import json
import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from equipoise_service.nesting import depth

MAX_VALUE_BYTES = 16_384
# What the SDK reads: a deeper value would make the whole configuration document unreadable.
MAX_VALUE_DEPTH = 32


class FlagType(StrEnum):
    """The type that all variants of a flag have."""

    BOOLEAN = "boolean"
    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    OBJECT = "object"


def value_type(value: object) -> FlagType:
    """The type of one value.

    Raises:
        ValueError: It is null, an array, not finite, too large, or nests too deeply.
    """
    if isinstance(value, bool):
        return FlagType.BOOLEAN
    if isinstance(value, int):
        _check_integers(value)
        return FlagType.INTEGER
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number must be finite")
        return FlagType.NUMBER
    if not isinstance(value, str | dict):
        raise ValueError("a value is a boolean, a string, an integer, a number or an object")
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        raise ValueError("a string must be valid Unicode") from None
    except (ValueError, RecursionError):
        raise ValueError("every number inside an object must be finite, and it may not nest deeply") from None
    if size > MAX_VALUE_BYTES:
        raise ValueError(f"a value may take {MAX_VALUE_BYTES:,} bytes as JSON")
    if depth(value) > MAX_VALUE_DEPTH:
        raise ValueError(f"a value may not nest deeper than {MAX_VALUE_DEPTH} levels")
    _check_integers(value)
    return FlagType.STRING if isinstance(value, str) else FlagType.OBJECT


def _check_integers(value: object) -> None:
    """Refuse an integer, here or inside an object, that some language would read as another one."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            _check_integers(each)
    elif isinstance(value, int) and abs(value) >= 1 << 53:
        raise ValueError("an integer must lie within ±2^53, so that every language reads it exactly")


def common_type(values: Iterable[object]) -> FlagType:
    """The type of a flag with these values; integers beside numbers are numbers.

    Raises:
        ValueError: The values have not one type.
    """
    types = {value_type(value) for value in values}
    if types == {FlagType.INTEGER, FlagType.NUMBER}:
        return FlagType.NUMBER
    if len(types) != 1:
        raise ValueError(f"all values of a flag have one type; these have {', '.join(sorted(types))}")
    return types.pop()


def exact_values(values: Mapping[str, Any], flag_type: FlagType) -> dict[str, Any]:
    """The values such that a number is never written as an integer."""
    if flag_type is not FlagType.NUMBER:
        return dict(values)
    return {variant: float(value) for variant, value in values.items()}


def value_of_type(value: object, flag_type: FlagType) -> Any:
    """A value in exactly a flag's type; an integer of a number flag becomes a float.

    Raises:
        ValueError: It is of another type, or no value that a flag can have.
    """
    found = value_type(value)
    if found is FlagType.INTEGER and flag_type is FlagType.NUMBER:
        return float(value)  # type: ignore[arg-type] # the line above says that it is an integer
    if found is not flag_type:
        raise ValueError(f"the flag's type is {flag_type}; this value is of type {found}")
    return value
