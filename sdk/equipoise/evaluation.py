"""Evaluation: what a unit gets from a configuration. Pure, without locks, the same code everywhere."""

from dataclasses import replace
from typing import Any

from equipoise.assignment import Assignment, Reason
from equipoise.configuration import Configuration

__all__ = ["Assignment", "Reason", "evaluate"]


def evaluate(configuration: Configuration, flag_key: str, unit: str, default: Any = None) -> Assignment:
    """Return what `unit` gets from the flag `flag_key`. Never raises.

    A unit is placed by two independent buckets: one under the layer's salt says whether it is enrolled,
    one under the revision's salt says in which arm. Nothing about a unit is remembered.

    Args:
        configuration: as `equipoise.configuration.load` reads it.
        flag_key: the flag to evaluate.
        unit: the unit's id, hashed as given. A unit that is not a string, is empty, or holds a lone
            surrogate (which has no UTF-8 form) cannot be randomised.
        default: the value when there is no such flag or no usable unit.

    Returns:
        An assignment with reason

        - `SPLIT`: an experiment placed the unit; experiment, variant, value and revision are its.
        - `DISABLED`: the flag's experiment is not running; the flag's default variant.
        - `DEFAULT`: the unit is outside the experiment's slots; the flag's default variant.
        - `ERROR`: unknown flag or unusable unit; variant None, value `default`.

        The value of an object flag is the caller's own copy.
    """
    if not isinstance(unit, str) or not unit:
        return unanswerable(flag_key, default)
    try:
        plan = configuration.plans[flag_key]
        encoded = unit.encode()
    except (KeyError, TypeError, UnicodeEncodeError):  # TypeError: a flag key that cannot be hashed
        return unanswerable(flag_key, default)
    assignment = plan.otherwise
    for split in plan.splits:
        placed = split.place(encoded)
        if placed is not None:
            assignment = placed
            break
    if plan.mutable:
        return replace(assignment, value=_copy(assignment.value))
    return assignment


def unanswerable(flag_key: str, default: Any) -> Assignment:
    """Return the assignment with reason `ERROR`: the caller's default."""
    return Assignment(flag_key, None, None, default, Reason.ERROR, None)


def _copy(value: Any) -> Any:
    """Copy a JSON value, so that a caller who changes it changes no other caller's."""
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
