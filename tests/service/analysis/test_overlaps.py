"""The units of an experiment that met another one, on DuckDB, against plain Python on random data."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.analysis.test_store import (
    REQUEST,
    START,
    Event,
    Exposure,
    Store,
)
from tests.service.analysis.test_store import store as store

from equipoise_service.analysis.overlaps import Bounds, Other, Overlap, analyse_overlaps
from equipoise_service.analysis.requests import StoreRequest
from equipoise_stats import Counts, Moments

OTHERS = (Other("other", (1, 3)), Other("third", (2,)), Other("nobody", (1,)))
ALL = Bounds(most=5, fewest_units=1)
Found = dict[str, dict[str, dict[str, tuple[int, Any, Any]]]]


def crowd(seed: int) -> tuple[list[Exposure], list[Event]]:
    """Units that mostly keep their variants and are in several experiments, some of them too late."""
    chance = random.Random(seed)

    def fact() -> dict[str, Any]:
        time = START + timedelta(minutes=chance.randrange(8))
        here = {"place": "default/production", "unit_type": "user"}
        elsewhere = {"place": "default/staging"}, {"unit_type": "device"}
        return here | {"time": time, "received_at": time} | chance.choice([{}] * 12 + [*elsewhere])

    exposures, events = [], []
    for unit in (f"unit-{i}" for i in range(30)):
        for experiment in ("exp", "other", "third"):
            usual = chance.choice(["control", "none"])
            for _ in range(chance.choice([0, 1, 1, 2, 3])):
                variant = usual if chance.random() < 0.8 else "none"
                revision = chance.choice([2, 2, 1] if experiment == "exp" else [1, 2, 3])
                exposures.append(
                    Exposure(**fact(), unit=unit, experiment=experiment, variant=variant, revision=revision)
                )
        for _ in range(chance.randrange(4)):
            value = chance.choice([None, float(chance.randint(-9, 9))])
            events.append(Event(**fact(), unit=unit, name=chance.choice(["purchase", "page"]), value=value))
    return exposures, events


def reference(exposures: list[Exposure], events: list[Event], request: StoreRequest) -> Found:
    """For each other experiment, its variant and the arm: units, how many bought and what they spent."""
    met: dict[tuple[str, str], list[Exposure]] = defaultdict(list)
    revisions = {"exp": (2,), **{other.experiment: other.revisions for other in OTHERS}}
    for e in exposures:
        here = (e.place, e.unit_type) == ("default/production", "user")
        ended = request.until is not None and e.time >= request.until.replace(tzinfo=None)
        if here and not ended and e.revision in revisions[e.experiment] and e.unit not in request.left_out:
            met[e.unit, e.experiment].append(e)
    one = {key: rows for key, rows in met.items() if len({row.variant for row in rows}) == 1}
    found: Found = defaultdict(lambda: defaultdict(dict))
    for (unit, experiment), rows in one.items():
        if experiment != "exp" or (unit, "exp") not in one:
            continue
        first = min(row.time for row in rows)
        values = [
            e.value or 0.0
            for e in events
            if (e.place, e.unit_type, e.unit, e.name) == ("default/production", "user", unit, "purchase")
            and e.time >= first
            and (request.until is None or e.time < request.until.replace(tzinfo=None))
        ]
        for other in OTHERS:
            theirs = one.get((unit, other.experiment))
            if theirs is not None:
                arms = found[other.experiment][theirs[0].variant]
                units, bought, spent = arms.get(rows[0].variant, (0, 0, 0.0))
                arms[rows[0].variant] = (units + 1, bought + bool(values), spent + sum(values))
    return found


def overlaps_in(
    store: Store,
    request: StoreRequest,
    others: Sequence[Other],
    bounds: Bounds,
    left_out: ir.Table | None = None,
) -> list[Overlap]:
    exposures, events = store.backend.table("exposures"), store.backend.table("events")
    return analyse_overlaps(store.backend, exposures, events, request, others, bounds, left_out)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    minutes=st.none() | st.integers(2, 7),
    left_out=st.sampled_from([(), ("unit-1", "unit-4")]),
)
def test_equals_plain_python(
    store: Store,
    seed: int,
    minutes: int | None,
    left_out: tuple[str, ...],
) -> None:
    exposures, events = crowd(seed)
    store.fill(exposures, events)
    until = None if minutes is None else (START + timedelta(minutes=minutes)).replace(tzinfo=UTC)
    request = replace(REQUEST, until=until, left_out=left_out)
    named = pa.table({"unit": pa.array(left_out, pa.string())})
    table = store.backend.create_table("left_out", named, overwrite=True, temp=True) if left_out else None
    found = overlaps_in(store, request, OTHERS, ALL, table)
    expected = reference(exposures, events, request)
    assert {each.experiment for each in found} == set(expected)
    assert [each.units for each in found] == sorted((each.units for each in found), reverse=True)
    for overlap in found:
        parts = expected[overlap.experiment]
        assert [part.label for part in overlap.parts] == sorted(parts)
        for part in overlap.parts:
            assert part.arms.keys() == parts[part.label].keys()
            for variant, arm in part.arms.items():
                units, bought, spent = parts[part.label][variant]
                assert arm.units == units
                assert arm.values["bought"] == Counts(units, bought)
                moments = arm.values["spent"]
                assert isinstance(moments, Moments)
                assert moments.mean[0] * units == pytest.approx(spent, rel=1e-12, abs=1e-6)


def test_only_the_largest_overlaps_are_analysed(store: Store) -> None:
    def exposed(unit: str, experiment: str, variant: str) -> Exposure:
        return Exposure("default/production", START, START, "user", unit, experiment, variant, 1)

    sizes = {"a": 30, "b": 50, "c": 9, "d": 40}
    shown = [
        exposed(f"u{i}", key, "on" if i % 2 else "off") for key, units in sizes.items() for i in range(units)
    ]
    store.fill([*shown, *(exposed(f"u{i}", "exp", "ab"[i % 3 == 0]) for i in range(60))], [])
    request = replace(REQUEST, revision=1)
    others = [Other(key, (1,)) for key in sizes]
    for most, names in ((2, ["b", "d"]), (9, ["b", "d", "a"])):
        found = overlaps_in(store, request, others, Bounds(most=most, fewest_units=10))
        assert [(each.experiment, each.units) for each in found] == [(name, sizes[name]) for name in names]
    arms = Counter({part.label: part.arms["a"].units for part in found[0].parts})
    assert arms == Counter("off" if i % 2 == 0 else "on" for i in range(50) if i % 3)
