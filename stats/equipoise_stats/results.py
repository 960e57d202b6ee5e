"""What every result of this package shares: statuses, notices, and the way to JSON."""

import dataclasses
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Whether a question about an effect has an answer, and if not, why."""

    OK = "ok"
    TOO_FEW_UNITS = "too_few_units"
    NO_VARIANCE = "no_variance"
    CONTROL_NOT_POSITIVE = "control_not_positive"
    TREATMENT_NOT_POSITIVE = "treatment_not_positive"
    DENOMINATOR_NOT_POSITIVE = "denominator_not_positive"
    TIED = "tied"
    UNBOUNDED = "unbounded"
    EMPTY = "empty"
    NO_EVENTS = "no_events"
    OUT_OF_REACH = "out_of_reach"
    TOO_FEW_STUDIES = "too_few_studies"
    NOT_SELECTED = "not_selected"


class CheckStatus(StrEnum):
    """The outcome of a quality check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


class Serialisable:
    """Gives a frozen dataclass `to_dict()`."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON types: dictionaries, lists, strings, booleans, finite numbers and None.

        An infinite number (the open end of a one-sided interval, the degrees of freedom of a normal
        reference distribution) becomes None.

        Raises:
            ValueError: A field is NaN, which no result may hold.
            TypeError: A field holds something that JSON does not know.
        """
        return {name: to_json(getattr(self, name), name) for name in _field_names(type(self))}


@dataclasses.dataclass(frozen=True, slots=True)
class Notice(Serialisable):
    """A warning that travels with an estimate or a result.

    Attributes:
        code: Stable identifier, in snake case.
        message: A sentence for who calls this package.
        details: The names and values of what the message names, for sentences of others.
    """

    code: str
    message: str
    details: tuple[tuple[str, str | float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The notice as JSON types, its details as an object."""
        return {
            "code": self.code,
            "message": self.message,
            "details": to_json(dict(self.details), "details"),
        }


def to_json(value: object, where: str = "value") -> Any:
    """Turns a value of a result into JSON types; see `Serialisable.to_dict`.

    Args:
        value: The value.
        where: Its name, for the error message.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if math.isnan(value):
            raise ValueError(f"{where} is NaN; a result must carry a status and a reason instead.")
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Serialisable):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): to_json(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"{where} is a {type(value).__name__}, which has no form in JSON.")


_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def _field_names(cls: type) -> tuple[str, ...]:
    names = _FIELD_NAMES.get(cls)
    if names is None:
        names = tuple(field.name for field in dataclasses.fields(cls))
        _FIELD_NAMES[cls] = names
    return names
