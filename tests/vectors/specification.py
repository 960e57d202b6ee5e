"""Evaluation once more, slowly and in the words of docs/reference/evaluation.md: what the vectors expect.

It shares no code with the SDK and is free of everything that makes it fast, so that a person can hold it
against the words. It takes documents that are well formed. Patterns are left to Python's `re`, for those that
`re` reads in the same way.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Json = Any


def is_number(value: Json) -> bool:
    """Say whether it is a JSON number."""
    return type(value) in (int, float)


def equal(one: Json, other: Json) -> bool:
    """JSON equality of scalars: 1 is 1.0, true is no number."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    return type(one) is type(other) and bool(one == other)


def version(text: Json) -> tuple[list[int], list[str]] | None:
    """Read a version with the expression that semver.org publishes, made to tolerate what we tolerate."""
    identifier = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    found = isinstance(text, str) and re.fullmatch(
        r"v?(0|[1-9]\d*)(?:\.(0|[1-9]\d*))?(?:\.(0|[1-9]\d*))?"
        rf"(?:-({identifier}(?:\.{identifier})*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
        text,
        re.ASCII,
    )
    if not found:
        return None
    numbers = [int(found[group] or 0) for group in (1, 2, 3)]
    return numbers, found[4].split(".") if found[4] else []


def compare_versions(one: tuple[list[int], list[str]], other: tuple[list[int], list[str]]) -> int:
    """Section 11 of the standard, point by point."""
    if one[0] != other[0]:
        return -1 if one[0] < other[0] else 1
    if not one[1] or not other[1]:
        return (not one[1]) - (not other[1])
    for left, right in zip(one[1], other[1], strict=False):
        if left == right:
            continue
        if left.isdigit() and right.isdigit():
            return -1 if int(left) < int(right) else 1
        if left.isdigit() != right.isdigit():
            return -1 if left.isdigit() else 1
        return -1 if left < right else 1
    return len(one[1]) - len(other[1])


def moment(text: Json) -> datetime | None:
    """Read RFC 3339, or a date that means midnight UTC."""
    if not isinstance(text, str):
        return None
    day, time = r"\d{4}-\d\d-\d\d", r"[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
    found = re.fullmatch(f"{day}({time})?", text, re.ASCII)
    try:
        read = datetime.fromisoformat(text) if found else None
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read and read.tzinfo is None else read


def ordered(parse: Callable[[Json], Json], meaning: Callable[[int], bool]) -> Callable[[Json, Json], bool]:
    """Compare versions or moments; what is none compares as nothing."""

    def holds(attribute: Json, value: Json) -> bool:
        one, other = parse(attribute), parse(value)
        if one is None or other is None:
            return False
        if isinstance(one, datetime):
            return meaning((one > other) - (one < other))
        return meaning(compare_versions(one, other))

    return holds


def is_in(attribute: Json, values: list[Json]) -> bool:
    """One of the values, or for a list any of its elements."""
    elements = attribute if isinstance(attribute, list) else [attribute]
    return any(equal(element, value) for element in elements for value in values)


def contains(attribute: Json, value: Json) -> bool:
    """Substring of a string, member of a list."""
    if isinstance(attribute, list):
        return any(equal(element, value) for element in attribute)
    return isinstance(attribute, str) and isinstance(value, str) and value in attribute


def is_type(attribute: Json, wanted: str) -> bool:
    """The types; an integer is any number without a fraction."""
    return {
        "boolean": isinstance(attribute, bool),
        "string": isinstance(attribute, str),
        "integer": is_number(attribute) and attribute == int(attribute),
        "number": is_number(attribute),
        "list": isinstance(attribute, list),
    }[wanted]


def text(check: Callable[[str, str], bool]) -> Callable[[Json, Json], bool]:
    """Return an operator that takes strings alone."""
    return lambda attribute, value: isinstance(attribute, str) and check(attribute, value)


def number(check: Callable[[float, Json], bool]) -> Callable[[Json, Json], bool]:
    """Return an operator that takes numbers alone."""
    return lambda attribute, value: is_number(attribute) and check(attribute, value)


MEANING: Mapping[str, Callable[[Json, Json], bool]] = {
    "equals": equal,
    "in": is_in,
    "less_than": number(lambda attribute, value: attribute < value),
    "at_most": number(lambda attribute, value: attribute <= value),
    "greater_than": number(lambda attribute, value: attribute > value),
    "at_least": number(lambda attribute, value: attribute >= value),
    "between": number(lambda attribute, value: value[0] <= attribute <= value[1]),
    "starts_with": text(lambda attribute, value: attribute[: len(value)] == value),
    "ends_with": text(lambda attribute, value: attribute[len(attribute) - len(value) :] == value),
    "contains": contains,
    # In Python `$` also matches before a last newline, which ours does not.
    "matches": text(lambda attribute, value: bool(re.search(value.replace("$", r"\Z"), attribute, re.ASCII))),
    "version_equals": ordered(version, lambda order: order == 0),
    "version_less_than": ordered(version, lambda order: order < 0),
    "version_at_most": ordered(version, lambda order: order <= 0),
    "version_greater_than": ordered(version, lambda order: order > 0),
    "version_at_least": ordered(version, lambda order: order >= 0),
    "before": ordered(moment, lambda order: order < 0),
    "after": ordered(moment, lambda order: order > 0),
    "exists": lambda _, value: bool(value),
    "is_type": is_type,
}


def holds(asked: Json, unit: str, attributes: dict[str, Json], segments: dict[str, Json]) -> bool:
    """Follow the specification."""
    if "all" in asked:
        return all(holds(each, unit, attributes, segments) for each in asked["all"])
    if "any" in asked:
        return any(holds(each, unit, attributes, segments) for each in asked["any"])
    if "not" in asked:
        return not holds(asked["not"], unit, attributes, segments)
    if "segment" in asked:
        segment = segments[asked["segment"]]
        if "condition" in segment:
            return holds(segment["condition"], unit, attributes, segments)
        return holds(
            {"attribute": segment["attribute"], "operator": "in", "value": segment["ids"]},
            unit,
            attributes,
            segments,
        )
    operator = asked["operator"]
    if operator in ("not_equals", "not_in"):
        return not holds({**asked, "operator": operator[4:]}, unit, attributes, segments)
    attribute = unit if asked["attribute"] == "$unit" else attributes.get(asked["attribute"])
    if attribute is None:
        return operator == "exists" and not asked["value"]
    return MEANING[operator](attribute, asked["value"])


def bucket(salt: str, unit: str) -> int:
    """Compute the bucket as the definition says it."""
    return int(hashlib.sha256((salt + ":" + unit).encode("utf-8")).hexdigest()[0:13], 16) % 10000


def evaluate(
    configuration: Json, key: str, unit: str, default: Json, attributes: dict[str, Json]
) -> dict[str, Json]:
    """Follow the specification: return the members of the assignment."""
    if unit == "" or key not in configuration["flags"]:
        return {"experiment": None, "variant": None, "value": default, "reason": "ERROR", "revision": None}
    flag = configuration["flags"][key]

    def serve(variant: str, reason: str, experiment: str | None = None) -> dict[str, Json]:
        revision = configuration["experiments"][experiment]["revision"] if experiment else None
        value = flag["variants"][variant]
        return {
            "experiment": experiment,
            "variant": variant,
            "value": float(value) if flag["type"] == "number" else value,
            "reason": reason,
            "revision": revision,
        }

    def id_of(unit_type: str) -> str | None:
        if unit_type == flag.get("unit_type", "user"):
            return unit
        found = attributes.get(unit_type)
        return found if isinstance(found, str) and found != "" else None

    if not flag.get("enabled", True):
        return serve(flag["default"], "DISABLED")
    for needed in flag.get("prerequisites", []):
        given = evaluate(configuration, needed["flag"], unit, None, attributes)
        if given["variant"] not in needed["variants"]:
            return serve(flag["default"], "DEFAULT")
    for rule in flag["rules"]:
        audience = rule.get("audience", {"all": []})
        met = holds(audience, unit, attributes, configuration.get("segments", {}))
        if "variant" in rule and met:
            return serve(rule["variant"], "TARGETING_MATCH" if "audience" in rule else "STATIC")
        if "rollout" in rule and met:
            rollout = rule["rollout"]
            bucketed = id_of(rollout.get("unit_type", flag.get("unit_type", "user")))
            drawn = bucketed and within(rollout["ranges"], bucket(rollout["salt"], bucketed))
            if drawn:
                return serve(drawn, "SPLIT")
        if "experiment" in rule:
            experiment = configuration["experiments"][rule["experiment"]]
            bucketed = id_of(experiment["unit_type"])
            overrides = experiment.get("overrides", {})
            if experiment["status"] in ("draft", "running") and bucketed in overrides:
                return serve(overrides[bucketed], "TARGETING_MATCH")
            if experiment["status"] != "running" or not met:
                continue
            if any(
                keeps_out(configuration["holdouts"][name], id_of) for name in experiment.get("holdouts", [])
            ):
                continue
            if bucketed is None:
                continue
            slot = bucket(experiment["layer_salt"], bucketed)
            if any(slot in range(start, end) for start, end in experiment["slots"]):
                arm = within(experiment["ranges"], bucket(experiment["salt"], bucketed))
                return serve(str(arm), "SPLIT", rule["experiment"])
    if not flag["rules"]:
        return serve(flag["default"], "STATIC")
    statuses = [
        configuration["experiments"].get(rule.get("experiment"), {}).get("status") for rule in flag["rules"]
    ]
    idle = all(status in ("draft", "paused", "stopped") for status in statuses)
    return serve(flag["default"], "DISABLED" if idle else "DEFAULT")


def within(ranges: list[Json], place: int) -> str | None:
    """Return the variant of the half-open range that the bucket is in."""
    for variant, start, end in ranges:
        if place in range(start, end):
            return str(variant)
    return None


def keeps_out(holdout: Json, id_of: Callable[[str], str | None]) -> bool:
    """Say whether a holdout keeps the unit out: its id is held out, or there is none to look at."""
    held = id_of(holdout["unit_type"])
    if held is None:
        return True
    slot = bucket(holdout["salt"], held)
    return any(slot in range(start, end) for start, end in holdout["slots"])


def written(content: dict[str, Json]) -> str:
    """Return a file as JSON in ASCII, one case a line."""
    members = []
    for name, value in content.items():
        if isinstance(value, list):
            lines = ",\n".join(json.dumps(each) for each in value)
            members.append(f"{json.dumps(name)}: [\n{lines}\n]")
        else:
            members.append(f"{json.dumps(name)}: {json.dumps(value, indent=1)}")
    return "{\n" + ",\n".join(members) + "\n}\n"
