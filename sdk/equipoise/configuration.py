"""The configuration document (`GET /v1/config`) as immutable data: everything that evaluation needs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from equipoise import _reading as read
from equipoise._definitions import FLAG_TYPES, STATUSES, Experiment, Flag, Rule
from equipoise._plans import Plan, compile_flag
from equipoise.bucketing import BUCKETS
from equipoise.errors import ConfigurationError

__all__ = ["SCHEMA", "Configuration", "Experiment", "Flag", "Rule", "load", "parse"]

SCHEMA: Final = "equipoise.config/1"
"""The version of the document that this reader understands."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One published version of an environment's flags and experiments.

    Attributes:
        project: the project's key.
        environment: the environment's key.
        version: counts the published versions.
        flags: by key.
        experiments: by key.
        plans: the flags compiled for `equipoise.evaluation.evaluate`, by key.

    Raises:
        ConfigurationError: a flag's rule cannot be compiled.
    """

    project: str
    environment: str
    version: int
    flags: Mapping[str, Flag]
    experiments: Mapping[str, Experiment]
    plans: Mapping[str, Plan] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plans = {key: compile_flag(flag, self.experiments) for key, flag in self.flags.items()}
        object.__setattr__(self, "plans", plans)


def load(document: bytes) -> Configuration:
    """Read the bytes of a configuration document.

    Raises:
        ConfigurationError: not JSON, or not a configuration; the error names the place.
    """
    try:
        parsed = json.loads(document, parse_constant=_refuse_constant)
    except ConfigurationError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("", f"not a JSON document: {error}") from error
    return parse(parsed)


def parse(document: Mapping[str, Any]) -> Configuration:
    """Read a configuration document. Members that this reader does not know are ignored.

    Raises:
        ConfigurationError: the document is malformed or contradicts itself; the error names the place.
    """
    top = read.mapping(document, "")
    schema = read.member(top, "schema", "")
    if schema != SCHEMA:
        raise ConfigurationError(
            "schema", f"expected {SCHEMA!r}, found {schema!r:.80}; a newer SDK may read it"
        )
    flags = read.mapping(read.member(top, "flags", ""), "flags")
    experiments = read.mapping(read.member(top, "experiments", ""), "experiments")
    configuration_flags = {key: _flag(key, value, experiments) for key, value in flags.items()}
    return Configuration(
        project=read.text(read.member(top, "project", ""), "project"),
        environment=read.text(read.member(top, "environment", ""), "environment"),
        version=read.whole(read.member(top, "version", ""), "version"),
        flags=MappingProxyType(configuration_flags),
        experiments=MappingProxyType(
            {key: _experiment(key, value, configuration_flags) for key, value in experiments.items()}
        ),
    )


def _refuse_constant(name: str) -> Any:
    raise ConfigurationError("", f"not a JSON document: {name} is not a JSON number")


def _flag(key: str, value: Any, experiments: Mapping[str, Any]) -> Flag:
    place = f"flags.{key}"
    document = read.mapping(value, place)
    flag_type = read.one_of(read.member(document, "type", place), FLAG_TYPES, f"{place}.type")
    variants = {
        variant: read.value_of_type(each, flag_type, f"{place}.variants.{variant}")
        for variant, each in read.mapping(
            read.member(document, "variants", place), f"{place}.variants"
        ).items()
    }
    default = read.one_of(read.member(document, "default", place), tuple(variants), f"{place}.default")
    rules = read.sequence(read.member(document, "rules", place), f"{place}.rules")
    return Flag(
        key=key,
        type=flag_type,
        variants=MappingProxyType(variants),
        default=default,
        rules=tuple(
            _rule(key, rule, experiments, f"{place}.rules[{index}]") for index, rule in enumerate(rules)
        ),
    )


def _rule(flag: str, value: Any, experiments: Mapping[str, Any], place: str) -> Rule:
    name = read.text(read.member(read.mapping(value, place), "experiment", place), f"{place}.experiment")
    if name not in experiments:
        raise ConfigurationError(
            f"{place}.experiment", f"there is no experiment {name!r:.80} in the document"
        )
    owner = read.mapping(experiments[name], f"experiments.{name}").get("flag")
    if owner != flag:
        raise ConfigurationError(
            f"{place}.experiment", f"the experiment {name!r:.80} randomises another flag"
        )
    return Rule(name)


def _experiment(key: str, value: Any, flags: Mapping[str, Flag]) -> Experiment:
    place = f"experiments.{key}"
    document = read.mapping(value, place)

    def get(name: str) -> Any:
        return read.member(document, name, place)

    flag = read.one_of(get("flag"), tuple(flags), f"{place}.flag")
    variants = tuple(
        read.one_of(variant, tuple(flags[flag].variants), f"{place}.variants[{index}]")
        for index, variant in enumerate(read.sequence(get("variants"), f"{place}.variants"))
    )
    return Experiment(
        key=key,
        status=read.one_of(get("status"), STATUSES, f"{place}.status"),
        unit_type=read.text(get("unit_type"), f"{place}.unit_type"),
        flag=flag,
        variants=variants,
        control=read.one_of(get("control"), variants, f"{place}.control"),
        layer_salt=read.text(get("layer_salt"), f"{place}.layer_salt"),
        slots=_slots(get("slots"), f"{place}.slots"),
        revision=None if get("revision") is None else read.whole(get("revision"), f"{place}.revision"),
        salt=None if get("salt") is None else read.text(get("salt"), f"{place}.salt"),
        ranges=_ranges(get("ranges"), variants, f"{place}.ranges"),
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


def _ranges(value: Any, variants: tuple[str, ...], place: str) -> tuple[tuple[str, int, int], ...]:
    """Read ranges of buckets, in any order; where there are any, they must partition 0 to 10,000."""
    ranges = []
    for index, item in enumerate(read.sequence(value, place)):
        triple = read.sequence(item, f"{place}[{index}]")
        if len(triple) != 3:
            raise ConfigurationError(f"{place}[{index}]", "expected [variant, start, end]")
        variant = read.one_of(triple[0], variants, f"{place}[{index}]")
        ranges.append((variant, *read.interval(triple[1], triple[2], BUCKETS, f"{place}[{index}]")))
    ranges.sort(key=lambda each: each[1:])
    edge = 0
    for _, start, end in ranges:
        if start != edge:
            raise ConfigurationError(
                place, f"expected a range that starts at {edge}, found {start}: a gap or an overlap"
            )
        edge = end
    if ranges and edge != BUCKETS:
        raise ConfigurationError(place, f"the ranges end at {edge} and must cover all of 0 to {BUCKETS}")
    return tuple(ranges)
