"""Times of senders whose clock is wrong, set right by the time at which they say that they send."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from equipoise_service.events.refusals import Refusal
from equipoise_service.events.schemas import EventIn, ExposureIn

TOLERANCE = timedelta(seconds=60)
"""What a batch takes on its way, and clocks that are right enough."""


def correction(sent_at: datetime | None, received_at: datetime) -> timedelta | None:
    """What to add to the times of a batch's items; nothing when they stay as they are.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
        >>> correction(noon - timedelta(hours=1), noon)
        datetime.timedelta(seconds=3600)
        >>> correction(noon - timedelta(seconds=60), noon)
    """
    if sent_at is None:
        return None
    behind = received_at - sent_at
    return behind if abs(behind) > TOLERANCE else None


def correct(items: Sequence[ExposureIn] | Sequence[EventIn], by: timedelta | None) -> Refusal | None:
    """Move the times of items.

    Returns:
        A refusal when one leaves the calendar; the items are not to be used then.
    """
    if by is None:
        return None
    try:
        for each in items:
            each.time += by
    except OverflowError:
        return Refusal("/time", "lies outside the calendar, corrected by the batch's sent_at")
    return None
