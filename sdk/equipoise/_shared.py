"""A flag's plan for many units that share their attributes: conditions on these are asked once."""

from collections.abc import Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from equipoise._conditions import Compiled, conjunction, disjunction, negation
from equipoise._definitions import Condition, Flag, Segment
from equipoise._operators import UNIT, Holds
from equipoise._plans import Plan, compile_flags

if TYPE_CHECKING:
    from equipoise.configuration import Configuration


def plan(configuration: "Configuration", flag: str, attributes: Mapping[str, Any]) -> Plan:
    """Return what serves as the flag's own plan does, to be called with these attributes and no others.

    The flag and its prerequisites are compiled anew, each condition that does not look at the unit as one
    that is asked when a unit first needs it, and then known.
    """
    flags: dict[str, Flag] = {}
    _gather_flags(flag, configuration.flags, flags)
    audiences = [rule.audience for each in flags.values() for rule in each.rules if rule.audience]
    segments: dict[str, Segment] = {}
    for audience in audiences:
        _gather_segments(audience, configuration.segments, segments)
    conditions = _Conditions(segments, attributes)
    plans, _ = compile_flags(flags, configuration.experiments, configuration.holdouts, conditions.compile)
    return plans[flag]


class _Conditions:
    """Compiles conditions as `Compiled` does, for one set of attributes."""

    def __init__(self, segments: Mapping[str, Segment], attributes: Mapping[str, Any]) -> None:
        self._segments = segments
        self._compiled = Compiled(segments)
        self._attributes = attributes
        self._segments_of_units: dict[str, bool] = {}

    def compile(self, condition: Condition, place: str) -> Holds:
        if not self._looks_at_unit(condition):
            return _asked_once(self._compiled.compile(condition, place), self._attributes)
        if "attribute" in condition:
            return self._compiled.compile(condition, place)
        if "segment" in condition:
            inner = self._segments[condition["segment"]].condition
            return self._compiled.compile(condition, place) if inner is None else self.compile(inner, place)
        if "not" in condition:
            return negation(self.compile(condition["not"], place))
        kind = "all" if "all" in condition else "any"
        # Together, so that thousands that do not look at the unit cost each unit one call; and first, as no
        # condition has an effect by which their order could be told.
        common = [each for each in condition[kind] if not self._looks_at_unit(each)]
        parts = [self.compile({kind: common}, place)] if common else []
        parts += [self.compile(each, place) for each in condition[kind] if self._looks_at_unit(each)]
        return conjunction(parts) if kind == "all" else disjunction(parts)

    def _looks_at_unit(self, condition: Condition) -> bool:
        if "attribute" in condition:
            return bool(condition["attribute"] == UNIT)
        if "segment" in condition:
            key = condition["segment"]
            if key not in self._segments_of_units:
                segment = self._segments[key]
                self._segments_of_units[key] = (
                    segment.attribute == UNIT
                    if segment.condition is None
                    else self._looks_at_unit(segment.condition)
                )
            return self._segments_of_units[key]
        return any(map(self._looks_at_unit, _members(condition)))


def _asked_once(holds: Holds, attributes: Mapping[str, Any]) -> Holds:
    answer = cache(partial(holds, "", attributes))
    return lambda _, __: answer()


def _members(condition: Condition) -> list[Condition]:
    """Return the conditions that a compound one is made of."""
    if "not" in condition:
        return [condition["not"]]
    return list(condition.get("all", condition.get("any", ())))


def _gather_flags(key: str, flags: Mapping[str, Flag], gathered: dict[str, Flag]) -> None:
    """Gather a flag and its prerequisites, and theirs."""
    if key not in gathered:
        gathered[key] = flags[key]
        for each in flags[key].prerequisites:
            _gather_flags(each.flag, flags, gathered)


def _gather_segments(
    condition: Condition, segments: Mapping[str, Segment], gathered: dict[str, Segment]
) -> None:
    """Gather the segments that a condition refers to, and those that they refer to."""
    key = condition.get("segment")
    if key is None:
        for each in _members(condition):
            _gather_segments(each, segments, gathered)
    elif key not in gathered:
        segment = gathered[key] = segments[key]
        if segment.condition is not None:
            _gather_segments(segment.condition, segments, gathered)
