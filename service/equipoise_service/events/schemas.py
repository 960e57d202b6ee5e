"""What goes over the wire about exposures and events: one definition decodes it and documents it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_UNIT_LENGTH = 512
MAX_NAME_LENGTH = 200
MAX_PROPERTIES_BYTES = 8192
MAX_PROPERTIES_DEPTH = 32
MAX_DROP_REASONS = 32
MAX_UNITS = 8
_KEY_LENGTH = 128

Id = Annotated[
    str,
    Meta(
        min_length=36,
        max_length=36,
        description="A UUID that you make, best of version 7. The same id again changes nothing.",
        extra_json_schema={"format": "uuid"},
    ),
]
Time = Annotated[datetime, Meta(tz=True, description="When it happened: RFC 3339 with an offset or `Z`.")]
Unit = Annotated[
    str, Meta(min_length=1, max_length=MAX_UNIT_LENGTH, description="The unit's id, taken as given.")
]
UnitType = Annotated[
    str,
    Meta(min_length=1, max_length=_KEY_LENGTH, description="What kind of unit it is, such as `user`."),
]
Units = Annotated[
    dict[UnitType, Unit],
    Meta(
        min_length=1,
        max_length=MAX_UNITS,
        description="Several units that took part, by unit type, such as the user and the user's account.",
    ),
]
Key = Annotated[str, Meta(min_length=1, max_length=_KEY_LENGTH)]
Revision = Annotated[
    int,
    Meta(ge=1, le=2**31 - 1, description="Revision that assigned the unit; the present one when absent."),
]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_LENGTH, description="What happened.")]
Value = Annotated[float, Meta(description="A finite number, such as an amount.")]
# Decoded one by one, after its size is known: what small text can grow to in memory is never held for all.
Properties = Annotated[
    msgspec.Raw,
    Meta(
        description=f"Anything else: an object of at most {MAX_PROPERTIES_BYTES:,} bytes as compact JSON.",
        extra_json_schema={"type": ["object", "null"]},
    ),
]

DropReason = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-z_]+$")]
DropCount = Annotated[int, Meta(ge=0, le=2**63 - 1)]
UUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


class ExposureIn(msgspec.Struct, gc=False):
    """A unit met its variant at the decision point.

    Attributes:
        id: Identifies the exposure.
        time: When.
        experiment: Key of the experiment.
        variant: Key of the variant that the unit met.
        unit: The unit's id; empty when `units` has it.
        unit_type: The experiment's unit type.
        units: Units by unit type, that of the experiment among them.
        revision: The experiment's revision that assigned the unit.
    """

    id: Id
    time: Time
    experiment: Key
    variant: Key
    unit: Unit = ""
    unit_type: UnitType = "user"
    units: Units | None = None
    revision: Revision | None = None


class EventIn(msgspec.Struct, gc=False):
    """Something that a unit did.

    Attributes:
        id: Identifies the event.
        time: When.
        name: What happened.
        unit: The unit's id; empty when only `units` has any.
        unit_type: What kind of unit it is.
        units: Further units that it belongs to, by unit type.
        value: A number that belongs to it.
        properties: Anything else, as JSON.
    """

    id: Id
    time: Time
    name: Name
    unit: Unit = ""
    unit_type: UnitType = "user"
    units: Units | None = None
    value: Value | None = None
    properties: Properties | UnsetType = UNSET


class DroppedIn(msgspec.Struct):
    """What a sender has given up since it began, so that readouts can show it.

    Attributes:
        client: Identifies the sender for as long as it counts.
        counts: How many exposures and events it gave up, by reason: totals, not what was added.
    """

    client: Annotated[
        Id, Meta(pattern=UUID_PATTERN, description="A UUID that the sender makes when it starts to count.")
    ]
    counts: Annotated[
        dict[DropReason, DropCount], Meta(max_length=MAX_DROP_REASONS, description="Totals by reason.")
    ]


class BatchIn(msgspec.Struct):
    """A batch of exposures and events.

    Attributes:
        exposures: Exposures, in any order.
        events: Events, in any order.
        sent_at: When the batch was sent, by the sender's clock.
        dropped: What the sender has given up since it began.
    """

    exposures: list[ExposureIn] = []
    events: list[EventIn] = []
    sent_at: Time | None = None
    dropped: DroppedIn | None = None


class RawBatchIn(msgspec.Struct):
    """A batch whose items are not decoded yet, so that each can be judged by itself."""

    exposures: list[msgspec.Raw] = []
    events: list[msgspec.Raw] = []
    sent_at: Time | None = None
    dropped: DroppedIn | None = None


class ExposureLine(ExposureIn, tag_field="kind", tag="exposure", gc=False):
    """An exposure as a line of newline-delimited JSON."""


class EventLine(EventIn, tag_field="kind", tag="event", gc=False):
    """An event as a line of newline-delimited JSON."""


class BatchLine(msgspec.Struct, tag_field="kind", tag="batch"):
    """What newline-delimited JSON may begin with: what a batch says beside its items.

    Attributes:
        sent_at: When the batch was sent, by the sender's clock.
        dropped: What the sender has given up since it began.
    """

    sent_at: Time | None = None
    dropped: DroppedIn | None = None


Line = ExposureLine | EventLine | BatchLine


class ItemOut(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of one item.

    Attributes:
        id: The item's id, as given; null when it had none that could be read.
        status: `accepted`: it is on disk. `duplicate`: an item of this id was on disk already.
            `refused`: it was not stored, and sending it again unchanged is no use.
        pointer: JSON pointer to what was refused.
        reason: Why it was refused.
    """

    id: str | None
    status: Literal["accepted", "duplicate", "refused"]
    pointer: str | None = None
    reason: str | None = None


class BatchOut(msgspec.Struct):
    """What became of a batch.

    Attributes:
        accepted: How many items were stored now.
        duplicate: How many had been stored before.
        refused: How many were refused.
        exposures: What became of each exposure, in the order of the batch.
        events: What became of each event, in the order of the batch.
    """

    accepted: int
    duplicate: int
    refused: int
    exposures: list[ItemOut]
    events: list[ItemOut]


class LinesOut(msgspec.Struct):
    """What became of a batch of newline-delimited JSON.

    Attributes:
        accepted: How many items were stored now.
        duplicate: How many had been stored before.
        refused: How many were refused.
        items: What became of each item, in the order of their lines.
    """

    accepted: int
    duplicate: int
    refused: int
    items: list[ItemOut]
