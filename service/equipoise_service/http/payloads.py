"""JSON payloads of the hot routes: one msgspec definition decodes them and documents them."""

import re
from typing import Any, TypeVar

import msgspec

from equipoise_service.errors import BadRequest, InvalidPayload

T = TypeVar("T")

REF_TEMPLATE = "#/components/schemas/{name}"
_PLACE = re.compile(r" - at `(?P<path>[^`]*)`$")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body.

    Raises:
        BadRequest: It is not JSON, or nests deeper than anything that is read.
        InvalidPayload: It does not validate; the error names the place.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_payload(error) from None
    except RecursionError:
        raise BadRequest(
            "The body nests too deeply, a thousand levels or more. Send less nested values."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body is not JSON: {error}.") from None


def invalid_payload(error: msgspec.ValidationError) -> InvalidPayload:
    """The problem for a payload that msgspec refused."""
    pointer, message = place_and_message(error)
    return InvalidPayload(
        f"The payload does not validate. {pointer or 'body'}: {message}",
        errors=[{"pointer": pointer, "message": message}],
    )


def place_and_message(error: msgspec.ValidationError) -> tuple[str, str]:
    """A JSON pointer to what msgspec refused, and what is wrong there."""
    text = str(error)
    found = _PLACE.search(text)
    if found is None:
        return "", text
    parts = re.findall(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]", found["path"].removeprefix("$"))
    return "".join(f"/{name or index}" for name, index in parts), text[: found.start()]


def request_body(type_: type, example: Any) -> dict[str, Any]:
    """The OpenAPI `requestBody` of a route that decodes its body with msgspec."""
    (schema,), _ = msgspec.json.schema_components([type_], ref_template=REF_TEMPLATE)
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def response(type_: type, description: str, example: Any) -> dict[str, Any]:
    """The OpenAPI response of a route that encodes its answer with msgspec."""
    (schema,), _ = msgspec.json.schema_components([type_], ref_template=REF_TEMPLATE)
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def components(*types: type) -> dict[str, Any]:
    """The OpenAPI schemas of msgspec types, by name."""
    return dict(msgspec.json.schema_components(types, ref_template=REF_TEMPLATE)[1])
