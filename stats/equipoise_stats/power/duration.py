"""How long an experiment takes: whole weeks, because behaviour follows the week."""

import math
from dataclasses import dataclass

from equipoise_stats.results import Serialisable

_DAYS = 7
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Duration(Serialisable):
    """How long an experiment takes.

    Attributes:
        weeks: Whole weeks of enrolment.
        days: Days from the start until the last unit's window is complete.
        units: Units enrolled by then, both arms together.
    """

    weeks: int
    days: int
    units: float


def planned_duration(
    units: float, *, daily_units: float, share: float = 1.0, window_days: int = 0
) -> Duration:
    """The weeks that a size takes.

    Args:
        units: Units of both arms that are needed (`SampleSize.units`).
        daily_units: New eligible units a day, on average over a week. Units that come back are not new, so
            take new ones of an experiment of that length, not visitors a day.
        share: Share of the eligible units that is enrolled into these two arms.
        window_days: Days that a unit's metric needs after its first exposure.

    Returns:
        The duration: whole weeks of enrolment, then the window.

    Raises:
        ValueError: An argument is out of range.

    Example:
        >>> planned_duration(12_560, daily_units=1_500, share=0.5, window_days=7)
        Duration(weeks=3, days=28, units=15750.0)
    """
    for name, value in (("units", units), ("daily_units", daily_units)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value!r}; it must be a positive number.")
    if not 0 < share <= 1:
        raise ValueError(f"share is {share!r}; it must lie in (0, 1].")
    if window_days < 0:
        raise ValueError(f"window_days is {window_days!r}; it must be 0 or more.")
    weekly = daily_units * share * _DAYS
    weeks = math.ceil(units / weekly * (1 - _ROUNDING))
    return Duration(weeks, weeks * _DAYS + window_days, weeks * weekly)
