"""Segments, bots and identity against plain Python on random small data."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.analysis.metric_reference import PLACE, START, Event, Exposure
from tests.service.analysis.test_metrics import AS_OF, Store, named

from equipoise_service.analysis.requests import Bots, Identity, Segment, StoreRequest
from equipoise_service.analysis.statistics import Joined, Statistics
from equipoise_service.analysis.store import analyse_store
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.population import Conflicts
from equipoise_stats import Counts

SEEDS = st.integers(0, 2**32)
REQUEST = StoreRequest(
    PLACE,
    "exp",
    2,
    "user",
    (PlannedMetric.model_validate(named({"type": "proportion"})).measure,),
    AS_OF.replace(tzinfo=UTC),
)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.connection.close()


def facts(seed: int) -> tuple[list[Exposure], list[Event]]:
    """Devices and users, some of them exposed, with events that link them, and such that say a country."""
    chance = random.Random(seed)
    kinds = ("user", "user", "device")

    def when() -> datetime:
        return START + timedelta(hours=chance.choice([0, 1, 2, 3, 26, 30]))

    exposures = [
        Exposure(PLACE, when(), START, kind, f"{number}", "exp", chance.choice(["a", "b"]), 2)
        for kind in kinds
        for number in range(8)
        if chance.random() < 0.6
    ]
    events = []
    for _ in range(60):
        properties = {
            "country": chance.choice(["DE", "FR", 5, 5.5, True, None, "5", [1]]),
            "user": chance.choice(["1", "2", "9", None, 3]),
        }
        name = chance.choice(["buy", "see", "see", "login"])
        kind, unit = chance.choice(kinds), f"{chance.randrange(8)}"
        events.append(Event(PLACE, when(), START, kind, unit, name, 1.0, json.dumps(properties)))
    return exposures, events


def first_times(exposures: list[Exposure]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for each in exposures:
        if each.unit_type == "user":
            found[each.unit] = min(each.time, found.get(each.unit, each.time))
    return found


def arms(exposures: list[Exposure], events: list[Event], units: set[str]) -> dict[str, Counts]:
    """Who bought, in each arm, among some units."""
    met: dict[str, set[str]] = defaultdict(set)
    for each in exposures:
        if each.unit_type == "user" and each.unit in units:
            met[each.unit].add(each.variant)
    first = first_times(exposures)
    buyers = {
        each.unit
        for each in events
        if each.unit_type == "user" and each.name == "buy" and each.time >= first.get(each.unit, each.time)
    }
    found: dict[str, Counts] = {}
    for unit, variants in met.items():
        if len(variants) == 1:
            one = Counts(1, int(unit in buyers))
            variant = next(iter(variants))
            found[variant] = found[variant].merge(one) if variant in found else one
    return found


def values(of: Any) -> dict[str, Any]:
    return {variant: arm.values["metric-0"] for variant, arm in of.items()}


def analyse(store: Store, seed: int, **asked: Any) -> tuple[Statistics, list[Exposure], list[Event]]:
    exposures, events = facts(seed)
    store.fill(exposures, events)
    return analyse_store(store.backend, replace(REQUEST, **asked)), exposures, events


def country(unit: str, first: datetime, events: list[Event]) -> str:
    known = {"DE": "=DE", "FR": "=FR", "5": "=5", "true": "=true"}
    theirs = []
    for each in events:
        if (each.unit_type, each.unit, each.name) == ("user", unit, "see") and each.time <= first:
            given = json.loads(each.properties or "{}")["country"]
            label = known.get(given if isinstance(given, str) else json.dumps(given))
            if label:
                theirs.append((each.time, label))
    latest = {label for time, label in theirs if time == max(t for t, _ in theirs)}
    return latest.pop() if len(latest) == 1 else "none"


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, most=st.integers(1, 3))
def test_segments(store: Store, seed: int, most: int) -> None:
    segments = (Segment("country", "see", "country"), Segment("again", "see", "country"))
    found, exposures, events = analyse(store, seed, segments=segments, segment_values=most)
    first = first_times(exposures)
    labels = {unit: country(unit, time, events) for unit, time in first.items()}
    counts = Counter(label for label in labels.values() if label != "none")
    kept = [*sorted(counts, key=lambda label: (-counts[label], label))[:most], "none"]
    labels = {unit: label if label in kept else "other" for unit, label in labels.items()}
    assert values(found.arms) == arms(exposures, events, set(first))
    for key in ("country", "again"):
        parts = {part.label: part for part in found.segments[key]}
        assert parts.keys() == set(labels.values())
        for label, part in parts.items():
            units = {unit for unit in first if labels[unit] == label}
            expected = arms(exposures, events, units)
            assert values(part.arms) == expected
            assert part.crossovers == len(units) - sum(arm.n for arm in expected.values())


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, most=st.integers(1, 4))
def test_bots(store: Store, seed: int, most: int) -> None:
    filters = ({"property": "country", "operator": "equals", "value": 5.5},)
    bots = Bots(
        most, "login", PlannedMetric.model_validate(named({"type": "mean", "filters": filters})).filters
    )
    found, exposures, events = analyse(store, seed, bots=bots)
    theirs = [each for each in events if each.unit_type == "user"]
    days = Counter((each.unit, each.time.date()) for each in theirs)
    out = {unit for (unit, _), number in days.items() if number > most}
    out |= {e.unit for e in theirs if e.name == "login" and '"country": 5.5' in (e.properties or "")}
    exposed = set(first_times(exposures))
    assert values(found.arms) == arms(exposures, events, exposed - out)
    assert found.bots == len(exposed & out)
    theirs_by_arm = arms(exposures, events, exposed & out)
    assert found.bots_by_arm == {arm: each.n for arm, each in theirs_by_arm.items() if each.n}


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, rule=st.sampled_from(Conflicts))
def test_identity(store: Store, seed: int, rule: Conflicts) -> None:
    identity = Identity("device", "user", "login", "user", rule)
    found, exposures, events = analyse(store, seed, identity=identity)
    links: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for each in events:
        to = json.loads(each.properties or "{}")["user"]
        if each.unit_type == "device" and each.name == "login" and isinstance(to, str):
            links[each.unit].append((each.time, to))
    known: dict[str, str | None] = {}
    for device, theirs in links.items():
        candidates = {to for time, to in theirs if rule is Conflicts.LEAVE_OUT or time == min(theirs)[0]}
        known[device] = candidates.pop() if len(candidates) == 1 else None

    def person(each: Any) -> Any:
        if each.unit_type == "user":
            return each
        to = known.get(each.unit, f"device {each.unit}")
        return None if to is None else replace(each, unit_type="user", unit=to)

    shown = [each for each in map(person, exposures) if each]
    done = [each for each in map(person, events) if each]
    expected = arms(shown, done, set(first_times(shown)))
    assert values(found.arms) == expected
    devices = {each.unit for each in exposures if each.unit_type == "device"}
    met: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for before in exposures:
        after = person(before)
        if after:
            met[after.unit].add((before.unit_type, before.unit, before.variant))
    caused = [
        unit
        for unit, theirs in met.items()
        if len({v for _, _, v in theirs}) > 1 and len({(k, u) for k, u, _ in theirs}) == len(theirs)
    ]
    assert found.joined == Joined(
        anonymous=len(devices),
        joined=sum(known.get(device) is not None for device in devices),
        conflicts=sum(len({to for _, to in links.get(device, [])}) > 1 for device in devices),
        left_out=sum(device in known and known[device] is None for device in devices),
        crossovers=len(caused),
    )


def test_units_left_out_by_name_are_counted_where_they_were_exposed(store: Store) -> None:
    found, exposures, _ = analyse(store, 1, left_out=("1", "2", "nobody"))
    assert found.overridden == len({"1", "2"} & set(first_times(exposures)))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, hour=st.sampled_from([1, 2, 3, 26, 27]), joins=st.booleans())
def test_what_comes_after_the_end_says_nothing_of_who_counts(
    store: Store, seed: int, hour: int, joins: bool
) -> None:
    asked: dict[str, Any] = {
        "segments": (Segment("country", "see", "country"),),
        "bots": Bots(most_events=3, event="login"),
        "identity": Identity("device", "user", "login", "user") if joins else None,
    }
    end = START + timedelta(hours=hour)
    ended, exposures, events = analyse(store, seed, until=end.replace(tzinfo=UTC), **asked)
    store.fill([each for each in exposures if each.time < end], [each for each in events if each.time < end])
    before = analyse_store(store.backend, replace(REQUEST, **asked))
    assert replace(ended, watermark=None) == replace(before, watermark=None)
