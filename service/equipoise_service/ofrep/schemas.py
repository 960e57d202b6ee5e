"""What OFREP answers with. The names are the protocol's."""

from typing import Annotated, Any, Literal

import msgspec

from equipoise_service.http.payloads import REF_TEMPLATE

# msgspec describes no union of types that carry no tag.
_EITHER = [{"$ref": REF_TEMPLATE.format(name=name)} for name in ("EvaluationOut", "FailureOut")]


class EvaluationOut(msgspec.Struct):
    """What one flag gives to a unit.

    Attributes:
        key: Key of the flag.
        value: The value, in the flag's type: a number is never written as an integer.
        variant: Key of the variant.
        reason: SPLIT, TARGETING_MATCH, STATIC, DISABLED or DEFAULT.
        metadata: `flagSetId` (project and environment), `version` of the configuration, `inExperiment`; and
            where an experiment placed the unit, what an exposure of it says: `experiment` and `revision`.
    """

    key: str
    value: Any
    variant: str | None
    reason: str
    metadata: dict[str, str | int | bool]


class Endpoint(msgspec.Struct):
    """Where a stream is, on the host that the client asked.

    Attributes:
        requestUri: Path and query.
    """

    requestUri: str  # noqa: N815


class EventStream(msgspec.Struct):
    """A stream that tells of changes.

    Attributes:
        type: What it is: server-sent events.
        endpoint: Where it is. It opens without a header, for one to two hours; keep it out of logs.
    """

    type: Literal["sse"]
    endpoint: Endpoint


class BulkOut(msgspec.Struct):
    """What all flags give to a unit.

    Attributes:
        flags: One evaluation or failure a flag.
        metadata: `flagSetId` and `version`.
        eventStreams: Where to hear of changes.
    """

    flags: Annotated[list[Any], msgspec.Meta(extra_json_schema={"items": {"anyOf": _EITHER}})]
    metadata: dict[str, str | int]
    eventStreams: list[EventStream]  # noqa: N815
