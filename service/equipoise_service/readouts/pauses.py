"""Pauses as a readout needs them: on which days there were some, and how long they took."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple


class Stretch(NamedTuple):
    """A stretch of time.

    Attributes:
        start: When it begins.
        end: When it ends; None while it goes on.
    """

    start: datetime
    end: datetime | None


def is_paused_on(day: date, pauses: Iterable[Stretch]) -> bool:
    """Whether any part of a day (UTC) is in a pause.

    Args:
        day: The day.
        pauses: The pauses.

    Example:
        >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> short = Stretch(noon, noon + timedelta(minutes=1))
        >>> [is_paused_on(date(2026, 3, number), [short]) for number in (1, 2, 3)]
        [False, True, False]
    """
    begin = datetime.combine(day, time(), UTC)
    return is_paused_between(begin, begin + timedelta(days=1), pauses)


def is_paused_between(begin: datetime, end: datetime, pauses: Iterable[Stretch]) -> bool:
    """Whether any part of a stretch of time, the end of which is not of it, is in a pause."""
    return any(each.start < end and (each.end is None or each.end > begin) for each in pauses)


def paused_for(pauses: Sequence[Stretch], until: datetime) -> timedelta:
    """How long a revision was paused until a moment.

    Args:
        pauses: Its pauses, none of which overlap.
        until: The moment.

    Example:
        >>> noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
        >>> hour = timedelta(hours=1)
        >>> str(paused_for([Stretch(noon, noon + hour), Stretch(noon + 2 * hour, None)], noon + 5 * hour))
        '4:00:00'
    """
    lengths = (min(each.end or until, until) - each.start for each in pauses)
    return sum((max(each, timedelta()) for each in lengths), timedelta())
