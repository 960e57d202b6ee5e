"""From a request's body to what can be stored and what is refused.

The usual body holds nothing wrong, and is decoded and judged as a whole. Only when that fails is each item
decoded and judged by itself: a bad item costs its own batch some time, and no good item its place.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from equipoise_service.errors import BadRequest, InvalidPayload
from equipoise_service.events.batches import Batch
from equipoise_service.events.rules import (
    TOO_DEEP,
    Refusal,
    Terms,
    events_refusal,
    exposures_refusal,
    properties_text,
)
from equipoise_service.events.schemas import BatchIn, EventIn, ExposureIn, RawBatchIn
from equipoise_service.http import payloads

_batch = msgspec.json.Decoder(BatchIn)
_raw_batch = msgspec.json.Decoder(RawBatchIn)
_exposure = msgspec.json.Decoder(ExposureIn)
_event = msgspec.json.Decoder(EventIn)
_any = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)

# An escaped backslash, a whole surrogate pair, or (the group) half of one.
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)

Item = TypeVar("Item", ExposureIn, EventIn)


@dataclass(frozen=True, slots=True)
class Refused:
    """One item that is not stored.

    Attributes:
        id: Its id, when it had one that could be read.
        pointer: JSON pointer to what is wrong, from the body.
        reason: What is wrong there.
    """

    id: str | None
    pointer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body holds.

    Attributes:
        batch: What can be stored.
        refused_exposures: The exposures that cannot, by their position in the body.
        refused_events: The events that cannot, by their position in the body.
    """

    batch: Batch
    refused_exposures: Mapping[int, Refused]
    refused_events: Mapping[int, Refused]


def read_whole(body: bytes, place: str, terms: Terms, max_items: int) -> Reading | None:
    """Decode and judge a body as a whole.

    Args:
        body: JSON.
        place: "project/environment" that the items belong to.
        terms: What they are judged by.
        max_items: Most items that a batch may have.

    Returns:
        The reading, or nothing when something in the body is wrong: `read_each` says what.
    """
    try:
        batch = _batch.decode(body)
        properties = properties_text(batch.events)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    _check_count(len(batch.exposures) + len(batch.events), max_items)
    if exposures_refusal(batch.exposures, terms) or events_refusal(batch.events, properties, terms):
        return None
    _complete(batch.exposures, terms)
    return Reading(Batch(place, batch.exposures, batch.events, properties, len(body), batch.dropped), {}, {})


def read_each(body: bytes, place: str, terms: Terms, max_items: int) -> Reading:
    """Decode and judge each item of a body by itself; the arguments are those of `read_whole`.

    Raises:
        BadRequest: The body is not JSON in UTF-8.
        InvalidPayload: It is not a batch, or has too many items.
    """
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not UTF-8: byte {error.start} is wrong.") from None
    # JSON's grammar allows half of a surrogate pair, Unicode does not. The rules refuse NUL in its place.
    body = _SURROGATES.sub(lambda found: rb"\u0000" if found["half"] else found[0], body)
    raw = payloads.decode(_raw_batch, body)
    _check_count(len(raw.exposures) + len(raw.events), max_items)
    exposures, refused_exposures = _judge_exposures(raw.exposures, terms)
    events, properties, refused_events = _judge_events(raw.events, terms)
    _complete(exposures, terms)
    return Reading(
        Batch(place, exposures, events, properties, len(body), raw.dropped), refused_exposures, refused_events
    )


def _judge_exposures(
    raws: Sequence[msgspec.Raw], terms: Terms
) -> tuple[list[ExposureIn], dict[int, Refused]]:
    good: list[ExposureIn] = []
    refused: dict[int, Refused] = {}
    for position, raw in enumerate(raws):
        item = _decode_item(_exposure, raw)
        found = item if isinstance(item, Refusal) else exposures_refusal([item], terms) or item
        if isinstance(found, Refusal):
            refused[position] = _refused(raw, f"/exposures/{position}", found)
        else:
            good.append(found)
    return good, refused


def _judge_events(
    raws: Sequence[msgspec.Raw], terms: Terms
) -> tuple[list[EventIn], list[str | None], dict[int, Refused]]:
    good: list[EventIn] = []
    properties: list[str | None] = []
    refused: dict[int, Refused] = {}
    for position, raw in enumerate(raws):
        found = _judge_event(raw, terms)
        if isinstance(found, Refusal):
            refused[position] = _refused(raw, f"/events/{position}", found)
        else:
            good.append(found[0])
            properties.append(found[1])
    return good, properties, refused


def _judge_event(raw: msgspec.Raw, terms: Terms) -> tuple[EventIn, str | None] | Refusal:
    item = _decode_item(_event, raw)
    if isinstance(item, Refusal):
        return item
    try:
        properties = properties_text([item])
    except RecursionError:
        return TOO_DEEP
    return events_refusal([item], properties, terms) or (item, properties[0])


def _decode_item(decoder: msgspec.json.Decoder[Item], raw: msgspec.Raw) -> Item | Refusal:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        return Refusal(*payloads.place_and_message(error))


def _refused(raw: msgspec.Raw, pointer: str, refusal: Refusal) -> Refused:
    return Refused(_readable_id(raw), pointer + refusal.field, refusal.reason)


def _readable_id(raw: msgspec.Raw) -> str | None:
    """The id to answer with: a text of a UUID's length at most, so that an answer stays small."""
    try:
        found = _text.decode(_any.decode(raw)["id"])
    except (msgspec.ValidationError, KeyError):
        return None
    return found if len(found) <= 36 else None


def _complete(exposures: Sequence[ExposureIn], terms: Terms) -> None:
    """Give exposures without a revision the present one."""
    for each in exposures:
        if each.revision is None:
            each.revision = terms.configuration.experiments[each.experiment].revision


def _check_count(count: int, limit: int) -> None:
    if count > limit:
        raise InvalidPayload(
            f"The batch has {count:,} items; the limit is {limit:,}. Send smaller batches.",
            errors=[{"pointer": "", "message": f"at most {limit:,} exposures and events together"}],
            limit_items=limit,
        )
