"""Compile a flag into a plan: everything about an evaluation that does not depend on the unit."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from equipoise._definitions import Experiment, Flag
from equipoise.assignment import Assignment, Reason
from equipoise.bucketing import BUCKETS, bucket_of_bytes, salt_prefix
from equipoise.errors import ConfigurationError


class Split(NamedTuple):
    """One running experiment, ready to place units.

    Attributes:
        slot_prefix: the layer's salt for `bucket_of_bytes`; None where the experiment owns every slot, so
            that the slot need not be computed.
        slot_bounds: starts and ends of the slots, alternating and ascending: a slot is the experiment's
            when an odd number of bounds is at or below it.
        arm_prefix: the revision's salt for `bucket_of_bytes`.
        arm_starts: the first bucket of each range, ascending from 0.
        arms: the finished assignment of each range.
    """

    slot_prefix: bytes | None
    slot_bounds: tuple[int, ...]
    arm_prefix: bytes
    arm_starts: tuple[int, ...]
    arms: tuple[Assignment, ...]

    def place(self, unit: bytes) -> Assignment | None:
        """Return the assignment of an encoded unit, or None where its slot is not the experiment's."""
        if self.slot_prefix is not None:
            slot = bucket_of_bytes(self.slot_prefix, unit)
            if not bisect_right(self.slot_bounds, slot) & 1:
                return None
        return self.arms[bisect_right(self.arm_starts, bucket_of_bytes(self.arm_prefix, unit)) - 1]


class Plan(NamedTuple):
    """How to evaluate one flag.

    Attributes:
        splits: the running experiments of the flag's rules, in order.
        otherwise: the assignment of a unit that no split places.
        mutable: whether values are objects, which a caller could change and therefore gets a copy of.
    """

    splits: tuple[Split, ...]
    otherwise: Assignment
    mutable: bool


def compile_flag(flag: Flag, experiments: Mapping[str, Experiment]) -> Plan:
    """Return the plan of a flag whose rules name only known experiments.

    Raises:
        ConfigurationError: an experiment is running but was never given its randomisation.
    """
    ruled = [experiments[rule.experiment] for rule in flag.rules]
    splits = tuple(
        _compile_experiment(flag, experiment) for experiment in ruled if experiment.status == "running"
    )
    reason = Reason.DISABLED if ruled and not splits else Reason.DEFAULT
    otherwise = Assignment(flag.key, None, flag.default, flag.variants[flag.default], reason, None)
    return Plan(splits, otherwise, flag.type == "object")


def _compile_experiment(flag: Flag, experiment: Experiment) -> Split:
    if experiment.salt is None or experiment.revision is None or not experiment.ranges:
        raise ConfigurationError(
            f"experiments.{experiment.key}", "a running experiment needs a revision, a salt and ranges"
        )
    bounds = _merge(experiment.slots)
    arms = [(start, variant) for variant, start, end in experiment.ranges if start < end]
    return Split(
        slot_prefix=None if bounds == (0, BUCKETS) else salt_prefix(experiment.layer_salt),
        slot_bounds=bounds,
        arm_prefix=salt_prefix(experiment.salt),
        arm_starts=tuple(start for start, _ in arms),
        arms=tuple(
            Assignment(
                flag.key, experiment.key, variant, flag.variants[variant], Reason.SPLIT, experiment.revision
            )
            for _, variant in arms
        ),
    )


def _merge(intervals: Iterable[tuple[int, int]]) -> tuple[int, ...]:
    """Flatten ascending, disjoint intervals into alternating bounds, joining those that touch."""
    bounds: list[int] = []
    for start, end in intervals:
        if start == end:
            continue
        if bounds and bounds[-1] == start:
            bounds[-1] = end
        else:
            bounds += (start, end)
    return tuple(bounds)
