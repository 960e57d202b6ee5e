"""Compile a flag's rules into functions that say what they serve to a unit."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from equipoise._definitions import Experiment, Flag, Holdout, Rollout, Rule
from equipoise._operators import Holds
from equipoise.assignment import Assignment, Reason
from equipoise.bucketing import BUCKETS, bucket_of_bytes, salt_prefix
from equipoise.errors import ConfigurationError

Served = Assignment[Any]
"""A finished assignment, shared by all units that get it."""

Match = Callable[[str, bytes, Any], Served | None]
"""What a rule serves to a unit (its text, its bytes, its attributes); None where the rule does not match."""

Identify = Callable[[Any], bytes | None]
"""The bytes of the id of another unit type, from the attributes; None where there is none."""

Gate = Callable[[bytes, Any], bool]
"""Whether a unit with these attributes may go on to the draw."""


class Draw(NamedTuple):
    """A random choice by bucket.

    Attributes:
        prefix: the salt, for `bucket_of_bytes`.
        cuts: where a next interval of buckets begins, ascending.
        served: what each interval serves, one more than there are cuts; None for nothing.
    """

    prefix: bytes
    cuts: tuple[int, ...]
    served: tuple[Served | None, ...]

    def pick(self, unit: bytes) -> Served | None:
        """Return what the unit draws."""
        return self.served[bisect_right(self.cuts, bucket_of_bytes(self.prefix, unit))]


def compile(
    flag: Flag,
    rule: Rule,
    audience: Holds | None,
    experiments: Mapping[str, Experiment],
    holdouts: Mapping[str, Holdout],
) -> Match | None:
    """Return the function of a rule; None of a rule that can match nobody at present.

    Raises:
        ConfigurationError: an experiment is running but was never given its randomisation.
    """
    if rule.variant is not None:
        reason = Reason.STATIC if audience is None else Reason.TARGETING_MATCH
        return _fixed(audience, served(flag, rule.variant, reason))
    if rule.rollout is not None:
        return _drawn(audience, [], _identify(flag, rule.rollout.unit_type), _rollout(flag, rule.rollout))
    experiment = experiments[str(rule.experiment)]
    identify = _identify(flag, experiment.unit_type)
    match = None
    if experiment.status == "running":
        gates = [_gate(flag, holdouts[key], wanted=False) for key in experiment.holdouts]
        enrolment = Holdout("", experiment.unit_type, experiment.layer_salt, experiment.slots)
        if merge(experiment.slots) != (0, BUCKETS):
            gates.append(_gate(flag, enrolment, wanted=True))
        match = _drawn(audience, gates, identify, _arms(flag, experiment))
    if experiment.overrides and experiment.status in ("draft", "running"):
        return _overridden(flag, experiment, identify, match)
    return match


def only_draw(flag: Flag, rule: Rule, experiments: Mapping[str, Experiment]) -> Draw | None:
    """Return the draw of a rule that is nothing but an audience and a draw by the unit; else None."""
    if rule.rollout is not None:
        return _rollout(flag, rule.rollout) if rule.rollout.unit_type == flag.unit_type else None
    if rule.experiment is None:
        return None
    experiment = experiments[rule.experiment]
    plain = (
        experiment.status == "running"
        and experiment.unit_type == flag.unit_type
        and not experiment.overrides
        and not experiment.holdouts
        and merge(experiment.slots) == (0, BUCKETS)
    )
    return _arms(flag, experiment) if plain else None


def served(
    flag: Flag, variant: str, reason: Reason, experiment: str | None = None, revision: int | None = None
) -> Served:
    """Return the assignment of a variant."""
    return Assignment(flag.key, experiment, variant, flag.variants[variant], reason, revision)


def merge(intervals: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Flatten ascending, disjoint intervals into alternating bounds, joining those that touch.

    A number is in one of the intervals when an odd number of bounds is at or below it.
    """
    bounds: list[int] = []
    for start, end in intervals:
        if start == end:
            continue
        if bounds and bounds[-1] == start:
            bounds[-1] = end
        else:
            bounds += (start, end)
    return tuple(bounds)


def identified(unit_type: str, attributes: Any) -> bytes | None:
    """Return the bytes of the id that the attributes hold for a unit type, if it is usable."""
    try:
        return str.encode(attributes.get(unit_type)) or None
    except Exception:  # missing, no string, a string without UTF-8 form; or attributes that are no mapping
        return None


def _identify(flag: Flag, unit_type: str) -> Identify | None:
    """Return how to find the id of a unit type; None where it is the unit itself."""
    if unit_type == flag.unit_type:
        return None
    return lambda attributes: identified(unit_type, attributes)


def _fixed(audience: Holds | None, assignment: Served) -> Match:
    if audience is None:
        return lambda _, __, ___: assignment
    return lambda unit, _, attributes: assignment if audience(unit, attributes) else None


def _drawn(audience: Holds | None, gates: list[Gate], identify: Identify | None, draw: Draw) -> Match:
    def match(unit: str, encoded: bytes, attributes: Any) -> Served | None:
        if audience is not None and not audience(unit, attributes):
            return None
        for gate in gates:
            if not gate(encoded, attributes):
                return None
        bucketed = encoded if identify is None else identify(attributes)
        return None if bucketed is None else draw.pick(bucketed)

    return match


def _gate(flag: Flag, interval: Holdout, *, wanted: bool) -> Gate:
    """Let pass whose slot is among these (`wanted`), or is not; never whose id is missing."""
    identify = _identify(flag, interval.unit_type)
    prefix, bounds = salt_prefix(interval.salt), merge(interval.slots)

    def gate(encoded: bytes, attributes: Any) -> bool:
        bucketed = encoded if identify is None else identify(attributes)
        if bucketed is None:
            return False
        return bool(bisect_right(bounds, bucket_of_bytes(prefix, bucketed)) & 1) is wanted

    return gate


def _overridden(flag: Flag, experiment: Experiment, identify: Identify | None, match: Match | None) -> Match:
    by_variant = {
        variant: served(flag, variant, Reason.TARGETING_MATCH) for variant in experiment.overrides.values()
    }
    overrides = {unit.encode(): by_variant[variant] for unit, variant in experiment.overrides.items()}

    def overridden(unit: str, encoded: bytes, attributes: Any) -> Served | None:
        bucketed = encoded if identify is None else identify(attributes)
        override = None if bucketed is None else overrides.get(bucketed)
        if override is not None:
            return override
        return None if match is None else match(unit, encoded, attributes)

    return overridden


def _arms(flag: Flag, experiment: Experiment) -> Draw:
    if experiment.salt is None or experiment.revision is None or not experiment.ranges:
        raise ConfigurationError(
            f"experiments.{experiment.key}", "a running experiment needs a revision, a salt and ranges"
        )

    def arm(variant: str) -> Served:
        return served(flag, variant, Reason.SPLIT, experiment.key, experiment.revision)

    return _draw(experiment.salt, experiment.ranges, arm)


def _rollout(flag: Flag, rollout: Rollout) -> Draw:
    return _draw(rollout.salt, rollout.ranges, lambda variant: served(flag, variant, Reason.SPLIT))


def _draw(salt: str, ranges: Iterable[tuple[str, int, int]], serve: Callable[[str], Served]) -> Draw:
    cuts: list[int] = []
    outcomes: list[Served | None] = [None]
    for variant, start, end in ranges:
        if cuts and cuts[-1] == start:
            outcomes[-1] = serve(variant)
        elif start == 0:
            outcomes = [serve(variant)]
        else:
            cuts.append(start)
            outcomes.append(serve(variant))
        if end < BUCKETS:
            cuts.append(end)
            outcomes.append(None)
    return Draw(salt_prefix(salt), tuple(cuts), tuple(outcomes))
