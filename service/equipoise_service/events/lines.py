"""From the body of a request, newline-delimited JSON, to what can be stored and what is refused.

As with a batch of JSON, the body is judged as a whole first, and line by line when that fails. A line that is
not even JSON costs no other its place.
"""

from collections.abc import Iterator

import msgspec

from equipoise_service.events.clocks import correction
from equipoise_service.events.judging import Judged, decoded
from equipoise_service.events.reading import Reading, Sender, check_count, reading, without_halves
from equipoise_service.events.refusals import Refusal
from equipoise_service.events.rules import Terms
from equipoise_service.events.schemas import BatchLine, DroppedIn, EventLine, ExposureLine, Line
from equipoise_service.http import payloads

MEDIA_TYPE = "application/x-ndjson"


class _Kind(msgspec.Struct):
    kind: str = ""


_line: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
_batch_line = msgspec.json.Decoder(BatchLine)
_kind = msgspec.json.Decoder(_Kind)

_NO_KIND = Refusal("/kind", "must be `exposure` or `event`; `batch` is for the first line only")


def read_whole(body: bytes, sender: Sender, terms: Terms) -> Reading | None:
    """Decode and judge lines as a whole.

    Returns:
        The reading, or nothing when something in the body is wrong: `read_each` says what.

    Raises:
        InvalidPayload: It has too many items.
    """
    _check_lines(body, sender.max_items)
    try:
        lines = _line.decode_lines(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    first = lines[0] if lines else None
    head = first if isinstance(first, BatchLine) else BatchLine()
    exposures = [number for number, line in enumerate(lines) if isinstance(line, ExposureLine)]
    events = [number for number, line in enumerate(lines) if isinstance(line, EventLine)]
    check_count(len(exposures) + len(events), sender.max_items)
    # With empty lines, a line's number is not its place among the others; another batch line is refused.
    if len(exposures) + len(events) + (first is head) != body.count(b"\n") + (body[-1:] not in b"\n"):
        return None
    judged = Judged(terms, correction(head.sent_at, terms.received_at))
    found = [lines[number] for number in exposures], [lines[number] for number in events]
    if not judged.take_all(*found, exposures, events):  # type: ignore[arg-type] # mypy keeps the union
        return None
    return reading(judged, len(body), sender, head.dropped, lines=True)


def read_each(body: bytes, sender: Sender, terms: Terms) -> Reading:
    """Decode and judge each line by itself.

    Raises:
        InvalidPayload: The batch line is unreadable, or there are too many lines.
    """
    _check_lines(body, sender.max_items)
    judged = Judged(terms, None)
    dropped: DroppedIn | None = None
    count = 0
    first = True
    for number, line in _numbered(body):
        kind = decoded(_kind, line)
        name = kind.kind if isinstance(kind, _Kind) else ""
        if name == "batch" and first:
            head = payloads.decode(_batch_line, line)
            judged.correction, dropped = correction(head.sent_at, terms.received_at), head.dropped
            count -= 1
        elif name == "exposure":
            judged.take_exposure(line, number, f"/{number}")
        elif name == "event":
            judged.take_event(line, number, f"/{number}")
        else:
            judged.refuse_line(line, number, f"/{number}", kind if isinstance(kind, Refusal) else _NO_KIND)
        first = False
        count += 1
    check_count(count, sender.max_items)
    return reading(judged, len(body), sender, dropped, lines=True)


def _numbered(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Each line that is not empty, and its number; never all of them at once."""
    start = number = 0
    while start < len(body):
        end = body.find(b"\n", start)
        line = body[start : end if end >= 0 else len(body)].strip()
        if line:
            yield number, without_halves(line)
        if end < 0:
            return
        start, number = end + 1, number + 1


def _check_lines(body: bytes, max_items: int) -> None:
    """Refuse far too many lines before any of them is decoded."""
    # One more for the batch line, and as many empty ones.
    check_count((body.count(b"\n") - 1) // 2, max_items)
