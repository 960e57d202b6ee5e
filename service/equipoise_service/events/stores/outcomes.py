"""What became of the items of a commit: the answers to it, and the rows that tell of it afterwards."""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from equipoise_service.events.batches import CONFLICT, MOST_ITEM_CHARACTERS, Batch, Kind, Receipt, Rejected
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.events.stores.columns import Offer

Positions = npt.NDArray[np.int64]

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
        duplicate: Positions in the offer of those that are stored already.
        conflicting: Positions of those whose id is stored already, with other content.
    """

    duplicate: Positions
    conflicting: Positions


ALL_NEW = Outcome(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def outcome(positions: npt.ArrayLike, differs: npt.ArrayLike) -> Outcome:
    """The outcome of an offer, of which the items at `positions` are stored already.

    Args:
        positions: Those positions, in any order.
        differs: For each, whether it is stored with other content.
    """
    found, other = np.asarray(positions, dtype=np.int64), np.asarray(differs, dtype=np.bool_)
    return Outcome(np.sort(found[~other]), np.sort(found[other]))


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
        (batch.place, batch.key, *astuple(each))
        for batch, answer in zip(batches, answers, strict=True)
        for each in (*batch.rejected, *_conflicts(batch, answer))
    ]


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
    totals: dict[tuple[str, str, str], tuple[int, int, int]] = {}
    for batch, answer in zip(batches, answers, strict=True):
        refused = [each.kind for each in batch.rejected]
        found: tuple[tuple[Kind, int, frozenset[int], frozenset[int]], ...] = (
            ("exposure", len(batch.exposures), answer.duplicate_exposures, answer.conflicting_exposures),
            ("event", len(batch.events), answer.duplicate_events, answer.conflicting_events),
            ("line", 0, _NOTHING, _NOTHING),
        )
        for kind, items, duplicates, conflicts in found:
            new = items - len(duplicates) - len(conflicts)
            counts = new, len(duplicates), len(conflicts) + refused.count(kind)
            if any(counts):
                before = totals.get((batch.place, batch.key, kind), (0, 0, 0))
                totals[batch.place, batch.key, kind] = (
                    before[0] + counts[0],
                    before[1] + counts[1],
                    before[2] + counts[2],
                )
    return [(*key, *counts) for key, counts in totals.items()]


def dropped_rows(batches: Sequence[Batch]) -> list[DroppedRow]:
    """The greatest total that each sender gives for each reason: reports may come twice or late."""
    totals: dict[tuple[str, str, str], int] = {}
    for batch in batches:
        if batch.dropped is not None:
            for reason, count in batch.dropped.counts.items():
                key = (batch.place, batch.dropped.client, reason)
                totals[key] = max(count, totals.get(key, 0))
    return [(*key, count) for key, count in totals.items() if count]
