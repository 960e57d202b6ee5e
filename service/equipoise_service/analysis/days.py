"""The rows of arms, a row a day on which their units were first exposed (UTC).

Counts and moments of all units are the sums of those of the days: a day costs a row more, and no pass more.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import DayStatistics, read_arms
from equipoise_service.metrics.measures import Measure

Row = Mapping[str, Any]

MOST_DAYS = 120
"""So many days are looked at one by one at most."""

_NAMES = ("variant", "segment", "segment_value", "day", "as_of")


def days_together(first: date, last: date, most: int = MOST_DAYS) -> int:
    """How many calendar days are taken together, a power of two, so that there are not too many.

    Days with the same `toordinal() // number` are together, so what is taken together for one number stays
    together for each larger one.

    Args:
        first: The first day.
        last: The last one.
        most: So many are shown at most.

    Example:
        >>> first = date(2026, 1, 1)
        >>> days_together(first, date(2026, 4, 30)), days_together(first, date(2026, 5, 1))
        (1, 2)
    """
    number = 1
    while last.toordinal() // number - first.toordinal() // number >= most:
        number *= 2
    return number


def over_days(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Adds up the rows of each arm, in the order in which the arms come.

    Args:
        rows: What `arms.arm_statistics` gives, with or without days.
    """
    parts: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        key = (row["variant"], row.get("segment", 0), row.get("segment_value", ""))
        parts.setdefault(key, []).append(row)
    return [_sum(part) for part in parts.values()]


def read_days(rows: Iterable[Row], measures: Sequence[Measure]) -> list[DayStatistics]:
    """Reads the days from the rows of all units that `arms.arm_statistics` gives, the first one first.

    Args:
        rows: The rows; those of segments, of crossovers and without a day are passed over.
        measures: What is measured.
    """
    days: dict[date, list[Row]] = {}
    for row in rows:
        if row.get("day") is not None and not row.get("segment", 0) and row["variant"] is not None:
            days.setdefault(_date(row["day"]), []).append(row)
    return [DayStatistics(day, read_arms(days[day], measures)[0]) for day in sorted(days)]


def read_early(rows: Iterable[Row], request: StoreRequest) -> int | None:
    """Reads how many units were exposed before the revision began; None where that was not asked.

    Args:
        rows: What `over_days` gives.
        request: Says when the revision began.
    """
    if request.since is None:
        return None
    return sum(int(row["early"] or 0) for row in rows if not row.get("segment", 0))


def _sum(rows: Sequence[Row]) -> dict[str, Any]:
    if len(rows) == 1:
        return dict(rows[0])
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _of_all(name, [row.get(name) for row in rows]) for name in names}


def _of_all(name: str, values: Sequence[Any]) -> Any:
    if name in _NAMES:
        return values[0]
    there = [value for value in values if value is not None]
    if name.endswith("_centre"):
        # The same on all days of an arm, and 0 or absent where a day has no unit with facts.
        return next((value for value in there if value), 0.0)
    if name.endswith("_cut"):
        return max(there, default=None)
    return sum(there) if there else None


def _date(day: date | datetime) -> date:
    return day.date() if isinstance(day, datetime) else day
