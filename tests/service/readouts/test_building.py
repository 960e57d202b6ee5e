"""From statistics to the readout: known numbers, statuses, what always holds."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    converted,
    moments,
    plan,
    rich_readout,
    statistics,
)

from equipoise_service.analysis.statistics import NotFinite
from equipoise_service.canonical import digest
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts


def test_the_landing_page_experiment() -> None:
    # Udacity's landing-page test: counts are public, the numbers are what any textbook z test gives.
    readout = converted((17_468, 144_300), (17_268, 144_389), crossovers=1_895)
    (comparison,) = readout["metrics"][0]["comparisons"]
    assert comparison["difference"]["estimate"] == pytest.approx(-0.001460, abs=5e-7)
    assert comparison["difference"]["interval"] == pytest.approx([-0.00383, 0.00091], abs=5e-6)
    assert comparison["difference"]["p_value"] == pytest.approx(0.2280, abs=5e-5)
    assert comparison["lift"]["estimate"] == pytest.approx(-0.01206, abs=5e-6)
    # Where |p_t − R p_c| = 1.96 √(v_t + R² v_c), found with a root finder.
    assert comparison["lift"]["interval"] == pytest.approx([-0.0313596, 0.0076240], abs=5e-8)
    assert comparison["statistics"]["baseline"] == {"n": 144_300, "immature": 0, "successes": 17_468}
    assert readout["health"]["sample_ratio"]["status"] == "ok"
    assert readout["health"]["sample_ratio"]["p_value"] == pytest.approx(0.868, abs=5e-4)
    crossovers = readout["health"]["crossovers"]
    assert (crossovers["status"], crossovers["units"]) == ("warning", 1_895)
    assert crossovers["share"] == pytest.approx(1_895 / 290_584)


def test_its_members_are_those_of_the_schema() -> None:
    readout = rich_readout()
    assert list(readout) == [
        "schema",
        "experiment",
        "revision",
        "generated_at",
        "watermark",
        "started_at",
        "ended_at",
        "traffic",
        "traffic_steps",
        "paused_seconds",
        "plan",
        "plan_digest",
        "locked",
        "deviations",
        "asked_at",
        "statistics_digest",
        "looks",
        "progress",
        "arms",
        "health",
        "population",
        "metrics",
        "segments",
        "by_day",
        "by_age",
        "holdback",
        "repeat",
        "stands_on",
        "recommendation",
        "summary",
        "wording",
        "digests",
        "digest",
    ]
    complete = Readout.model_validate(readout).model_dump(mode="json", by_alias=True)
    assert complete.pop("sources") is None, "left out where the plan names none"
    assert complete == readout
    assert (readout["generated_at"], readout["watermark"]) == (
        "2026-03-08T12:30:00Z",
        "2026-03-08T12:29:59.250000Z",
    )


def test_each_treatment_is_compared_with_the_control() -> None:
    readout = rich_readout()
    for metric in readout["metrics"]:
        assert [(c["variant"], c["baseline"]) for c in metric["comparisons"]] == [
            ("a", "control"),
            ("b", "control"),
        ]
    assert [arm["expected_share"] for arm in readout["arms"]] == [pytest.approx(1 / 3)] * 3


def test_the_digests_are_of_the_canonical_json() -> None:
    readout = rich_readout()
    assert readout["plan_digest"] == digest(readout["plan"])
    assert readout["digest"] == digest({name: value for name, value in readout.items() if name != "digest"})


def test_units_of_a_variant_that_was_not_planned_are_shown_and_fail_the_sample_ratio() -> None:
    found = statistics(
        control={"converted": Counts(500, 50)},
        treatment={"converted": Counts(500, 60)},
        ghost={"converted": Counts(3, 0)},
    )
    readout = build_readout(plan(CONVERTED), found, PROVENANCE)
    assert readout["arms"][2] == {"variant": "ghost", "units": 3, "expected_share": 0}
    assert readout["health"]["sample_ratio"]["status"] == "failed"
    assert "ghost" in readout["health"]["sample_ratio"]["reason"]
    assert verify_readout(readout) == []


@pytest.mark.parametrize(
    ("control", "treatment", "status"),
    [
        ((0, 0), (0, 0), "too_few_units"),
        ((1, 1), (0, 1), "too_few_units"),
        ((0, 50), (0, 50), "no_variance"),
        ((50, 50), (50, 50), "no_variance"),
    ],
)
def test_a_difference_that_cannot_be_given_has_a_status_and_a_reason(
    control: tuple[int, int], treatment: tuple[int, int], status: str
) -> None:
    (comparison,) = converted(control, treatment)["metrics"][0]["comparisons"]
    assert comparison["difference"]["status"] == status
    assert comparison["difference"]["reason"]
    assert comparison["difference"]["p_value"] is None


def test_a_lift_on_nothing_has_a_status_and_the_difference_stays() -> None:
    (comparison,) = converted((0, 500), (50, 500))["metrics"][0]["comparisons"]
    assert comparison["lift"]["status"] == "control_not_positive"
    assert comparison["lift"]["estimate"] is None
    assert comparison["difference"]["status"] == "ok"
    assert comparison["warnings"][0]["code"] == "few_events"


def test_values_too_large_to_add_have_a_status() -> None:
    found = statistics(control={"load-time": moments(100, 5.0, 1.0)}, treatment={"load-time": NotFinite(100)})
    readout = build_readout(plan(LOAD_TIME), found, PROVENANCE)
    (comparison,) = readout["metrics"][0]["comparisons"]
    assert comparison["difference"]["status"] == comparison["lift"]["status"] == "not_finite"
    nothing = {"mean": None, "m2": None, "m3": None}
    assert comparison["statistics"]["variant"] == {"n": 100, "immature": 0, **nothing}
    assert verify_readout(readout) == []


@pytest.mark.parametrize(("crossovers", "status"), [(0, "ok"), (1, "ok"), (2, "warning")])
def test_crossovers_warn_above_one_in_a_thousand_of_all_units_seen(crossovers: int, status: str) -> None:
    readout = converted((50, 500), (50, 499 if crossovers == 1 else 500), crossovers=crossovers)
    assert readout["health"]["crossovers"]["status"] == status


@pytest.mark.parametrize(
    ("crossovers", "units", "status"), [(10, 990, "warning"), (11, 989, "failed"), (9, 100, "warning")]
)
def test_crossovers_fail_above_one_in_a_hundred_where_they_are_no_few(
    crossovers: int, units: int, status: str
) -> None:
    half = units // 2
    readout = converted((50, half), (50, units - half), crossovers=crossovers)
    assert readout["health"]["crossovers"]["status"] == status
    if status == "failed":
        assert readout["recommendation"]["outcome"] == "investigate"
        assert "More than 1 % of the units met several variants" in readout["summary"]


def test_no_units_at_all() -> None:
    readout = build_readout(plan(CONVERTED, LOAD_TIME), statistics(), PROVENANCE)
    assert [arm["units"] for arm in readout["arms"]] == [0, 0]
    assert readout["health"]["sample_ratio"]["status"] == "unavailable"
    crossovers = readout["health"]["crossovers"]
    assert (crossovers["status"], crossovers["units"], crossovers["share"]) == ("ok", 0, None)
    assert verify_readout(readout) == []


COUNTS = st.integers(0, 3_000).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))
MEANS = st.floats(-1e12, 1e12) | st.floats(allow_nan=False, allow_infinity=False)
VARIANCES = st.just(0.0) | st.floats(1e-6, 1e12) | st.floats(0, 1e300)


@settings(max_examples=150, deadline=None)
@given(
    counts=st.tuples(COUNTS, COUNTS),
    means=st.tuples(MEANS, MEANS),
    variances=st.tuples(VARIANCES, VARIANCES),
    crossovers=st.integers(0, 10),
)
def test_whatever_the_data_every_number_is_finite_or_has_a_status(
    counts: tuple[Counts, Counts], means: tuple[float, float], variances: tuple[float, float], crossovers: int
) -> None:
    arms: dict[str, Any] = {
        variant: {"converted": c, "load-time": moments(c.n, mean, variance)}
        for variant, c, mean, variance in zip(("control", "treatment"), counts, means, variances, strict=True)
        if c.n
    }
    readout = build_readout(plan(CONVERTED, LOAD_TIME), statistics(crossovers, **arms), PROVENANCE)
    parsed = json.loads(json.dumps(readout, allow_nan=False))
    assert verify_readout(parsed) == []
    for metric in parsed["metrics"]:
        for comparison in metric["comparisons"]:
            for name in ("difference", "lift"):
                effect = comparison[name]
                if effect["status"] == "ok":
                    assert effect["interval"][0] <= effect["estimate"] <= effect["interval"][1]
                    assert effect["reason"] is None
                else:
                    assert effect["interval"] is None
                    assert effect["reason"]
            difference, lift = comparison["difference"], comparison["lift"]
            if difference["p_value"] is not None:
                assert 0 < difference["p_value"] <= 1
                significant = difference["p_value"] <= 0.05
                assert significant == (math.prod(difference["interval"]) > 0)
                if lift["interval"] is not None:
                    assert significant == (math.prod(lift["interval"]) > 0)
    assert parsed["summary"]
