"""What a unit gets, and why."""

from enum import StrEnum
from typing import Any, Final, Generic, NoReturn, TypeVar

__all__ = ["Assignment", "Reason"]

ValueT_co = TypeVar("ValueT_co", covariant=True)


class Reason(StrEnum):
    """Why an assignment is what it is; the words are those of OpenFeature's remote protocol (OFREP)."""

    SPLIT = "SPLIT"
    """Randomised: into an arm of a running experiment, or into a percentage rollout."""
    TARGETING_MATCH = "TARGETING_MATCH"
    """A rule with an audience that the unit belongs to, or an experiment's override for this very unit."""
    STATIC = "STATIC"
    """The same for everyone: a rule without an audience serves one variant, or the flag has no rules."""
    DISABLED = "DISABLED"
    """The flag is off, or none of its experiments is running: the flag's default variant."""
    DEFAULT = "DEFAULT"
    """No rule matches the unit, or a prerequisite is not met: the flag's default variant."""
    ERROR = "ERROR"
    """No such flag, no usable unit, or no configuration yet: the caller's default."""


class Assignment(Generic[ValueT_co]):
    """What a unit gets: a pure function of configuration, unit and attributes. It is not an exposure.

    Immutable, and equal to any other with equal members.

    Attributes:
        flag: the key of the flag that was asked for.
        experiment: the experiment that randomised the unit; None where none did.
        variant: the variant's key; None when the reason is `ERROR`.
        value: the variant's value in the flag's type; the caller's default when the reason is `ERROR`.
        reason: why.
        revision: the experiment's revision; None where `experiment` is.
    """

    # Written out because importing `dataclasses` takes a third of the time of importing the whole SDK.
    __slots__ = ("experiment", "flag", "reason", "revision", "value", "variant")
    __match_args__ = ("flag", "experiment", "variant", "value", "reason", "revision")

    flag: str
    experiment: str | None
    variant: str | None
    value: ValueT_co
    reason: Reason
    revision: int | None

    def __init__(
        self,
        flag: str,
        experiment: str | None,
        variant: str | None,
        value: ValueT_co,
        reason: Reason,
        revision: int | None,
    ) -> None:
        _set_flag(self, flag)
        _set_experiment(self, experiment)
        _set_variant(self, variant)
        _set_value(self, value)
        _set_reason(self, reason)
        _set_revision(self, revision)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"an Assignment cannot be changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an Assignment cannot be changed: {name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Assignment):
            return NotImplemented
        return _members(self) == _members(other)

    def __hash__(self) -> int:
        return hash(_members(self))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"Assignment({shown})"

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return Assignment, _members(self)


def _members(assignment: Assignment[Any]) -> tuple[Any, ...]:
    return (
        assignment.flag,
        assignment.experiment,
        assignment.variant,
        assignment.value,
        assignment.reason,
        assignment.revision,
    )


# The slots' own setters: `__setattr__` refuses everyone, and they are faster than `object.__setattr__`.
_slots: Final[Any] = Assignment.__dict__
_set_flag: Final = _slots["flag"].__set__
_set_experiment: Final = _slots["experiment"].__set__
_set_variant: Final = _slots["variant"].__set__
_set_value: Final = _slots["value"].__set__
_set_reason: Final = _slots["reason"].__set__
_set_revision: Final = _slots["revision"].__set__
