"""Dates and times of conditions, as seconds since 1970-01-01T00:00:00Z."""

from datetime import date, datetime
from typing import Final

SECONDS_A_DAY: Final = 86_400
EPOCH: Final = date(1970, 1, 1).toordinal()
FRACTION_DIGITS: Final = 9


def parse(value: object) -> float | None:
    """Return the moment in seconds since the epoch, or None where `value` does not name one.

    Args:
        value: an RFC 3339 date and time with its zone (`2026-11-22T08:30:00.5+01:00`; `t`, `z` and a space
            for the `T` are its variants), a date (`2026-11-22`: midnight UTC), an aware `datetime`, or a
            `date`. A time without a zone names no moment.

    The leap second `:60` is the first second of the next minute, as in POSIX time. Digits of a fraction after
    the ninth are ignored.

    >>> parse("2026-11-22"), parse("2026-11-22T01:00:00+01:00"), parse("2026-11-22T01:00:00")
    (1795305600.0, 1795305600.0, None)
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, datetime):
        return None if value.utcoffset() is None else value.timestamp()
    return float(_days(value) * SECONDS_A_DAY) if isinstance(value, date) else None


def _text(text: str) -> float | None:
    if not text.isascii() or text[4:5] != "-" or text[7:8] != "-":
        return None
    try:
        day = date(_number(text[:4], 4), _number(text[5:7], 2), _number(text[8:10], 2))
        midnight = _days(day) * SECONDS_A_DAY
        return float(midnight) if len(text) == 10 else _moment(midnight, text[10:])
    except ValueError:  # not written as a date, or no such day
        return None


def _moment(midnight: int, time: str) -> float:
    """Add a time with its zone, such as `T08:30:00.5+01:00`, to the day's midnight."""
    if time[0] not in "Tt " or time[3:4] != ":" or time[6:7] != ":":
        raise ValueError
    clock, zone = (time[:-1], 0) if time[-1] in "Zz" else (time[:-6], _zone(time[-6:]))
    hours, minutes, seconds = (
        _number(clock[1:3], 2, 23),
        _number(clock[4:6], 2, 59),
        _number(clock[7:9], 2, 60),
    )
    whole = midnight + hours * 3600 + minutes * 60 + seconds - zone
    if len(clock) == 9:
        return float(whole)
    digits = clock[10:]
    if clock[9] != "." or not digits.isdigit():
        raise ValueError
    digits = digits[:FRACTION_DIGITS]
    unit: int = 10 ** len(digits)
    return (whole * unit + int(digits)) / unit  # rounded once, so that it equals a datetime's


def _zone(text: str) -> int:
    """Return how many seconds `+01:00` is ahead of UTC."""
    if text[0] not in "+-" or text[3:4] != ":":
        raise ValueError
    ahead = _number(text[1:3], 2, 23) * 3600 + _number(text[4:], 2, 59) * 60
    return ahead if text[0] == "+" else -ahead


def _number(text: str, digits: int, highest: int = 9999) -> int:
    if len(text) != digits or not text.isdigit() or int(text) > highest:
        raise ValueError
    return int(text)


def _days(day: date) -> int:
    return day.toordinal() - EPOCH
