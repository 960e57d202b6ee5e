"""How unit ids are stored: as they come, or as keyed hashes that only the key's holder can make."""

import hmac
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from equipoise_service.privacy.texts import MOST_CHARACTERS

_HASHED = "h_"
_DIGITS = 40

_any = msgspec.json.Decoder(dict[str, Any])


def keyed_hash(key: bytes, text: str) -> str:
    """The first 160 bits of HMAC-SHA-256 (RFC 2104, FIPS 180-4), in hexadecimal.

    Example:
        >>> keyed_hash(b"key", "The quick brown fox jumps over the lazy dog")
        'f7bc83f430538424b13298e6aa6fb143ef4d59a1'
    """
    return hmac.digest(key, text.encode(), "sha256").hex()[:_DIGITS]


def unit_as_stored(unit: str, key: str) -> str:
    """What the event store holds in place of a unit's id.

    Args:
        unit: The id, as it was sent.
        key: `EQUIPOISE_UNIT_KEY`; empty where ids are stored as they come.
    """
    return _HASHED + keyed_hash(key.encode(), unit) if key else unit


def item_as_stored(item: str, key: str) -> str:
    """The text of a refused item without unit ids: hashed where they are found, else nothing at all."""
    if not key:
        return item
    try:
        members = _any.decode(item)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        # Cut, or no object at all: nobody can say which part of it is an id.
        return ""
    if "unit" in members:
        members["unit"] = _hashed(members["unit"], key)
    if "units" in members:
        units = members["units"]
        named = isinstance(units, dict)
        members["units"] = {kind: _hashed(unit, key) for kind, unit in units.items()} if named else None
    return json.dumps(members, ensure_ascii=False)[:MOST_CHARACTERS]


def left_out_as_stored(units: Sequence[str], key: str) -> tuple[str, ...]:
    """Units that an analysis leaves out, as the store and as sources with ids of their own name them."""
    if not key:
        return tuple(units)
    return tuple(sorted({*units, *(unit_as_stored(unit, key) for unit in units)}))


def _hashed(unit: object, key: str) -> str | None:
    return unit_as_stored(unit, key) if isinstance(unit, str) else None
