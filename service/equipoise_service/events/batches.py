"""What goes into the event store, and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from equipoise_service.events.schemas import DroppedIn, EventIn, ExposureIn
from equipoise_service.privacy.texts import MOST_CHARACTERS

Kind = Literal["exposure", "event", "line"]
"""What an item was meant to be; a line that names neither kind is just a line."""

CONFLICT = "An item of this id is stored already, with other content. Give every item an id of its own."
MOST_ITEM_CHARACTERS = MOST_CHARACTERS


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that is not stored, kept so that whoever sent it can find out.

    Attributes:
        kind: What it was meant to be.
        id: Its id, when it had one that could be read.
        pointer: JSON pointer to what is wrong, from the body.
        reason: What is wrong there.
        item: The item as JSON, cut to `MOST_ITEM_CHARACTERS`.
    """

    kind: Kind
    id: str | None
    pointer: str
    reason: str
    item: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that passed every rule and wait for their commit.

    Attributes:
        place: "project/environment" that they belong to.
        exposures: Exposures, each with its revision.
        events: Events, one for each unit type that the item names: those of one item stand together and have
            the same id.
        properties: The properties of each event as JSON, in the same order.
        body_bytes: Size of the body that they came in: a measure of the memory that they hold.
        dropped: What the sender says that it gave up.
        key: Public id of the API key that sent them; empty when there is none.
        rejected: The items of the same body that did not pass.
        event_heads: For each event, the position of the first one of its item; empty when every item is one.
        exposure_pointers: For each exposure, the JSON pointer to its item in the body; empty when it is
            `/exposures/` and its position.
        event_pointers: For each event, the JSON pointer to its item in the body; empty when it is `/events/`
            and its position.
        assumed_revisions: Positions of the exposures that did not say their revision and got the present one.
            Sent again after a restart of the experiment they would get another one, and are the same still.
        exposure_ids: Sixteen bytes for the id of each exposure; empty when nobody has made them yet.
        event_ids: Sixteen bytes for the id of each event; empty when nobody has made them yet.
    """

    place: str
    exposures: Sequence[ExposureIn]
    events: Sequence[EventIn]
    properties: Sequence[str | None]
    body_bytes: int
    dropped: DroppedIn | None = None
    key: str = ""
    rejected: Sequence[Rejected] = ()
    event_heads: Sequence[int] = ()
    exposure_pointers: Sequence[str] = ()
    event_pointers: Sequence[str] = ()
    assumed_revisions: frozenset[int] = frozenset()
    exposure_ids: bytes = b""
    event_ids: bytes = b""

    def exposure_pointer(self, position: int) -> str:
        """The JSON pointer, in the body, to an exposure's item."""
        return self.exposure_pointers[position] if self.exposure_pointers else f"/exposures/{position}"

    def event_pointer(self, position: int) -> str:
        """The JSON pointer, in the body, to an event's item."""
        return self.event_pointers[position] if self.event_pointers else f"/events/{position}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch, all of which is on disk. Positions are those in the batch.

    Attributes:
        duplicate_exposures: Positions of the exposures that had been stored before.
        duplicate_events: Positions of the events that had been stored before.
        conflicting_exposures: Positions of the exposures whose id is stored with another unit, unit type,
            experiment, variant or revision. They are not stored, but listed as rejected.
        conflicting_events: Positions of the events whose id is stored with another unit, unit type, name,
            value or properties. They are not stored, but listed as rejected.
    """

    duplicate_exposures: frozenset[int] = frozenset()
    duplicate_events: frozenset[int] = frozenset()
    conflicting_exposures: frozenset[int] = frozenset()
    conflicting_events: frozenset[int] = frozenset()
