"""What is deleted from the event store, whatever engine keeps it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import md5
from typing import Literal

FACTS = ("exposures", "events")
"""The tables whose rows name a unit."""

AgingTable = Literal["exposures", "events", "rejected"]


@dataclass(frozen=True, slots=True)
class StoredUnit:
    """A unit as its rows name it.

    Attributes:
        places: "project/environment" of each place where it is looked for.
        unit_type: Its unit type.
        unit: Its id, as it is stored.
    """

    places: Sequence[str]
    unit_type: str
    unit: str

    @property
    def unit_hash(self) -> int:
        """What the column `unit_hash` of its rows holds."""
        return int.from_bytes(md5(self.unit.encode(), usedforsecurity=False).digest()[:4], "big") >> 1


@dataclass(frozen=True, slots=True)
class Old:
    """Rows of a table that lie before a moment. A place that is not named keeps everything.

    Attributes:
        table: The table.
        before: For each place, naive UTC: older rows are meant. The age of a refused item is that of its
            receipt, since it may have no time of its own; that of a fact is that of its `time`.
        kept: For each place, the experiments whose exposures are not meant, whatever their age.
    """

    table: AgingTable
    before: Mapping[str, datetime]
    kept: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def column(self) -> str:
        """The column that says how old a row is."""
        return "received_at" if self.table == "rejected" else "time"

    def kept_in(self, place: str) -> list[str]:
        """The experiments of a place whose exposures stay."""
        return list(self.kept.get(place, ())) if self.table == "exposures" else []
