"""The properties of events: decoded one after the other, checked, written as compact JSON."""

from typing import Any

import msgspec

from equipoise_service.events.refusals import Refusal
from equipoise_service.events.schemas import MAX_PROPERTIES_BYTES, MAX_PROPERTIES_DEPTH
from equipoise_service.nesting import depth

# Text that is compact JSON of the permitted size may be this many times longer as it comes: each character
# escaped, white space between. Anything longer is not even decoded, because it may grow in memory.
_MOST_BYTES = 8 * MAX_PROPERTIES_BYTES
_NUL_ESCAPE = "\\u0000"
_HALVES = "must not hold a NUL character or half of a surrogate pair"

_TOO_LARGE = Refusal("/properties", f"must be at most {MAX_PROPERTIES_BYTES:,} bytes as compact JSON")
_TOO_DEEP = Refusal("/properties", f"must not nest deeper than {MAX_PROPERTIES_DEPTH} levels")

_decode = msgspec.json.Decoder(dict[str, Any] | None).decode
_encode = msgspec.json.Encoder().encode


def properties_text(raw: msgspec.Raw | msgspec.UnsetType) -> str | Refusal | None:
    """The properties of an event as compact JSON, nothing when it has none, or why they are refused.

    Args:
        raw: As they came.
    """
    if isinstance(raw, msgspec.UnsetType):
        return None
    content = memoryview(raw)
    if len(content) > _MOST_BYTES:
        return _TOO_LARGE
    try:
        value = _decode(content)
        text = None if value is None else _encode(value).decode()
    except msgspec.ValidationError as error:
        return Refusal("/properties", str(error))
    except UnicodeDecodeError:
        return Refusal("/properties", "is not UTF-8")
    except msgspec.DecodeError as error:
        return Refusal("/properties", f"is not JSON: {error}")
    except RecursionError:
        return _TOO_DEEP
    return text if text is None else _refusal(value, text) or text


def _refusal(value: object, text: str) -> Refusal | None:
    if len(text) * 4 > MAX_PROPERTIES_BYTES and len(text.encode()) > MAX_PROPERTIES_BYTES:
        return _TOO_LARGE
    # Both texts say 'perhaps', cheaply; the walk over the values decides. The depth comes first, because the
    # other walk needs stack.
    if text.count("{") + text.count("[") > MAX_PROPERTIES_DEPTH and depth(value) > MAX_PROPERTIES_DEPTH:
        return _TOO_DEEP
    if _NUL_ESCAPE in text and _holds_nul(value):
        return Refusal("/properties", _HALVES)
    return None


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _holds_nul(each) for name, each in value.items())
    return isinstance(value, list) and any(_holds_nul(each) for each in value)
