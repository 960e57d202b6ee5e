"""Read the parts of a configuration document: flags, experiments, segments and holdouts."""

from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, TypeVar

from equipoise import _conditions
from equipoise import _reading as read
from equipoise._definitions import (
    DEFAULT_UNIT_TYPE,
    FLAG_TYPES,
    STATUSES,
    Experiment,
    Flag,
    Holdout,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
)
from equipoise.bucketing import BUCKETS
from equipoise.errors import ConfigurationError

NamedT = TypeVar("NamedT")

SERVES: Final = ("variant", "rollout", "experiment")
"""What a rule serves: exactly one of these members."""


NO_OVERRIDES: Final[Mapping[str, str]] = MappingProxyType({})


def named(
    document: Mapping[str, Any], name: str, one: Callable[[str, Mapping[str, Any], str], NamedT]
) -> Mapping[str, NamedT]:
    """Read a member that maps keys to objects, each with `one(key, object, place)`."""
    return MappingProxyType(
        {
            key: one(key, read.mapping(value, f"{name}.{key}"), f"{name}.{key}")
            for key, value in read.mapping(document.get(name, {}), name).items()
        }
    )


def segment(key: str, document: Mapping[str, Any], place: str) -> Segment:
    """Read a segment: a condition, or the ids of an attribute."""
    if ("condition" in document) == ("ids" in document):
        raise ConfigurationError(place, "expected either a condition, or an attribute and ids")
    if "condition" in document:
        return Segment(key, _conditions.read(document["condition"], f"{place}.condition"), None, frozenset())
    ids = read.sequence(document["ids"], f"{place}.ids")
    attribute = read.text(read.member(document, "attribute", place), f"{place}.attribute")
    return Segment(key, None, attribute, frozenset(read.any_text(each, f"{place}.ids") for each in ids))


def holdout(key: str, document: Mapping[str, Any], place: str) -> Holdout:
    """Read a holdout."""
    return Holdout(
        key=key,
        unit_type=read.text(read.member(document, "unit_type", place), f"{place}.unit_type"),
        salt=read.text(read.member(document, "salt", place), f"{place}.salt"),
        slots=_slots(read.member(document, "slots", place), f"{place}.slots"),
    )


def flag(key: str, document: Mapping[str, Any], place: str) -> Flag:
    """Read a flag; what its rules and prerequisites refer to is not looked up."""
    flag_type = read.one_of(read.member(document, "type", place), FLAG_TYPES, f"{place}.type")
    unit_type = read.text(document.get("unit_type", DEFAULT_UNIT_TYPE), f"{place}.unit_type")
    variants = {
        variant: read.value_of_type(each, flag_type, f"{place}.variants.{variant}")
        for variant, each in read.mapping(
            read.member(document, "variants", place), f"{place}.variants"
        ).items()
    }
    prerequisites = read.sequence(document.get("prerequisites", []), f"{place}.prerequisites")
    rules = read.sequence(read.member(document, "rules", place), f"{place}.rules")
    return Flag(
        key=key,
        type=flag_type,
        unit_type=unit_type,
        enabled=read.boolean(document.get("enabled", True), f"{place}.enabled"),
        variants=MappingProxyType(variants),
        default=read.one_of(read.member(document, "default", place), variants, f"{place}.default"),
        prerequisites=tuple(
            _prerequisite(each, f"{place}.prerequisites[{index}]") for index, each in enumerate(prerequisites)
        ),
        rules=tuple(
            _rule(each, variants, unit_type, f"{place}.rules[{index}]") for index, each in enumerate(rules)
        ),
    )


def _prerequisite(value: Any, place: str) -> Prerequisite:
    document = read.mapping(value, place)
    variants = read.sequence(read.member(document, "variants", place), f"{place}.variants")
    return Prerequisite(
        read.text(read.member(document, "flag", place), f"{place}.flag"),
        tuple(read.text(each, f"{place}.variants") for each in variants),
    )


def _rule(value: Any, variants: Collection[str], unit_type: str, place: str) -> Rule:
    document = read.mapping(value, place)
    serves = [name for name in SERVES if name in document]
    if len(serves) != 1:
        raise ConfigurationError(place, f"expected exactly one of {', '.join(SERVES)}")
    key = document.get("key")
    audience = document.get("audience")
    served = document[serves[0]]
    inner = f"{place}.{serves[0]}"
    return Rule(
        key=None if key is None else read.text(key, f"{place}.key"),
        audience=None if audience is None else _conditions.read(audience, f"{place}.audience"),
        variant=read.one_of(served, variants, inner) if serves == ["variant"] else None,
        rollout=_rollout(served, variants, unit_type, inner) if serves == ["rollout"] else None,
        experiment=read.text(served, inner) if serves == ["experiment"] else None,
    )


def _rollout(value: Any, variants: Collection[str], unit_type: str, place: str) -> Rollout:
    document = read.mapping(value, place)
    ranges = _ranges(read.member(document, "ranges", place), variants, f"{place}.ranges")
    for (_, _, end), (_, start, _) in pairwise(ranges):
        if start < end:
            raise ConfigurationError(f"{place}.ranges", f"the ranges overlap at {start}")
    return Rollout(
        unit_type=read.text(document.get("unit_type", unit_type), f"{place}.unit_type"),
        salt=read.text(read.member(document, "salt", place), f"{place}.salt"),
        ranges=ranges,
    )


def experiment(key: str, document: Mapping[str, Any], place: str, flags: Mapping[str, Flag]) -> Experiment:
    """Read an experiment on one of `flags`; its holdouts are not looked up."""

    def get(name: str) -> Any:
        return read.member(document, name, place)

    flag_key = read.one_of(get("flag"), flags, f"{place}.flag")
    variants = tuple(
        read.one_of(variant, flags[flag_key].variants, f"{place}.variants[{index}]")
        for index, variant in enumerate(read.sequence(get("variants"), f"{place}.variants"))
    )
    ranges = _ranges(get("ranges"), variants, f"{place}.ranges")
    _check_partition(ranges, f"{place}.ranges")
    holdouts = read.sequence(document.get("holdouts", []), f"{place}.holdouts")
    overrides = document.get("overrides", NO_OVERRIDES)
    if overrides is not NO_OVERRIDES:
        overrides = _overrides(overrides, variants, f"{place}.overrides")
    return Experiment(
        key=key,
        status=read.one_of(get("status"), STATUSES, f"{place}.status"),
        unit_type=read.text(get("unit_type"), f"{place}.unit_type"),
        flag=flag_key,
        variants=variants,
        control=read.one_of(get("control"), variants, f"{place}.control"),
        layer_salt=read.text(get("layer_salt"), f"{place}.layer_salt"),
        slots=_slots(get("slots"), f"{place}.slots"),
        revision=None if get("revision") is None else read.whole(get("revision"), f"{place}.revision"),
        salt=None if get("salt") is None else read.text(get("salt"), f"{place}.salt"),
        ranges=ranges,
        holdouts=tuple(read.text(each, f"{place}.holdouts") for each in holdouts),
        overrides=overrides,
        sticky=read.boolean(document.get("sticky", False), f"{place}.sticky"),
    )


def _overrides(value: Any, variants: Collection[str], place: str) -> Mapping[str, str]:
    return MappingProxyType(
        {
            unit: read.one_of(variant, variants, f"{place}.{unit}")
            for unit, variant in read.mapping(value, place).items()
        }
    )


def _slots(value: Any, place: str) -> tuple[tuple[int, int], ...]:
    """Read intervals of slots, in any order; they must be disjoint."""
    slots = []
    for index, item in enumerate(read.sequence(value, place)):
        pair = read.sequence(item, f"{place}[{index}]")
        if len(pair) != 2:
            raise ConfigurationError(f"{place}[{index}]", "expected [start, end]")
        slots.append(read.interval(pair[0], pair[1], BUCKETS, f"{place}[{index}]"))
    slots.sort()
    for (_, end), (start, _) in pairwise(slots):
        if start < end:
            raise ConfigurationError(place, f"the intervals overlap at slot {start}")
    return tuple(slots)


def _ranges(value: Any, variants: Collection[str], place: str) -> tuple[tuple[str, int, int], ...]:
    """Read ranges of buckets, in any order."""
    ranges = []
    for index, item in enumerate(read.sequence(value, place)):
        triple = read.sequence(item, f"{place}[{index}]")
        if len(triple) != 3:
            raise ConfigurationError(f"{place}[{index}]", "expected [variant, start, end]")
        variant = read.one_of(triple[0], variants, f"{place}[{index}]")
        ranges.append((variant, *read.interval(triple[1], triple[2], BUCKETS, f"{place}[{index}]")))
    ranges.sort(key=lambda each: each[1:])
    return tuple(ranges)


def _check_partition(ranges: tuple[tuple[str, int, int], ...], place: str) -> None:
    """Refuse ranges that do not cover 0 to 10,000 without gap or overlap; none at all will do."""
    edge = 0
    for _, start, end in ranges:
        if start != edge:
            raise ConfigurationError(
                place, f"expected a range that starts at {edge}, found {start}: a gap or an overlap"
            )
        edge = end
    if ranges and edge != BUCKETS:
        raise ConfigurationError(place, f"the ranges end at {edge} and must cover all of 0 to {BUCKETS}")
