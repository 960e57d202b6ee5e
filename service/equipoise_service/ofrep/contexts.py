"""The evaluation context of a request: who is evaluated, and what is known of them."""

from typing import Any, NamedTuple

import msgspec

from equipoise_service.errors import BadRequest
from equipoise_service.evaluation.attributes import Attributes, find_excess
from equipoise_service.ofrep.failures import Refused

MAX_UNIT_LENGTH = 512


class ContextIn(msgspec.Struct):
    """What both evaluations are asked with. Further members are ignored.

    Attributes:
        context: Attributes by name. `targetingKey` is the unit id; a condition of an audience sees scalars
            and lists of scalars. Names and strings have at most 4,096 characters, lists at most 1,000
            elements.
    """

    context: Attributes = {}


class Context(NamedTuple):
    """A context that can be evaluated.

    Attributes:
        unit: The unit id.
        attributes: The other members.
    """

    unit: str
    attributes: dict[str, Any]


_decode = msgspec.json.Decoder(ContextIn).decode


def read_context(body: bytes) -> Context:
    """Read a request's body.

    Raises:
        BadRequest: It is not JSON.
        Refused: It has no context, not one of a unit, or one that is too large.
    """
    try:
        attributes = _decode(body).context
    except msgspec.ValidationError as error:
        raise Refused("INVALID_CONTEXT", f"The body holds the object 'context': {error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None
    unit = attributes.pop("targetingKey", None)
    if unit is None or unit == "":
        raise Refused(
            "TARGETING_KEY_MISSING", "Set the context's targetingKey: the id of the unit to evaluate for."
        )
    # NUL is refused because it cannot be stored: such a unit could be evaluated and never be counted.
    if not isinstance(unit, str) or len(unit) > MAX_UNIT_LENGTH or "\x00" in unit:
        raise Refused(
            "INVALID_CONTEXT",
            f"The context's targetingKey is a string of 1 to {MAX_UNIT_LENGTH} characters without NUL.",
        )
    excess = find_excess(attributes)
    if excess is not None:
        place = f"context{excess.pointer:.200}"
        raise Refused("INVALID_CONTEXT", f"The context is too large. {place}: {excess.message}.")
    return Context(unit, attributes)
