"""What became of the items of a commit: the answers to it, and the rows that tell of it afterwards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import pyarrow as pa

from equipoise_service.events.batches import CONFLICT, MOST_ITEM_CHARACTERS, Batch, Kind, Receipt, Rejected
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.events.stores.columns import CONTENT, Offer, Positions

_NOTHING: frozenset[int] = frozenset()

# place, key, kind, id, pointer, reason, item: the table `rejected` but for `received_at`.
RejectedRow = tuple[str, str, str, str | None, str, str, str]
# place, key, kind, accepted, duplicate, refused: the table `intake` but for `day`.
IntakeRow = tuple[str, str, str, int, int, int]
# place, client, reason, count: the table `dropped` but for its times.
DroppedRow = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Which items of an offer are not stored by this commit.

    Attributes:
        duplicate: Positions in the offer of those that are stored already, ascending.
        conflicting: Positions of those whose id is stored already, with other content, ascending.
    """

    duplicate: Positions
    conflicting: Positions


ALL_NEW = Outcome(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def outcome(offer: Offer, stored: pa.Table) -> Outcome:
    """The outcome of an offer, some items of which are stored already.

    Args:
        offer: What was offered.
        stored: The rows that are stored of those items: columns `head`, the position of the item's first row
            in the offer, and those that `CONTENT` names.
    """
    names = CONTENT[offer.name]
    heads = np.asarray(stored["head"], dtype=np.int64)
    not_new = np.zeros(len(offer.heads), dtype=np.bool_)
    not_new[heads] = True
    positions = np.flatnonzero(not_new[offer.heads])
    offered = offer.columns.select(names).take(pa.array(positions))
    kept, sent = _contents(heads, stored.select(names)), _contents(offer.heads[positions], offered)
    other = np.zeros(len(offer.heads), dtype=np.bool_)
    other[[head for head, rows in sent.items() if _differ(rows, kept[head], head, offer)]] = True
    differs = other[offer.heads[positions]]
    return Outcome(positions[~differs], positions[differs])


def _differ(sent: set[tuple[object, ...]], kept: set[tuple[object, ...]], head: int, offer: Offer) -> bool:
    """Whether an item says something else than what is stored of it."""
    if sent == kept:
        return False
    assumed = head in offer.assumed_revisions
    return {_said(row, offer.name, assumed) for row in sent} != {
        _said(row, offer.name, assumed) for row in kept
    }


def _said(row: tuple[object, ...], table: str, assumed: bool) -> tuple[object, ...]:
    """What a row says, whatever the order of its properties: many senders have none, and encode anew."""
    return tuple(
        msgspec.json.encode(msgspec.json.decode(value), order="sorted")
        if name == "properties" and isinstance(value, str)
        else value
        for name, value in zip(CONTENT[table], row, strict=True)
        if not (assumed and name == "revision")
    )


def _contents(heads: Positions, rows: pa.Table) -> dict[int, set[tuple[object, ...]]]:
    """What each item says, as the set of its rows."""
    found: dict[int, set[tuple[object, ...]]] = {}
    columns = [column.to_pylist() for column in rows.columns]
    for head, *row in zip(heads.tolist(), *columns, strict=True):
        found.setdefault(head, set()).add(tuple(row))
    return found


def receipts(offers: Sequence[Offer], outcomes: Sequence[Outcome]) -> list[Receipt]:
    """The answer to each batch, from the outcomes of the exposures and of the events."""
    (exposures, events), (of_exposures, of_events) = offers, outcomes
    columns = (
        _split(exposures, of_exposures.duplicate),
        _split(events, of_events.duplicate),
        _split(exposures, of_exposures.conflicting),
        _split(events, of_events.conflicting),
    )
    return [Receipt(*each) for each in zip(*columns, strict=True)]


def _split(offer: Offer, positions: Positions) -> list[frozenset[int]]:
    """For each batch, the positions in it."""
    if not len(positions):
        return [_NOTHING] * (len(offer.bounds) - 1)
    cuts = np.searchsorted(positions, offer.bounds)
    return [
        frozenset((positions[first:last] - start).tolist())
        for (first, last), start in zip(pairwise(cuts), offer.bounds, strict=False)
    ]


def rejected_rows(batches: Sequence[Batch], answers: Sequence[Receipt]) -> list[RejectedRow]:
    """What the table `rejected` gets: what did not pass, and what conflicts with what is stored."""
    return [
        (
            batch.place,
            batch.key,
            each.kind,
            None if each.id is None else _storable(each.id),
            _storable(each.pointer),
            _storable(each.reason),
            _storable(each.item),
        )
        for batch, answer in zip(batches, answers, strict=True)
        for each in (*batch.rejected, *_conflicts(batch, answer))
    ]


def _storable(text: str) -> str:
    """What every engine can keep: what was refused may hold NUL or half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _conflicts(batch: Batch, answer: Receipt) -> Iterator[Rejected]:
    if not answer.conflicting_exposures and not answer.conflicting_events:
        return
    for position in sorted(answer.conflicting_exposures):
        yield _conflict("exposure", batch.exposures[position], batch.exposure_pointer(position))
    for position in sorted(answer.conflicting_events):
        if not batch.event_heads or batch.event_heads[position] == position:
            yield _conflict("event", batch.events[position], batch.event_pointer(position))


def _conflict(kind: Kind, item: ExposureIn | EventIn, pointer: str) -> Rejected:
    text = msgspec.json.encode(item).decode()[:MOST_ITEM_CHARACTERS]
    return Rejected(kind, item.id, f"{pointer}/id", CONFLICT, text)


def intake_rows(batches: Sequence[Batch], answers: Sequence[Receipt]) -> list[IntakeRow]:
    """What the counters in the table `intake` grow by, one row for each."""
    totals: dict[tuple[str, str, str], list[int]] = {}
    for batch, answer in zip(batches, answers, strict=True):
        heads = batch.event_heads
        events = len(set(heads)) if heads else len(batch.events)
        duplicates, conflicts = answer.duplicate_exposures, answer.conflicting_exposures
        _count(totals, batch, "exposure", len(batch.exposures), len(duplicates), len(conflicts))
        duplicates, conflicts = answer.duplicate_events, answer.conflicting_events
        _count(totals, batch, "event", events, _items(duplicates, heads), _items(conflicts, heads))
        for each in batch.rejected:
            totals.setdefault((batch.place, batch.key, each.kind), [0, 0, 0])[2] += 1
    return [(*key, counts[0], counts[1], counts[2]) for key, counts in totals.items()]


def _items(rows: frozenset[int], heads: Sequence[int]) -> int:
    """How many items some rows are, each with all of its rows: as many as there are first ones."""
    return sum(heads[row] == row for row in rows) if heads else len(rows)


def _count(
    totals: dict[tuple[str, str, str], list[int]],
    batch: Batch,
    kind: Kind,
    items: int,
    duplicate: int,
    conflicting: int,
) -> None:
    if items:
        row = totals.setdefault((batch.place, batch.key, kind), [0, 0, 0])
        row[0] += items - duplicate - conflicting
        row[1] += duplicate
        row[2] += conflicting


def dropped_rows(batches: Sequence[Batch]) -> list[DroppedRow]:
    """The greatest total that each sender gives for each reason: reports may come twice or late."""
    totals: dict[tuple[str, str, str], int] = {}
    for batch in batches:
        if batch.dropped is not None:
            for reason, count in batch.dropped.counts.items():
                key = (batch.place, batch.dropped.client, reason)
                totals[key] = max(count, totals.get(key, 0))
    return [(*key, count) for key, count in totals.items() if count]
