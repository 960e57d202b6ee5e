"""Evaluation: what a unit gets from a configuration. Pure, without locks, the same code everywhere."""

from collections.abc import Mapping
from typing import Any

from equipoise.assignment import Assignment, Reason
from equipoise.configuration import Configuration

__all__ = ["Assignment", "Reason", "evaluate"]


def evaluate(
    configuration: Configuration,
    flag_key: str,
    unit: str,
    default: Any = None,
    attributes: Mapping[str, Any] | None = None,
) -> Assignment[Any]:
    """Return what `unit` gets from the flag `flag_key`. Never raises.

    The rules of the flag are asked in order; the first that matches wins. An experiment's rule places a unit
    by two independent buckets: one under the layer's salt says whether it is enrolled, one under the
    revision's salt says in which arm. Nothing about a unit is remembered.

    Args:
        configuration: as `equipoise.configuration.load` reads it.
        flag_key: the flag to evaluate.
        unit: the unit's id, hashed as given; of the flag's unit type. A unit that is not a string, is empty,
            or holds a lone surrogate (which has no UTF-8 form) cannot be randomised.
        default: the value when there is no such flag or no usable unit.
        attributes: what conditions are about: strings, numbers, booleans, or lists of them, by name. A rule
            of another unit type finds its id here, under the unit type's name.

    Returns:
        An assignment; `Reason` says what each reason means. The value of an object flag is the caller's own
        copy.
    """
    try:
        return configuration.plans[flag_key](unit, attributes)
    except Exception:  # no such flag, a key that cannot be hashed, a unit that is no string, is empty, …
        return unanswerable(flag_key, default)


def unanswerable(flag_key: str, default: Any) -> Assignment[Any]:
    """Return the assignment with reason `ERROR`: the caller's default."""
    return Assignment(flag_key, None, None, default, Reason.ERROR, None)
