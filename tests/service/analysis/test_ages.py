"""What units do at each age, on DuckDB, against plain Python on random data."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.analysis.metric_reference import PLACE, START, Event, Exposure, assert_moments, reference
from tests.service.analysis.test_metrics import COUNTRIES, EVENTS, EXPOSURES, Store, crowd, named
from tests.service.analysis.test_metrics import store as store

from equipoise_service.analysis.ages import Ages, ages_in, analyse_ages, has_ages
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.plans.documents import PlannedMetric

AS_OF = START + timedelta(hours=110)
THREE = Ages(3, 1)
ASKED: list[dict[str, Any]] = [
    {"type": "mean"},
    {"type": "mean", "aggregation": "count", "filters": [COUNTRIES]},
    {"type": "proportion"},
    # An age is of the unit, whatever the metric leaves out, cuts or adjusts for.
    {"type": "proportion", "delay_hours": 30, "window_hours": 72, "pre_period_days": 1},
    {"type": "mean", "winsorize": 0.5, "window_hours": 80},
    {"type": "mean", "covariate": {"event": "see", "aggregation": "count", "pre_period_days": 1}},
]
ENDS = st.sampled_from([None, *(START + timedelta(hours=hours) for hours in (37, 73, 75, 96, 108))])


def bare(definition: dict[str, Any]) -> dict[str, Any]:
    left_out = ("delay_hours", "window_hours", "pre_period_days", "covariate", "winsorize")
    return {name: value for name, value in definition.items() if name not in left_out}


def expected_rows(
    definition: dict[str, Any], exposures: list[Exposure], events: list[Event], until: datetime | None
) -> dict[str, list[dict[str, Any]]]:
    """For each arm the numbers of each unit whose three days were over at the end."""
    end = AS_OF if until is None else min(AS_OF, until)
    found: dict[str, list[dict[str, Any]]] = {}
    for age in range(3):
        part = bare(definition) | {"delay_hours": 24 * age, "window_hours": 24 * (age + 1)}
        # At this moment the part is over for those of whom the last one is over at the end.
        moment = end - timedelta(hours=24 * (2 - age))
        for variant, arm in reference(part, exposures, events, moment, until).items():
            rows = found.setdefault(variant, [{} for _ in arm.rows])
            for row, of_age in zip(rows, arm.rows, strict=True):
                row[f"a{age}"] = of_age["y"]
    return found


@settings(max_examples=60, deadline=None)
@given(exposures=EXPOSURES, events=EVENTS, until=ENDS)
def test_equals_plain_python(
    store: Store, exposures: list[Exposure], events: list[Event], until: datetime | None
) -> None:
    store.fill(exposures, events)
    assert_ages(store, exposures, events, until)


@pytest.mark.parametrize("until", [None, START + timedelta(hours=96)])
def test_equals_plain_python_on_dense_data(store: Store, until: datetime | None) -> None:
    exposures, events = crowd(11)
    store.fill(exposures, events)
    assert_ages(store, exposures, events, until)


def assert_ages(store: Store, exposures: list[Exposure], events: list[Event], until: datetime | None) -> None:
    definitions = [named(each, i) for i, each in enumerate(ASKED)]
    found = ages_of(store, definitions, until=until)
    for definition in definitions:
        expected = expected_rows(definition, exposures, events, until)
        assert found[definition["key"]].keys() == expected.keys()
        for variant, rows in expected.items():
            assert_moments(found[definition["key"]][variant], rows)


def ages_of(
    store: Store,
    definitions: list[dict[str, Any]],
    *,
    until: datetime | None = None,
    left_out: tuple[str, ...] = (),
) -> Any:
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    end = None if until is None else until.replace(tzinfo=UTC)
    request = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC), end, left_out)
    exposures, events = store.backend.table("exposures"), store.backend.table("events")
    ages = {each["key"]: THREE for each in definitions}
    return analyse_ages(store.backend, exposures, events, request, ages)


def test_who_is_left_out_is_left_out_here(store: Store) -> None:
    shown = [Exposure(PLACE, START, START, "user", f"u{i}", "exp", "ab"[i % 2], 2) for i in range(6)]
    store.fill(shown, [])
    found = ages_of(store, [named({"type": "mean"})], left_out=("u1", "u3"))
    assert {variant: arm.n for variant, arm in found["metric-0"].items()} == {"a": 3, "b": 1}


@given(days=st.integers(0, 400))
def test_ages_cover_nearly_all_days(days: int) -> None:
    ages = ages_in(days)
    if ages is None:
        assert days < 3
        return
    assert 3 <= ages.count <= 7
    assert ages.days * ages.count <= days < ages.days * (ages.count + 1)
    assert ages.middles == sorted(ages.middles)
    assert ages.middles[0] >= 0


@pytest.mark.parametrize(
    ("definition", "can"),
    [
        ({"type": "mean", "aggregation": "count"}, True),
        ({"type": "proportion"}, True),
        ({"type": "mean", "aggregation": "last"}, False),
        ({"type": "mean", "aggregation": "maximum"}, False),
        ({"type": "retention", "from_day": 0, "to_day": 3}, False),
        ({"type": "quantile", "quantile": 0.5, "level": "unit"}, False),
        ({"type": "ratio", "denominator": {"event": "see"}}, False),
    ],
)
def test_only_what_is_added_up_has_ages(definition: dict[str, Any], can: bool) -> None:
    assert has_ages(PlannedMetric.model_validate(named(definition)).measure) is can
