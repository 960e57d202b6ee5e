"""Check conditions with the SDK's own reader, so that what is stored is what every client can read."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlmodel import Session

from equipoise.configuration import SCHEMA, Configuration, load
from equipoise.errors import ConfigurationError
from equipoise_service.errors import InvalidPayload
from equipoise_service.segments.publication import segment_stubs

_FLAG = "checked"
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def check_audience(session: Session, project_id: int, audience: Mapping[str, Any], pointer: str) -> None:
    """Check an audience: well formed, within the limits, and its segments exist.

    Args:
        session: The transaction.
        project_id: Whose segments it may refer to.
        audience: The condition.
        pointer: Where the payload has it, as a JSON pointer.

    Raises:
        InvalidPayload: It is not; the error names the place.
    """
    check_audiences(segment_stubs(session, project_id), {pointer: audience})


def check_audiences(segments: Mapping[str, Any], audiences: Mapping[str, Mapping[str, Any]]) -> None:
    """Check several audiences, by their JSON pointers; see `check_audience`.

    Args:
        segments: All segments that they may refer to, as the configuration document has them.
        audiences: The conditions, each by where the payload has it.

    Raises:
        InvalidPayload: One of them is not right; the error names the place.
    """
    rules = [{"audience": audience, "variant": "on"} for audience in audiences.values()]
    flag = {"type": "boolean", "variants": {"on": True}, "default": "on", "rules": rules}
    places = {f"flags.{_FLAG}.rules[{index}].audience": pointer for index, pointer in enumerate(audiences)}
    checked = load_fragment({"segments": segments, "flags": {_FLAG: flag}}, places)
    for rule, (pointer, audience) in zip(checked.flags[_FLAG].rules, audiences.items(), strict=True):
        check_known(rule.audience, audience, pointer)


def check_known(read: Mapping[str, Any] | None, given: Mapping[str, Any], pointer: str) -> None:
    """Refuse members that a reader ignores: a misspelt one would change whom the condition means.

    Raises:
        InvalidPayload: The condition as it was read is not the one that was given.
    """
    if read != given:
        raise invalid(pointer, "the condition has a member that no condition of its kind has")


def load_fragment(
    members: Mapping[str, Any], places: Mapping[str, str], elsewhere: str = ""
) -> Configuration:
    """Read a part of a configuration document as every client would.

    Args:
        members: `flags` and what they refer to.
        places: JSON pointers into the payload, by the beginning of the reader's place.
        elsewhere: What to blame for what is wrong in no such place.

    Raises:
        InvalidPayload: It cannot be read; the error names the place.
    """
    document = {
        "schema": SCHEMA,
        "project": "-",
        "environment": "-",
        "version": 0,
        "experiments": {},
        **members,
    }
    try:
        return load(msgspec.json.encode(document))
    except ConfigurationError as error:
        for place, pointer in places.items():
            rest = error.place.removeprefix(place)
            if error.place.startswith(place) and rest[:1] in ("", ".", "["):
                inner = "".join(f"/{name or index}" for name, index in _PART.findall(rest))
                raise invalid(pointer + inner, error.problem) from None
        raise invalid(elsewhere, str(error)) from None
    except (OverflowError, UnicodeEncodeError):
        message = "every number must be one that 64 bits hold, and every string valid Unicode"
        raise invalid(elsewhere, message) from None


def invalid(pointer: str, message: str) -> InvalidPayload:
    """The error for one place of a payload."""
    return InvalidPayload(
        f"The payload does not validate. {pointer or 'body'}: {message}",
        errors=[{"pointer": pointer, "message": message}],
    )
