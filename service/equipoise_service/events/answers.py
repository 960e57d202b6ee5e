"""What became of a batch, item by item, as it goes over the wire."""

from collections.abc import Mapping, Sequence, Set

import msgspec

from equipoise_service.events.batches import CONFLICT, Receipt, Rejected
from equipoise_service.events.reading import Reading
from equipoise_service.events.schemas import BatchOut, ItemOut, LinesOut

_encode = msgspec.json.Encoder().encode

_BEGIN, _BETWEEN, _END = '[{"id":"', '","status":"accepted"},{"id":"', '","status":"accepted"}]'


def encoded_answer(reading: Reading, receipt: Receipt) -> bytes:
    """The body of the answer to a batch that is on disk."""
    batch = reading.batch
    heads = batch.event_heads
    events = [batch.events[head] for head in sorted(set(heads))] if heads else batch.events
    ids = [each.id for each in batch.exposures], [each.id for each in events]
    if not (receipt.duplicate_exposures or receipt.duplicate_events or batch.rejected) and not (
        receipt.conflicting_exposures or receipt.conflicting_events or reading.lines
    ):
        return _all_accepted(*ids)
    exposures = _stored(
        ids[0], reading.exposure_positions, receipt.duplicate_exposures, receipt.conflicting_exposures
    )
    found = _by_item(receipt.duplicate_events, heads), _by_item(receipt.conflicting_events, heads)
    stored = _stored(ids[1], reading.event_positions, *found)
    if reading.lines:
        of_lines = exposures | stored
        refused = reading.refused_exposures, reading.refused_events, reading.refused_lines
        items = _in_order(of_lines, "/", *refused)
        return _encode(LinesOut(*_counts(items), items))
    of_exposures = _in_order(exposures, "/exposures/", reading.refused_exposures)
    of_events = _in_order(stored, "/events/", reading.refused_events)
    return _encode(BatchOut(*_counts(of_exposures + of_events), of_exposures, of_events))


def _all_accepted(exposures: Sequence[str], events: Sequence[str]) -> bytes:
    """The usual answer, without an object for each item: ids are hexadecimal digits and hyphens."""
    lists = [f"{_BEGIN}{_BETWEEN.join(ids)}{_END}" if ids else "[]" for ids in (exposures, events)]
    head = f'{{"accepted":{len(exposures) + len(events)},"duplicate":0,"refused":0,'
    return f'{head}"exposures":{lists[0]},"events":{lists[1]}}}'.encode()


def _by_item(rows: frozenset[int], heads: Sequence[int]) -> Set[int]:
    """The numbers of the items that some rows belong to."""
    if not heads:
        return rows
    numbers = {head: number for number, head in enumerate(sorted(set(heads)))}
    return {numbers[heads[row]] for row in rows}


def _stored(
    ids: Sequence[str], positions: Sequence[int], duplicates: Set[int], conflicts: Set[int]
) -> dict[int, ItemOut]:
    """What became of the items that passed every rule, by their position."""
    return {
        position: ItemOut(id, "refused", "/id", CONFLICT)
        if number in conflicts
        else ItemOut(id, "duplicate" if number in duplicates else "accepted")
        for number, (position, id) in enumerate(zip(positions, ids, strict=True))
    }


def _in_order(stored: Mapping[int, ItemOut], pointer: str, *refused: Mapping[int, Rejected]) -> list[ItemOut]:
    """All items of a list, in the order of the body, with pointers from the body."""
    items = dict(stored)
    for position, item in stored.items():
        if item.status == "refused":
            item.pointer = f"{pointer}{position}{item.pointer}"
    for some in refused:
        for position, each in some.items():
            items[position] = ItemOut(each.id, "refused", each.pointer, each.reason)
    return [items[position] for position in sorted(items)]


def _counts(items: Sequence[ItemOut]) -> tuple[int, int, int]:
    statuses = [each.status for each in items]
    return statuses.count("accepted"), statuses.count("duplicate"), statuses.count("refused")
