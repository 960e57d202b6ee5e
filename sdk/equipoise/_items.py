"""Exposures and events as they go over the wire: checked and encoded where they are logged.

Encoding at once means that what the caller changes later changes nothing, and that a fault is found where
it was made, not in the background.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from time import gmtime, strftime, time_ns
from typing import Any, Final, Literal, NamedTuple

from equipoise.identifiers import uuid7

Kind = Literal["exposures", "events"]

MAX_ITEM_BYTES: Final = 64 * 1024
"""The largest encoded exposure or event that is sent."""


_quote: Final = json.encoder.encode_basestring
_this_second: tuple[int, str] = (0, "1970-01-01T00:00:00")


class Item(NamedTuple):
    """One encoded exposure or event."""

    kind: Kind
    id: str
    body: bytes


class InvalidItemError(ValueError):
    """An exposure or event that cannot be sent; the message says why.

    Attributes:
        reason: what it is counted as.
    """

    reason: Literal["invalid", "too_large"] = "invalid"


class ItemTooLargeError(InvalidItemError):
    """An exposure or event of more than `MAX_ITEM_BYTES`."""

    reason = "too_large"


def timestamp(moment: datetime) -> str:
    """Return an aware datetime as RFC 3339 in UTC, with microseconds and `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def exposure(
    unit_type: str, unit: str, experiment: str, variant: str, revision: int, nanoseconds: int
) -> Item:
    """Encode an exposure that happened at a time, in nanoseconds since 1970.

    Raises:
        InvalidItemError: the unit is not usable text.
    """
    # Written out, as there may be many: a third of the time of `json.dumps`.
    identifier = uuid7()
    text = (
        f'{{"id":"{identifier}","time":"{_at(nanoseconds)}","unit_type":{_quote(unit_type)},"unit":{_quote(unit)},'
        f'"experiment":{_quote(experiment)},"variant":{_quote(variant)},"revision":{revision}}}'
    )
    return _item("exposures", identifier, text)


def event(
    name: str,
    unit: str,
    value: float | None,
    properties: Mapping[str, Any] | None,
    unit_type: str,
    time: datetime | None,
) -> Item:
    """Encode an event.

    Raises:
        InvalidItemError: a part of it is unusable.
    """
    members: dict[str, Any] = {
        "time": _at(time_ns()) if time is None else _moment(time),
        "unit_type": _text("unit_type", unit_type),
        "unit": _text("unit", unit),
        "name": _text("name", name),
    }
    if value is not None:
        members["value"] = _number(value)
    if properties is not None:
        if not isinstance(properties, Mapping):
            raise InvalidItemError(f"properties: expected a mapping, got {type(properties).__name__}")
        members["properties"] = dict(properties)
    return _encode("events", members)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidItemError(f"{name}: expected a non-empty string, got {type(value).__name__}")
    return value


def _moment(value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidItemError("time: expected a datetime with a time zone, such as datetime.now(UTC)")
    try:
        return timestamp(value)
    except (OverflowError, ValueError) as error:
        raise InvalidItemError(f"time: {error}") from error


def _number(value: Any) -> float:
    # Through __float__, so that Decimal and numpy's scalars do and text does not.
    if not hasattr(value, "__float__"):
        raise InvalidItemError(f"value: expected a number, got {type(value).__name__}")
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidItemError(f"value: {error}") from error
    if not math.isfinite(number):
        raise InvalidItemError(f"value: expected a finite number, got {number}")
    return number


def _encode(kind: Kind, members: dict[str, Any]) -> Item:
    identifier = uuid7()
    try:
        text = json.dumps(
            {"id": identifier, **members}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidItemError(f"not JSON: {error}") from error
    return _item(kind, identifier, text)


def _item(kind: Kind, identifier: str, text: str) -> Item:
    try:
        body = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidItemError("a text holds a lone surrogate and has no UTF-8 form") from error
    if len(body) > MAX_ITEM_BYTES:
        raise ItemTooLargeError(f"{len(body)} bytes, at most {MAX_ITEM_BYTES} can be sent")
    return Item(kind, identifier, body)


def _at(nanoseconds: int) -> str:
    """Return a time as `timestamp` does; the text of the second is made once a second."""
    global _this_second
    second, nanoseconds = divmod(nanoseconds, 1_000_000_000)
    known, text = _this_second
    if known != second:
        text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        _this_second = (second, text)
    return f"{text}.{nanoseconds // 1000:06d}Z"
