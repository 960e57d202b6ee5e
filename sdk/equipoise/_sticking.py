"""What a sticky experiment serves to a unit that it has enrolled before."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from equipoise.assignment import Assignment, Reason

if TYPE_CHECKING:
    from equipoise.configuration import Configuration, Experiment, Flag
    from equipoise.sticky import StickyStore


def stick(
    store: "StickyStore",
    configuration: "Configuration",
    fresh: Assignment[Any],
    unit: str,
    attributes: Mapping[str, Any] | None,
) -> Assignment[Any]:
    """Return the arm that a sticky experiment gave the unit before; else `fresh`, remembered if it is one.

    A unit keeps its arm and the revision that put it there as long as the experiment runs and has the
    variant, whatever becomes of its traffic, its weights, its audience and its holdouts. What another rule
    serves to the unit (an override, a shipped variant, another experiment) goes first, and so does a
    prerequisite that is not met.

    Args:
        store: what was remembered.
        configuration: the one that `fresh` was made with.
        fresh: what the unit gets without the store.
        unit: as given to evaluation.
        attributes: as given to evaluation.
    """
    from equipoise.sticky import Kept  # here, so that `import equipoise` stays light

    flag = configuration.flags[fresh.flag]
    if fresh.experiment is None and (
        fresh.reason is not Reason.DEFAULT or not _prerequisites_met(configuration, flag, unit, attributes)
    ):
        return fresh
    for rule in flag.rules:
        if rule.experiment is None or fresh.experiment not in (None, rule.experiment):
            continue
        experiment = configuration.experiments[rule.experiment]
        if not experiment.sticky or experiment.status != "running":
            continue
        randomised = randomised_id(configuration, experiment, unit, attributes)
        if not randomised:
            continue
        kept = store.get(experiment.key, randomised)
        if kept is not None:
            variant, revision = kept
            if variant in experiment.variants:
                value = fresh.value if variant == fresh.variant else _copy(flag.variants[variant])
                return Assignment(flag.key, experiment.key, variant, value, Reason.SPLIT, revision)
        if fresh.experiment is not None and fresh.variant is not None and fresh.revision is not None:
            store.put(experiment.key, randomised, Kept(fresh.variant, fresh.revision))
    return fresh


def randomised_id(
    configuration: "Configuration",
    experiment: "Experiment",
    unit: str,
    attributes: Mapping[str, Any] | None,
) -> str:
    """Return the id that an experiment randomises: the unit, or an attribute; empty where there is none."""
    if experiment.unit_type == configuration.flags[experiment.flag].unit_type:
        found: Any = unit
    else:
        found = attributes.get(experiment.unit_type) if isinstance(attributes, Mapping) else None
    return str.__str__(found) if isinstance(found, str) else ""  # exact, whatever a subclass makes of it


def _prerequisites_met(
    configuration: "Configuration", flag: "Flag", unit: str, attributes: Mapping[str, Any] | None
) -> bool:
    return all(
        configuration.plans[needed.flag](unit, attributes).variant in needed.variants
        for needed in flag.prerequisites
    )


def _copy(value: Any) -> Any:
    """Copy a JSON value, so that a caller who changes it changes no other caller's."""
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
