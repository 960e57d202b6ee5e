"""Rows of a file become exposures and events, with ids that are the same every time.

The id of an item is a UUID of version 8 (RFC 9562, section 5.8), made so that importing a file again changes
nothing:

=========  ===================================================================================
bits       what
=========  ===================================================================================
0 to 15    SHA-256 of the unit and the time of the file's first row: different files lie apart
16 to 47   number of the row, the first is 1, modulo 2^32: neighbouring rows have neighbouring
           ids, which lets the event store look for duplicates in a small part of itself
48 to 51   version: 8
52 to 63   the first 12 bits of the SHA-256 of the item
64, 65     variant: binary 10
66 to 127  62 further bits of that SHA-256
=========  ===================================================================================

The SHA-256 of an item covers the row's number and everything that is sent: kind, unit type, unit, time, and
experiment, variant and revision, or name and value. It does not cover where the file lies or what it is
called, nor, for an event, the experiment whose exposures are imported beside it. So rows that are appended to
a file leave the ids of the others alone, and the same events imported beside the exposures of a second
experiment are the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from equipoise_service.cli.importing.mapping import Mapping

ABSENT: Final = 0
HAPPENED: Final = 1
UNREADABLE: Final = 2
"""What the cell of an event says."""

_VARIANT_DIGIT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of a file, column by column.

    Attributes:
        first: Number of the first of them; the file's first row is 1.
        units: Unit ids as the file has them; None where there is none.
        variants: Variants as the file has them; absent when rows are no exposures.
        times: RFC 3339 in UTC with microseconds; None where there is none that can be read.
        states: For each event of the mapping: `ABSENT`, `HAPPENED` or `UNREADABLE`.
        values: For each event of the mapping: its values; absent for events without.
    """

    first: int
    units: Sequence[str | None]
    variants: Sequence[str | None] | None
    times: Sequence[str | None]
    states: Sequence[Sequence[int]]
    values: Sequence[Sequence[float | None] | None]

    def __len__(self) -> int:
        return len(self.units)


class Exposure(msgspec.Struct, omit_defaults=True, gc=False):
    """An exposure as it is sent."""

    id: str
    time: str
    unit_type: str
    unit: str
    experiment: str
    variant: str
    revision: int | None = None


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """An event as it is sent."""

    id: str
    time: str
    unit_type: str
    unit: str
    name: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something of a row that was not imported.

    Attributes:
        row: Number of the row.
        item: `row`, `exposure`, or `event NAME`.
        reason: Why.
    """

    row: int
    item: str
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What some consecutive rows make.

    Attributes:
        last_row: Number of the last of the rows.
        exposures: With the number of the row that each came from.
        events: With the number of the row that each came from.
        refusals: What makes no item.
    """

    last_row: int
    exposures: list[tuple[int, Exposure]] = field(default_factory=list)
    events: list[tuple[int, Event]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.exposures) + len(self.events)


def file_prefix(unit: str | None, time: str | None) -> str:
    """The first 16 bits of a file's ids, in hexadecimal.

    Args:
        unit: Unit of the file's first row.
        time: Its time.
    """
    return hashlib.sha256(msgspec.json.encode((unit, time))).hexdigest()[:4]


def item_id(prefix: str, row: int, item: Exposure | Event) -> str:
    """The id of an item; the module says what it is made of.

    Args:
        prefix: From `file_prefix`.
        row: Number of its row.
        item: The item, with an empty id.
    """
    # Tuples of different length and kind cannot have the same JSON.
    content = msgspec.json.encode((row, type(item).__name__, msgspec.structs.astuple(item)))
    digest = hashlib.sha256(content).hexdigest()
    low = row & 0xFFFFFFFF
    return (
        f"{prefix}{low >> 16:04x}-{low & 0xFFFF:04x}-8{digest[:3]}-"
        f"{_VARIANT_DIGIT[digest[3]]}{digest[4:7]}-{digest[7:19]}"
    )


def batch_of(rows: Rows, mapping: Mapping, prefix: str) -> Batch:
    """Make the exposures and events of some rows.

    Args:
        rows: Read with the same mapping.
        mapping: Which columns make what.
        prefix: From `file_prefix`.
    """
    batch = Batch(last_row=rows.first + len(rows) - 1)
    for index, row, unit, time in _usable(rows, batch.refusals):
        if mapping.experiment is not None and rows.variants is not None:
            variant = rows.variants[index]
            if variant:
                exposure = Exposure(
                    "", time, mapping.unit_type, unit, mapping.experiment, variant, mapping.revision
                )
                exposure.id = item_id(prefix, row, exposure)
                batch.exposures.append((row, exposure))
            else:
                batch.refusals.append(Refusal(row, "exposure", "the variant is empty"))
        for event, states, values in zip(mapping.events, rows.states, rows.values, strict=True):
            state = states[index]
            if state == HAPPENED:
                value = None if values is None else values[index]
                made = Event("", time, mapping.unit_type, unit, event.name, value)
                made.id = item_id(prefix, row, made)
                batch.events.append((row, made))
            elif state == UNREADABLE:
                wanted = "a finite number" if event.has_value else "true, false or a finite number"
                reason = f"column {event.column!r} holds neither {wanted} nor nothing"
                batch.refusals.append(Refusal(row, f"event {event.name}", reason))
    return batch


def _usable(rows: Rows, refusals: list[Refusal]) -> Iterator[tuple[int, int, str, str]]:
    """Index, number, unit and time of the rows that have them."""
    pairs = zip(rows.units, rows.times, strict=True)
    for index, (unit, time) in enumerate(pairs):
        row = rows.first + index
        if not unit:
            refusals.append(Refusal(row, "row", "the unit is empty"))
        elif time is None:
            refusals.append(Refusal(row, "row", "the time is empty or not a time"))
        else:
            yield index, row, unit, time
