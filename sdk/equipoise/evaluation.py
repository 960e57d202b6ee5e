"""Evaluation: what a unit gets from a configuration. Pure, without locks, the same code everywhere."""

from collections.abc import Iterable, Mapping
from itertools import repeat
from operator import length_hint
from typing import Any

from equipoise.assignment import Assignment, Reason
from equipoise.configuration import Configuration

__all__ = ["Assignment", "Reason", "assign_many", "evaluate"]


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


def assign_many(
    configuration: Configuration,
    flag_key: str,
    units: Iterable[str],
    default: Any = None,
    attributes: Mapping[str, Any] | Iterable[Mapping[str, Any] | None] | None = None,
) -> list[Assignment[Any]]:
    """Return what each of many units gets from the flag `flag_key`, in their order: `evaluate`, in bulk.

    For backfills, planning and checks. Units that get the same share one `Assignment`, so that a million of
    them take little more memory than their list (objects are copied, as `evaluate` does).

    Args:
        configuration: as for `evaluate`.
        flag_key: as for `evaluate`.
        units: the units' ids.
        default: as for `evaluate`.
        attributes: those that all units share (a condition on them is asked once, not once a unit); or those
            of each unit, in the order of the units; None where there are none.

    Raises:
        ValueError: there are more units than attributes, or fewer.

    Example:
        >>> from equipoise.configuration import parse
        >>> configuration = parse({
        ...     "schema": "equipoise.config/2", "project": "shop", "environment": "production", "version": 1,
        ...     "flags": {"search": {
        ...         "type": "string", "variants": {"old": "v1", "new": "v2"}, "default": "old",
        ...         "rules": [{"rollout": {"salt": "9ab1c3d4e5f60718", "ranges": [["new", 0, 2500]]}}],
        ...     }},
        ...     "experiments": {},
        ... })
        >>> units = [f"user-{number}" for number in range(10_000)]
        >>> assignments = assign_many(configuration, "search", units)
        >>> sum(assignment.variant == "new" for assignment in assignments)
        2518
    """
    pairs: Iterable[tuple[str, Mapping[str, Any] | None]]
    if attributes is None or isinstance(attributes, Mapping):
        shared, pairs = attributes, zip(units, repeat(attributes))
    else:
        shared, pairs = None, zip(units, attributes, strict=True)
    try:
        plan = configuration.plans[flag_key]
    except (KeyError, TypeError):  # TypeError: a key that cannot be hashed
        return [unanswerable(flag_key, default) for _ in pairs]
    if shared and length_hint(units, 2) > 1:
        from equipoise import _shared  # here, so that `import equipoise` stays light

        plan = _shared.plan(configuration, flag_key, shared)
    assignments = []
    for unit, its_attributes in pairs:
        try:
            assignments.append(plan(unit, its_attributes))
        except Exception:  # a unit that is no string, is empty, or has no UTF-8 form
            assignments.append(unanswerable(flag_key, default))
    return assignments


def unanswerable(flag_key: str, default: Any) -> Assignment[Any]:
    """Return the assignment with reason `ERROR`: the caller's default."""
    return Assignment(flag_key, None, None, default, Reason.ERROR, None)
