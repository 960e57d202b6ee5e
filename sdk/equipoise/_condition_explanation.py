"""What a condition says about a unit, condition by condition."""

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from equipoise import _operators
from equipoise._definitions import Condition, Segment

MAX_SHOWN: Final = 100
"""Values of a list, and characters of what is no JSON value, that are shown at most."""


class ConditionExplanation(NamedTuple):
    """What a condition says about a unit.

    Attributes:
        kind: `all`, `any`, `not`, `segment` or `attribute`.
        holds: whether it holds.
        attribute: the name of the attribute that it is about, where it is about one.
        operator: the operator, where it is about an attribute.
        expected: the condition's value; for a segment's ids, how many there are.
        value: what the attributes hold; None when it is missing.
        segment: the key of the segment that it names, where it names one.
        members: the conditions that it is made of.
    """

    kind: str
    holds: bool
    attribute: str | None = None
    operator: str | None = None
    expected: Any = None
    value: Any = None
    segment: str | None = None
    members: tuple["ConditionExplanation", ...] = ()


def explain_condition(
    condition: Condition, segments: Mapping[str, Segment], unit: str, attributes: Any
) -> ConditionExplanation:
    """Say whether a condition of a configuration holds, and each condition that it is made of."""
    if "attribute" in condition:
        name, operator = condition["attribute"], condition["operator"]
        holds = _operators.compile(condition)(unit, attributes)
        value = _value(name, unit, attributes)
        return ConditionExplanation("attribute", holds, name, operator, condition["value"], value)
    if "segment" in condition:
        return _segment(segments[condition["segment"]], segments, unit, attributes)
    if "not" in condition:
        member = explain_condition(condition["not"], segments, unit, attributes)
        return ConditionExplanation("not", not member.holds, members=(member,))
    kind = "all" if "all" in condition else "any"
    members = tuple(explain_condition(each, segments, unit, attributes) for each in condition[kind])
    said = [member.holds for member in members]
    return ConditionExplanation(kind, all(said) if kind == "all" else any(said), members=members)


def _segment(
    segment: Segment, segments: Mapping[str, Segment], unit: str, attributes: Any
) -> ConditionExplanation:
    if segment.condition is None:
        name = str(segment.attribute)
        holds = _operators.ids(name, segment.ids)(unit, attributes)
        value = _value(name, unit, attributes)
        return ConditionExplanation("segment", holds, name, "in", len(segment.ids), value, segment.key)
    member = explain_condition(segment.condition, segments, unit, attributes)
    return ConditionExplanation("segment", member.holds, segment=segment.key, members=(member,))


def _value(name: str, unit: str, attributes: Any) -> Any:
    if name == _operators.UNIT:
        return unit
    try:
        return shown(attributes.get(name))
    except Exception:  # attributes that are no mapping hold nothing
        return None


def shown(value: Any) -> Any:
    """Return an attribute as a JSON value: lists are cut, and what JSON cannot say becomes text."""
    if isinstance(value, list | tuple):
        return [_one(each) for each in value[:MAX_SHOWN]]
    return _one(value)


def _one(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    try:
        text = str.__str__(value) if isinstance(value, str) else repr(value)[:MAX_SHOWN]
    except Exception:  # evaluation takes any object, one whose repr raises too
        text = f"a {type(value).__name__}"
    return text.encode("utf-8", "backslashreplace").decode()
