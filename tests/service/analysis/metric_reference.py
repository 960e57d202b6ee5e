"""What a metric is, once more: plain Python over lists of facts, with exact arithmetic."""

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import combinations_with_replacement
from typing import Any

import pytest

from equipoise_service.analysis.statistics import QuantileValues, Statistics, StepCounts
from equipoise_stats import Counts, Moments, arm_quantile

PLACE = "default/production"
START = datetime(2026, 3, 1)


@dataclass(frozen=True)
class Exposure:
    place: str
    time: datetime
    received_at: datetime
    unit_type: str
    unit: str
    experiment: str
    variant: str
    revision: int


@dataclass(frozen=True)
class Event:
    place: str
    time: datetime
    received_at: datetime
    unit_type: str
    unit: str
    name: str
    value: float | None
    properties: str | None


def holds(condition: dict[str, Any], event: Event) -> bool:
    asked, wanted = condition["operator"], condition["value"]
    if condition.get("property") is None:
        given: Any = event.value
    else:
        given = json.loads(event.properties or "{}").get(condition["property"])

    def same(each: Any) -> bool:
        kinds = [str if isinstance(v, str) else bool if isinstance(v, bool) else float for v in (given, each)]
        return kinds[0] is kinds[1] and given == each

    if given is None or isinstance(given, list | dict):
        return False
    if asked == "equals":
        return same(wanted)
    if asked == "in":
        return any(same(each) for each in wanted)
    if isinstance(given, bool | str):
        return False
    if asked == "between":
        return bool(wanted[0] <= given <= wanted[1])
    return bool(
        {
            "less_than": given < wanted,
            "at_most": given <= wanted,
            "greater_than": given > wanted,
            "at_least": given >= wanted,
        }[asked]
    )


def aggregate(how: str, events: list[Event]) -> Fraction:
    """One unit's value from the events that count."""
    if how == "any":
        return Fraction(bool(events))
    if how == "country":
        found = [json.loads(event.properties or "{}").get(how) for event in events]
        # In Python 1, 1.0 and True are equal; of these, only the first two are the same JSON value.
        scalars = [each for each in found if isinstance(each, str | int | float)]
        return Fraction(len({(isinstance(each, bool), each) for each in scalars}))
    if how == "count":
        return Fraction(len(events))
    valued = [event for event in events if event.value is not None]
    if not valued:
        return Fraction()
    if how == "last":
        valued = [event for event in valued if event.time == max(each.time for each in valued)]
    values = [Fraction(event.value or 0) for event in valued]
    return sum(values, Fraction()) if how == "sum" else max(values)


def steps_reached(definition: dict[str, Any], events: list[Event], begin: datetime, end: datetime) -> int:
    """How many steps of a funnel one unit came through: found by trying, event after event in time."""
    steps = [definition, *definition["steps"]]
    entered = last = datetime.min
    for number, step in enumerate(steps):
        theirs = sorted(each.time for each in counted(step, events, begin, end))
        if number:
            theirs = [time for time in theirs if time > last]
            if "within_hours" in definition:
                theirs = [t for t in theirs if t < entered + timedelta(hours=definition["within_hours"])]
        if not theirs:
            return number
        last = theirs[0]
        entered = entered if number else last
    return len(steps)


@dataclass
class Arm:
    """The mature units' rows (a number a column) and values of events, and how many units are not mature."""

    rows: list[dict[str, Fraction]]
    immature: int
    events: list[list[float]] = field(default_factory=list)


def reference(
    definition: dict[str, Any],
    exposures: list[Exposure],
    events: list[Event],
    as_of: datetime,
    until: datetime | None = None,
) -> dict[str, Arm]:
    """Per arm what the metric is, unit by unit; of a revision that ended, or goes on."""
    met: dict[str, list[Exposure]] = defaultdict(list)
    for each in exposures:
        if until is not None and each.time >= until:
            continue
        if (each.place, each.experiment, each.revision, each.unit_type) == (PLACE, "exp", 2, "user"):
            met[each.unit].append(each)
    arms: dict[str, Arm] = {}
    for unit, shown in met.items():
        if len({each.variant for each in shown}) > 1:
            continue
        arm = arms.setdefault(shown[0].variant, Arm([], 0))
        first = min(each.time for each in shown)
        theirs = [each for each in events if (each.place, each.unit_type, each.unit) == (PLACE, "user", unit)]
        begin, end = span(definition, first)
        done = begin if end is None else end
        never = end is None and until is not None and done > until
        if done > first and (done > as_of or never):
            arm.immature += 1
            continue
        end = end or until or datetime.max
        arm.rows.append(row(definition, theirs, first, begin, end))
        valued = counted(definition, theirs, begin, end)
        arm.events.append([each.value for each in valued if each.value is not None])
    return arms


def span(definition: dict[str, Any], first: datetime) -> tuple[datetime, datetime | None]:
    """From when to when events count."""
    if definition["type"] == "retention":
        days = (definition["from_day"], definition["to_day"])
        return first + timedelta(days=days[0]), first + timedelta(days=days[1])
    window = definition.get("window_hours")
    return (
        first + timedelta(hours=definition.get("delay_hours", 0)),
        None if window is None else first + timedelta(hours=window),
    )


def row(
    definition: dict[str, Any], events: list[Event], first: datetime, begin: datetime, end: datetime
) -> dict[str, Fraction]:
    """One unit's numbers."""
    if definition["type"] == "funnel":
        reached = steps_reached(definition, events, begin, end)
        return {f"s{i}": Fraction(i < reached) for i in range(1 + len(definition["steps"]))}
    hows = {"proportion": "any", "retention": "any", "count_distinct": definition.get("property", "")}
    how = hows.get(definition["type"], definition.get("aggregation", "sum"))
    spans = {"": (begin, end)}
    if definition.get("pre_period_days"):
        spans["_before"] = (first - timedelta(days=definition["pre_period_days"]), first)
    numbers: dict[str, Fraction] = {}
    under = definition.get("denominator")
    for suffix, (low, high) in spans.items():
        numbers[f"y{suffix}"] = aggregate(how, counted(definition, events, low, high))
        if under is not None:
            numbers[f"d{suffix}"] = aggregate(
                under.get("aggregation", "sum"), counted(under, events, low, high)
            )
    if covariate := definition.get("covariate"):
        before = first - timedelta(days=covariate["pre_period_days"])
        how = covariate.get("property", covariate.get("aggregation", "sum"))
        numbers["y_before"] = aggregate(how, counted(covariate, events, before, first))
    return numbers


def winsorize(definition: dict[str, Any], arms: dict[str, Arm]) -> dict[str, Fraction | None]:
    """Cut every number of the arms' rows at its quantile of what is not zero; where it was cut."""
    cuts: dict[str, Fraction | None] = {}
    rows = [row for arm in arms.values() for row in arm.rows]
    measured = ["y", "d"] if definition.get("denominator") else ["y"]
    before = {"pre_period_days": measured, "covariate": ["y"]}
    adjusted = next((names for key, names in before.items() if definition.get(key)), [])
    for name in [*measured, *(f"{each}_before" for each in adjusted)]:
        acting = sorted(row[name] for row in rows if row[name] != 0)
        rank = math.ceil(Fraction(str(definition["winsorize"])) * len(acting))
        cuts[name] = acting[rank - 1] if acting and acting[rank - 1] > 0 else None
        for row in rows:
            row[name] = min(row[name], cuts[name] or row[name])
    return cuts


def counted(of: dict[str, Any], events: list[Event], begin: datetime, end: datetime) -> list[Event]:
    """The events in a span that count for a metric or a denominator."""
    return [
        each
        for each in events
        if each.name == of["event"]
        and begin <= each.time < end
        and all(holds(condition, each) for condition in of.get("filters", []))
    ]


def assert_same(statistics: Statistics, definition: dict[str, Any], expected: dict[str, Arm]) -> None:
    key = definition["key"]
    whole = dict.fromkeys(expected, 0)
    if definition.get("winsorize"):
        before = {variant: [dict(row) for row in arm.rows] for variant, arm in expected.items()}
        cuts = winsorize(definition, expected)
        for variant, rows in before.items():
            limits = {name: cut for name, cut in cuts.items() if name in ("y", "d") and cut is not None}
            whole[variant] = sum(any(row[name] > cut for name, cut in limits.items()) for row in rows)
        assert statistics.cuts[key] == {
            name: None if cut is None else pytest.approx(float(cut)) for name, cut in cuts.items()
        }
    assert statistics.arms.keys() == expected.keys()
    for variant, over in whole.items():
        assert statistics.arms[variant].winsorized.get(key, 0) == over
    for variant, arm in expected.items():
        found = statistics.arms[variant]
        assert found.immature[key] == arm.immature
        assert found.units == arm.immature + len(arm.rows)
        if definition["type"] == "quantile":
            assert_quantile(found.values[key], definition, arm)
        else:
            assert_moments(found.values[key], arm.rows)


def assert_quantile(found: Any, definition: dict[str, Any], arm: Arm) -> None:
    """The same as numpy finds in the arm's values, all of them in one array."""
    values = arm.events if definition["level"] == "event" else [[float(row["y"])] for row in arm.rows]
    assert isinstance(found, QuantileValues)
    assert (found.n, found.q) == (len(arm.rows), definition["quantile"])
    owners = [i for i, theirs in enumerate(values) for _ in theirs]
    if not owners:
        assert found.found is None
        return
    flat = [value for theirs in values for value in theirs]
    expected = arm_quantile(flat, q=definition["quantile"], units=owners)
    assert found.found is not None
    ends = [(each.lower, each.value, each.upper) for each in (found.found, expected)]
    for one, other in zip(*ends, strict=True):
        assert one == other if other is None else one == pytest.approx(other, rel=1e-12, abs=1e-12)
    for u, v in (("below", "below"), ("below", "events"), ("events", "events")):
        both = [
            each.counts.comoments[each.counts.index(u)][each.counts.index(v)]
            for each in (found.found, expected)
        ]
        assert both[0] == pytest.approx(both[1], rel=1e-9, abs=1e-9)
    assert found.found.counts.mean == pytest.approx(expected.counts.mean)


def assert_moments(found: Any, rows: list[dict[str, Fraction]]) -> None:
    if isinstance(found, StepCounts):
        sums = [sum(row[f"s{i}"] for row in rows) for i in range(len(found.reached))]
        assert (found.n, list(found.reached)) == (len(rows), sums)
        return
    if isinstance(found, Counts):
        assert found == Counts(len(rows), int(sum(row["y"] for row in rows)))
        return
    assert isinstance(found, Moments)
    assert found.n == len(rows)
    if not rows:
        return
    assert set(found.columns) == set(rows[0])
    means = {name: sum((row[name] for row in rows), Fraction()) / len(rows) for name in rows[0]}
    largest = {name: max(float(abs(row[name])) for row in rows) for name in rows[0]}
    for i, u in enumerate(found.columns):
        assert found.mean[i] == pytest.approx(float(means[u]), rel=1e-12, abs=1e-13 * largest[u])
        for j, v in enumerate(found.columns):
            exact = float(sum((row[u] - means[u]) * (row[v] - means[v]) for row in rows))
            near = 1e-12 * max(1, len(rows)) * largest[u] * largest[v]
            assert math.isclose(found.comoments[i][j], exact, rel_tol=1e-11, abs_tol=near)
    if any(name.startswith("a") for name in found.columns):
        assert found.third is None
        return
    triples = combinations_with_replacement(found.columns, 3)
    assert found.third is not None
    for third, names in zip(found.third, triples, strict=True):
        products = [math.prod(row[name] - means[name] for name in names) for row in rows]
        near = 1e-11 * max(1, len(rows)) * math.prod(largest[name] for name in names)
        assert math.isclose(third, float(sum(products)), rel_tol=1e-9, abs_tol=near)
