"""What goes into the event store, and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass

from equipoise_service.events.schemas import DroppedIn, EventIn, ExposureIn


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that passed every rule and wait for their commit.

    Attributes:
        place: "project/environment" that they belong to.
        exposures: Exposures, each with its revision.
        events: Events.
        properties: The properties of each event as JSON, in the same order.
        body_bytes: Size of the body that they came in: a measure of the memory that they hold.
        dropped: What the sender says that it gave up.
    """

    place: str
    exposures: Sequence[ExposureIn]
    events: Sequence[EventIn]
    properties: Sequence[str | None]
    body_bytes: int
    dropped: DroppedIn | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch, all of which is on disk.

    Attributes:
        duplicate_exposures: Positions of the exposures that had been stored before.
        duplicate_events: Positions of the events that had been stored before.
    """

    duplicate_exposures: frozenset[int]
    duplicate_events: frozenset[int]
