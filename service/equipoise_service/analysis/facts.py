"""The events of exposed units, and which of them count for what."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.conditions import fits
from equipoise_service.analysis.event_codes import code_of_name, have_names
from equipoise_service.analysis.properties import KINDS, read_property
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import naive
from equipoise_service.analysis.value_columns import Ingredient


@dataclass(frozen=True, slots=True)
class Facts:
    """Events of units that met one variant, from the earliest that counts for anything.

    Attributes:
        table: Columns unit, variant, first_time, segments, time, code, value, and what `read` says of them.
        begin: From how many hours after the first exposure on they are here.
        until: Up to when what has no window counts, exclusively; None without end.
        codes: For the name of events the number that they have as `code`: compared once, then carried.
        read: For each set of filtered events, by `Ingredient.events`, the column that says which are of it.
    """

    table: ir.Table
    begin: int
    until: datetime | None
    codes: dict[str, int]
    read: dict[tuple[str, ...], str]

    def counted(self, asked: Ingredient, table: ir.Table | None = None) -> ir.BooleanValue:
        """Whether an event counts for something.

        Args:
            asked: What is made of it.
            table: The table, when columns were added since.
        """
        table = self.table if table is None else table
        found = self.named(asked, table)
        if asked.start > self.begin:
            found &= table.time >= from_exposure(table, asked.start)
        if asked.end is not None:
            found &= table.time < from_exposure(table, asked.end)
        elif self.until is not None:
            found &= table.time < naive(self.until)
        return found

    def named(self, asked: Ingredient, table: ir.Table) -> ir.BooleanValue:
        """Whether an event is of those that something is made of, whenever it was."""
        return table[self.read[asked.events]] if asked.filters else table.code == self.codes[asked.name]


def distinct_columns(name: str) -> list[str]:
    """The columns with a property of the events, one for each type that it may have."""
    return [f"{kind}_of_{name}" for kind in KINDS]


def facts_of(units: ir.Table, events: ir.Table, request: StoreRequest, asked: Sequence[Ingredient]) -> Facts:
    """The events of units.

    Args:
        units: Columns unit, first, last, first_time, and the segments'.
        events: Columns place, unit_type, unit, name, value, properties, time.
        request: Where they are.
        asked: What is made of them, at least one.
    """
    begin = min(0, *(each.start for each in asked))
    codes = {name: code for code, name in enumerate(sorted({each.name for each in asked}))}
    wanted = events.filter(
        events.place == request.place, events.unit_type == request.unit_type, have_names(events, list(codes))
    )
    # Properties are read before the join, which then carries a few bits instead of texts.
    filtered = {each.events: each for each in asked if each.filters}
    read = {events: f"fits{i}" for i, events in enumerate(filtered)}
    columns: dict[str, ir.Value] = {"code": code_of_name(wanted, list(codes))}
    columns |= {read[key]: fits(wanted, each.name, each.filters) for key, each in filtered.items()}
    for name in dict.fromkeys(each.distinct for each in asked if each.distinct is not None):
        given = read_property(wanted, name)
        columns |= dict(zip(distinct_columns(name), (given.text, given.number, given.truth), strict=True))
    wanted = wanted.select("unit", "time", "value", **columns)
    segments = segment_columns(request)
    stayed = stayed_units(units, request)
    met = wanted.join(
        stayed, [wanted.unit == stayed.unit, wanted.time >= from_exposure(stayed, begin)]
    ).select("unit", "variant", "first_time", *segments, "time", "value", *columns)
    return Facts(met, begin, request.until, codes, read)


def stayed_units(units: ir.Table, request: StoreRequest) -> ir.Table:
    """Columns unit, first_time, variant and the segments': the units that met one variant.

    Args:
        units: Columns unit, first, last, first_time, and the segments'.
        request: Its segments.
    """
    stayed = units.filter(units["first"] == units["last"])
    return stayed.select("unit", "first_time", *segment_columns(request), variant=stayed["first"])


def segment_columns(request: StoreRequest) -> list[str]:
    """The columns of units with the values of the request's segments."""
    return [f"s{i}" for i in range(len(request.segments))]


def from_exposure(table: ir.Table, hours: int) -> ir.TimestampValue:
    """The moment so many hours after the first exposure, or before it."""
    if not hours:
        return table.first_time
    distance = ibis.interval(hours=abs(hours))
    return table.first_time + distance if hours > 0 else table.first_time - distance
