"""How numbers and times are written for people."""

import math
from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"

_MOST_LOST = 1 / 50
"""Of the distance between two values, by rounding one of them."""

_FIRST_DIGITS = 3


def percent(value: float, *, decimals: int = 2, signed: bool = False) -> str:
    """A fraction in percent.

    Example:
        >>> percent(0.0123, decimals=1), percent(-0.5, decimals=0), percent(0.5, signed=True)
        ('1.2 %', '−50 %', '+50.00 %')
    """
    return f"{number(100 * value, decimals=decimals, signed=signed)} %"


def to_the_minute(time: str) -> str:
    """A time of a readout.

    Example:
        >>> to_the_minute("2026-03-08T12:30:59.25Z")
        '2026-03-08 12:30 UTC'
    """
    return f"{time[:10]} {time[11:16]} UTC"


def number(value: float, *, decimals: int, signed: bool = False) -> str:
    """A number with a fixed count of decimals (negative: rounded to tens, hundreds, …) and a true minus.

    Example:
        >>> number(-1234.567, decimals=1), number(0.0001, decimals=2, signed=True), number(12345, decimals=-3)
        ('−1,234.6', '0.00', '12,000')
    """
    if abs(value) >= 1e15 or (value and decimals > 9):
        return f"{value:{'+' if signed else ''}.3g}".replace("-", MINUS)
    text = f"{round(value, decimals):{'+' if signed else ''},.{max(0, decimals)}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def decimals_for(values: Sequence[float], *, digits: int = 2) -> int:
    """Decimals that show the widest distance between values with some digits, and none that is not 0 as 0.

    Rounding moves nothing by more than a fiftieth of that distance, and no whole number in its first three
    digits.

    Example:
        >>> decimals_for([-3.15, 0.77]), decimals_for([0.0004, 2.5]), decimals_for([0.0, 0.0])
        (1, 4, 2)
        >>> decimals_for([-90.0, 12.0]), decimals_for([-250.0, 900.0]), decimals_for([0.0, 1_300_000.0])
        (0, 0, -4)
    """
    largest = max(map(abs, values))
    spread = max(values) - min(values) or largest
    if spread == 0 or not math.isfinite(spread):
        return 2
    decimals = digits - 1 - math.floor(math.log10(spread))
    # What is rounded to a unit moves by up to half of it.
    decimals = max(decimals, -math.floor(math.log10(2 * spread * _MOST_LOST)))
    decimals = max(decimals, min(0, _FIRST_DIGITS - 1 - math.floor(math.log10(largest))))
    smallest = min((abs(value) for value in values if value), default=spread)
    # A bound that is shown as 0 would hide on which side of 0 it lies.
    return max(decimals, -math.floor(math.log10(smallest)) if smallest < 10.0**-decimals else decimals)


def p_value(value: float) -> str:
    """A p-value.

    Example:
        >>> p_value(0.22797), p_value(0.001556), p_value(1e-9)
        ('0.228', '0.00156', '< 0.0001')
    """
    return "< 0.0001" if value < 0.0001 else f"{value:#.3g}"
