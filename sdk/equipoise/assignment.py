"""What a unit gets, and why."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Assignment", "Reason"]


class Reason(StrEnum):
    """Why an assignment is what it is; the words are those of OpenFeature's remote protocol (OFREP)."""

    SPLIT = "SPLIT"
    """Randomised into an arm of a running experiment."""
    DISABLED = "DISABLED"
    """The flag's experiment is not running (draft, paused or stopped): the flag's default variant."""
    DEFAULT = "DEFAULT"
    """No rule enrols the unit (it is outside the experiment's traffic): the flag's default variant."""
    ERROR = "ERROR"
    """No such flag, no usable unit, or no configuration yet: the caller's default."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a unit gets: a pure function of configuration and unit. It is not an exposure.

    Attributes:
        flag: the key of the flag that was asked for.
        experiment: the experiment that randomised the unit; None unless the reason is `SPLIT`.
        variant: the variant's key; None when the reason is `ERROR`.
        value: the variant's value in the flag's type; the caller's default when the reason is `ERROR`.
        reason: why.
        revision: the experiment's revision; None unless the reason is `SPLIT`.
    """

    flag: str
    experiment: str | None
    variant: str | None
    value: Any
    reason: Reason
    revision: int | None
