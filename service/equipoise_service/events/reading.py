"""From the body of a request, a batch of JSON, to what can be stored and what is refused.

The usual body holds nothing wrong, and is decoded and judged as a whole. Only when that fails is each item
decoded and judged by itself: a bad item costs its own batch some time, and no good item its place.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from equipoise_service.errors import InvalidPayload
from equipoise_service.events.batches import Batch, Rejected
from equipoise_service.events.clocks import correction
from equipoise_service.events.judging import Judged
from equipoise_service.events.rules import Terms
from equipoise_service.events.schemas import BatchIn, DroppedIn, ExposureIn, RawBatchIn
from equipoise_service.events.units import spread
from equipoise_service.http import payloads

_batch = msgspec.json.Decoder(BatchIn)
_raw_batch = msgspec.json.Decoder(RawBatchIn)

# An escaped backslash, a whole surrogate pair, or (the group) half of one.
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a body, and how much it may hold.

    Attributes:
        place: "project/environment" that the items belong to.
        key: Public id of the API key.
        max_items: Most items that a batch may have.
    """

    place: str
    key: str
    max_items: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a body holds. A position is that in the item's list or, with `lines`, the number of its line.

    Attributes:
        batch: What can be stored.
        lines: Whether the body is newline-delimited.
        exposure_positions: The position of each exposure that can be stored.
        event_positions: The position of each event that can be stored, whatever units it names.
        refused_exposures: The exposures that cannot be stored, by their position.
        refused_events: The events that cannot be stored, by their position.
        refused_lines: The lines that are neither, by their position.
    """

    batch: Batch
    lines: bool
    exposure_positions: Sequence[int]
    event_positions: Sequence[int]
    refused_exposures: Mapping[int, Rejected]
    refused_events: Mapping[int, Rejected]
    refused_lines: Mapping[int, Rejected]


def read_whole(body: bytes, sender: Sender, terms: Terms) -> Reading | None:
    """Decode and judge a batch as a whole.

    Returns:
        The reading, or nothing when something in the body is wrong: `read_each` says what.

    Raises:
        InvalidPayload: It has too many items.
    """
    try:
        batch = _batch.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    check_count(len(batch.exposures) + len(batch.events), sender.max_items)
    judged = Judged(terms, correction(batch.sent_at, terms.received_at))
    positions = range(len(batch.exposures)), range(len(batch.events))
    if not judged.take_all(batch.exposures, batch.events, *positions):
        return None
    return reading(judged, len(body), sender, batch.dropped, lines=False)


def read_each(body: bytes, sender: Sender, terms: Terms) -> Reading:
    """Decode and judge each item of a batch by itself.

    Raises:
        BadRequest: The body is not JSON.
        InvalidPayload: It is not a batch, or has too many items.
    """
    raw = payloads.decode(_raw_batch, without_halves(body))
    check_count(len(raw.exposures) + len(raw.events), sender.max_items)
    judged = Judged(terms, correction(raw.sent_at, terms.received_at))
    for position, item in enumerate(raw.exposures):
        judged.take_exposure(item, position, f"/exposures/{position}")
    for position, item in enumerate(raw.events):
        judged.take_event(item, position, f"/events/{position}")
    return reading(judged, len(body), sender, raw.dropped, lines=False)


def reading(judged: Judged, size: int, sender: Sender, dropped: DroppedIn | None, *, lines: bool) -> Reading:
    """What a body of some size holds, all of which was judged."""
    assumed = _complete(judged.exposures, judged.terms)
    events, properties, heads = spread(judged.events, judged.properties)
    rejections = judged.rejections()
    exposure_pointers: Sequence[str] = ()
    event_pointers: Sequence[str] = ()
    if rejections or lines or heads:
        of_exposures, of_events = ("/", "/") if lines else ("/exposures/", "/events/")
        exposure_pointers = [f"{of_exposures}{position}" for position in judged.exposure_positions]
        event_pointers = [f"{of_events}{position}" for position in judged.event_positions]
        if heads:
            numbers = {head: number for number, head in enumerate(sorted(set(heads)))}
            event_pointers = [event_pointers[numbers[head]] for head in heads]
    batch = Batch(
        sender.place,
        judged.exposures,
        events,
        properties,
        size,
        dropped,
        sender.key,
        rejections,
        heads,
        exposure_pointers,
        event_pointers,
        assumed,
        bytes(judged.exposure_ids),
        # Not where one item became several rows.
        b"" if heads else bytes(judged.event_ids),
    )
    return Reading(
        batch,
        lines,
        judged.exposure_positions,
        judged.event_positions,
        judged.refused_exposures,
        judged.refused_events,
        judged.refused_lines,
    )


def check_count(count: int, limit: int) -> None:
    """Hold a batch's number of items against the limit.

    Raises:
        InvalidPayload: It has too many.
    """
    if count > limit:
        raise InvalidPayload(
            f"The batch has {count:,} items; the limit is {limit:,}. Send smaller batches.",
            errors=[{"pointer": "", "message": f"at most {limit:,} exposures and events together"}],
            limit_items=limit,
        )


def without_halves(text: bytes) -> bytes:
    """JSON with NUL in place of each half of a surrogate pair, which a decoder does not take.

    JSON's grammar allows them, Unicode does not. The rules refuse NUL, so they cost only their item.
    """
    return _SURROGATES.sub(lambda found: rb"\u0000" if found["half"] else found[0], text)


def _complete(exposures: Sequence[ExposureIn], terms: Terms) -> frozenset[int]:
    """Give exposures without a revision the present one, and say which they are, by their positions."""
    without = [position for position, each in enumerate(exposures) if each.revision is None]
    for position in without:
        each = exposures[position]
        each.revision = terms.configuration.experiments[each.experiment].revision
    return frozenset(without)
