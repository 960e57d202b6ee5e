"""What is recommended in every state, and that it never contradicts the numbers beside it."""

import math
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    START,
    bayesian_readout,
    converted,
    looked_readout,
    moments,
    plan,
    seal,
    statistics,
)

from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, Statistics
from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import Horizon, MarginScale, Method, Multiplicity, Prior
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, Moments, holm

SLOWER = LOAD_TIME.model_copy(update={"margin": 0.02})
LOGGED = LOAD_TIME.model_copy(update={"key": "logged", "role": Role.QUALITY})


def measured(*metrics: PlannedMetric, control: Any, treatment: Any, **more: Any) -> dict[str, Any]:
    return build_readout(plan(*metrics, **more), statistics(control=control, treatment=treatment), PROVENANCE)


def advice(readout: dict[str, Any]) -> tuple[str | None, list[str]]:
    assert verify_readout(readout) == []
    found = readout["recommendation"]
    return found["outcome"], [reason["code"] for reason in found["reasons"]]


def test_a_winner_is_shipped_by_every_method() -> None:
    for method in (Method.FIXED_HORIZON, Method.CONFIDENCE_SEQUENCE):
        readout = converted((1_000, 10_000), (1_200, 10_000), method=method)
        assert advice(readout) == ("ship", ["success_shown"])
        assert readout["recommendation"]["variant"] == "treatment"
    assert advice(looked_readout()) == ("ship", ["success_shown", "guardrail_shown"])
    assert advice(bayesian_readout()) == ("ship", ["success_shown"])


def test_a_loser_is_not_shipped_and_harm_is_found_before_the_end_too() -> None:
    assert advice(converted((1_200, 10_000), (1_000, 10_000)))[0] == "do_not_ship"
    for method in (Method.FIXED_HORIZON, Method.GROUP_SEQUENTIAL, Method.BAYESIAN):
        more: dict[str, Any] = {"prior": {"standard_deviation": 0.1}} if method is Method.BAYESIAN else {}
        horizon = Horizon(units=1_000_000)
        readout = converted((1_300, 10_000), (1_000, 10_000), method=method, horizon=horizon, **more)
        assert advice(readout) == ("do_not_ship", ["deteriorated"])
        assert readout["metrics"][0]["comparisons"][0]["difference"]["p_value"] is None


def test_nothing_is_shipped_while_shares_differ_by_more_than_one_test_allows() -> None:
    """856 and 673 units: p 2.9e-6 by one test, which is not valid yet, and 0.0021 by the one that is."""
    running = {"method": Method.CONFIDENCE_SEQUENCE}
    readout = converted((86, 856), (290, 673), **running)
    assert readout["health"]["sequential_sample_ratio"]["status"] == "ok"
    assert readout["health"]["sample_ratio"]["status"] == "warning"
    assert advice(readout) == ("keep_running", ["quality_unavailable"])
    assert "The check Sample ratio has no result yet." in readout["summary"]
    assert readout["metrics"][0]["comparisons"][0]["detected"]
    # That of an earlier release, which shipped it, is for that release.
    older = deepcopy(readout) | {"wording": "0" * 64}
    older["recommendation"] = older["recommendation"] | {"outcome": "ship", "variant": "treatment"}
    seal(older)
    with pytest.raises(NotAReadout, match="of an earlier release, which had other rules for /recommendation"):
        verify_readout(older)
    # Harm is told all the same, and what has its planned shares is shipped.
    assert advice(converted((290, 673), (86, 856), **running)) == ("do_not_ship", ["deteriorated"])
    assert advice(converted((86, 765), (290, 764), **running))[0] == "ship"


def test_before_the_end_a_winner_waits_and_the_readout_says_until_when() -> None:
    started = replace(PROVENANCE, started_at=START, traffic=1.0)
    found = statistics(
        control={"converted": Counts(9_000, 900)}, treatment={"converted": Counts(9_000, 1_200)}
    )
    horizon = Horizon(units=20_000, days=28)
    for method in (Method.FIXED_HORIZON, Method.GROUP_SEQUENTIAL):
        readout = build_readout(plan(CONVERTED, method=method, horizon=horizon), found, started)
        assert advice(readout) == ("keep_running", ["waits_for_the_end"])
        assert readout["recommendation"]["until"] == {
            "units": 20_000,
            "units_left": 2_000,
            "at": "2026-03-22T12:30:00Z",
        }
        assert "It is too early to conclude about converted" in readout["summary"]
        assert "which is better" not in readout["summary"]
    late = replace(started, generated_at=START + timedelta(days=28))
    readout = build_readout(plan(CONVERTED, method=Method.FIXED_HORIZON, horizon=horizon), found, late)
    assert advice(readout)[0] == "ship"


def test_flat_says_how_small_an_effect_is_excluded_and_underpowered_says_so() -> None:
    wanted = CONVERTED.model_copy(update={"mde": 0.05})
    flat = measured(
        wanted,
        control={"converted": Counts(200_000, 20_000)},
        treatment={"converted": Counts(200_000, 20_010)},
    )
    assert advice(flat) == ("do_not_ship", ["success_not_shown"])
    assert "larger effects either way are excluded" in flat["summary"]
    assert "too few" not in flat["summary"]
    few = measured(
        wanted, control={"converted": Counts(2_000, 200)}, treatment={"converted": Counts(2_000, 201)}
    )
    assert "An effect of +5.0 %, which the plan wants found, is not excluded" in few["summary"]


@pytest.mark.parametrize(
    ("slower", "outcome", "code"),
    [
        (0.0, "ship", "guardrail_shown"),
        (8.0, "do_not_ship", "guardrail_not_shown"),
        (90.0, "do_not_ship", "deteriorated"),
    ],
)
def test_a_guardrail_has_to_be_shown_within_its_margin(slower: float, outcome: str, code: str) -> None:
    readout = measured(
        CONVERTED,
        SLOWER,
        control={"converted": Counts(10_000, 1_000), "load-time": moments(10_000, 800.0, 90_000.0)},
        treatment={
            "converted": Counts(10_000, 1_200),
            "load-time": moments(10_000, 800.0 + slower, 90_000.0),
        },
    )
    found = advice(readout)
    assert found[0] == outcome
    assert code in found[1]


@pytest.mark.parametrize(("role", "margin"), [(Role.GUARDRAIL, 0.05), (Role.DETERIORATION, None)])
def test_what_is_no_harm_by_the_plan_is_not_called_worse_beside_a_ship(
    role: Role, margin: float | None
) -> None:
    beside = LOAD_TIME.model_copy(update={"role": role, "margin": margin})

    def slower(milliseconds: float) -> dict[str, Any]:
        return measured(
            CONVERTED,
            beside,
            control={"converted": Counts(10_000, 1_000), "load-time": moments(10_000, 800.0, 90_000.0)},
            treatment={
                "converted": Counts(10_000, 1_200),
                "load-time": moments(10_000, 800.0 + milliseconds, 90_000.0),
            },
        )

    # 2.1 standard errors: different at 0.05, and no harm by a margin or by the plan's share of alpha.
    no_harm, harm = slower(9.0), slower(90.0)
    assert no_harm["metrics"][1]["comparisons"][0]["detected"]
    assert advice(no_harm)[0] == "ship"
    assert "orse" not in no_harm["summary"]
    said = (
        f"Differs in the unwanted direction, though harm is not shown by the plan's test: load-time ({role})."
    )
    assert said in no_harm["summary"]
    assert advice(harm)[0] == "do_not_ship"
    assert f"Worse: load-time ({role})." in harm["summary"]
    assert "unwanted" not in harm["summary"]


def test_a_margin_may_be_a_difference() -> None:
    points = CONVERTED.model_copy(
        update={"key": "kept", "role": Role.GUARDRAIL, "margin": 0.02, "scale": MarginScale.DIFFERENCE}
    )
    arms = [
        {"converted": Counts(10_000, 1_000 + better), "kept": Counts(10_000, 9_000 - worse)}
        for better, worse in ((0, 0), (200, 40))
    ]
    readout = measured(CONVERTED, points, control=arms[0], treatment=arms[1])
    assert advice(readout) == ("ship", ["success_shown", "guardrail_shown"])
    assert "kept is shown to lose less than its margin of 2.00 % points." in readout["summary"]


@pytest.mark.parametrize("method", [Method.FIXED_HORIZON, Method.CONFIDENCE_SEQUENCE])
def test_what_is_broken_is_never_shipped(method: Method) -> None:
    won = {"converted": Counts(10_000, 1_200)}
    broken = [
        converted((1_000, 10_000), (1_300, 11_000), method=method),
        measured(
            CONVERTED,
            LOGGED,
            control={"converted": Counts(10_000, 1_000), "logged": moments(10_000, 5.0, 2.0)},
            treatment=won | {"logged": moments(10_000, 5.2, 2.0)},
            method=method,
        ),
        measured(
            LOAD_TIME.model_copy(
                update={"role": Role.SUCCESS, "direction": Direction.INCREASE, "pre_period_days": 14}
            ),
            control={"load-time": Moments(10_000, ("y", "y_before"), (10.0, 8.0), ((4e4, 3e4), (3e4, 4e4)))},
            treatment={
                "load-time": Moments(10_000, ("y", "y_before"), (11.0, 8.2), ((4e4, 3e4), (3e4, 4e4)))
            },
            method=method,
        ),
    ]
    for readout in broken:
        assert advice(readout) == (
            "investigate",
            ["quality_failed"] * len(readout["recommendation"]["reasons"]),
        )
        assert readout["summary"].startswith("Do not rely on these results")
        failed = [check for check in readout["health"].values() if check and check["status"] == "failed"]
        assert failed
        assert all(check["causes"] and check["action"] and check["reason"] for check in failed)


def test_a_ratio_of_shares_may_warn_but_not_fail_before_the_end() -> None:
    horizon = Horizon(units=100_000)
    readout = converted((1_000, 10_000), (1_050, 10_500), method=Method.FIXED_HORIZON, horizon=horizon)
    check = readout["health"]["sample_ratio"]
    assert (check["status"], check["p_value"], check["number"]) == ("warning", None, "no p-value")
    assert readout["health"]["sequential_sample_ratio"]["status"] == "ok"
    at_the_end = converted((1_000, 10_000), (1_050, 10_500))["health"]["sample_ratio"]
    # Pearson's chi-square: 250 more and 250 fewer than 10,250.
    p = math.erfc(math.sqrt(2 * 250**2 / 10_250 / 2))
    assert (at_the_end["status"], at_the_end["p_value"]) == ("failed", pytest.approx(p))


def test_without_a_success_metric_only_harm_and_failed_checks_are_told() -> None:
    def found(slower: float, units: int = 100) -> tuple[str | None, list[str]]:
        same = {"load-time": moments(100, 5.0, 1.0)}
        return advice(
            measured(LOAD_TIME, control=same, treatment={"load-time": moments(units, 5.0 + slower, 1.0)})
        )

    assert found(0.0) == (None, [])
    assert found(-3.0) == (None, [])
    assert found(3.0) == ("do_not_ship", ["deteriorated"])
    outcome, codes = found(3.0, units=500)
    assert (outcome, set(codes)) == ("investigate", {"quality_failed"})


def test_without_a_success_metric_one_of_several_treatments_may_be_worse() -> None:
    same: dict[str, ArmValues] = {"load-time": moments(100, 5.0, 1.0)}
    slower: dict[str, ArmValues] = {"load-time": moments(100, 8.0, 1.0)}
    found = statistics(control=same, a=same, b=slower)
    readout = build_readout(plan(LOAD_TIME, variants=("control", "a", "b")), found, PROVENANCE)
    assert advice(readout) == (None, [])
    assert [(each["variant"], each["outcome"]) for each in readout["recommendation"]["treatments"]] == [
        ("b", "do_not_ship")
    ]
    assert "Worse" in readout["summary"] or "worse" in readout["summary"]


def test_the_family_is_all_success_metrics_and_treatments() -> None:
    other = CONVERTED.model_copy(update={"key": "bought"})
    successes = {"control": (1_000, 500), "a": (1_095, 560), "b": (1_060, 580)}
    arms: dict[str, Any] = {
        arm: {"converted": Counts(10_000, one), "bought": Counts(10_000, two)}
        for arm, (one, two) in successes.items()
    }
    found = statistics(**arms)
    readouts = {
        each: build_readout(
            plan(CONVERTED, other, variants=("control", "a", "b"), multiplicity=each), found, PROVENANCE
        )
        for each in Multiplicity
    }
    for each, readout in readouts.items():
        assert verify_readout(readout) == []
        comparisons = [c for metric in readout["metrics"] for c in metric["comparisons"]]
        plain = [c["difference"]["p_value"] for c in comparisons]
        adjusted = [c["corrected"]["p_value"] for c in comparisons]
        expected = {
            Multiplicity.NONE: plain,
            Multiplicity.HOLM: holm(plain).tolist(),
            Multiplicity.BENJAMINI_HOCHBERG: _step_up(plain),
        }
        if each in expected:
            assert adjusted == pytest.approx(expected[each], rel=1e-12)
        else:
            # Dunnett's correlation costs less than Bonferroni, and more than nothing.
            assert all(2 * p < q < min(1.0, 4 * p) for p, q in zip(plain, adjusted, strict=True))
        assert all(c["detected"] == (c["corrected"]["p_value"] <= 0.05) for c in comparisons)
        between = readout["metrics"][0]["between_treatments"]
        assert [(c["variant"], c["baseline"]) for c in between] == [("b", "a")]


def _step_up(p_values: list[float]) -> list[float]:
    """Benjamini and Hochberg, from the definition."""
    m = len(p_values)
    ranked = sorted(p_values)
    return [min(1.0, *(m * q / (k + 1) for k, q in enumerate(ranked) if q >= p)) for p in p_values]


# Around what the tests can tell apart, and far from it.
SHARES = st.tuples(st.just(1_000), st.integers(900, 1_200)) | st.tuples(*[st.integers(0, 3_000)] * 2)
VALUES = st.floats(790, 815) | st.floats(700, 900)


@settings(max_examples=120, deadline=None)
@given(
    shares=SHARES,
    speed=VALUES,
    method=st.sampled_from([Method.FIXED_HORIZON, Method.CONFIDENCE_SEQUENCE, Method.BAYESIAN]),
    crossovers=st.integers(0, 50),
)
def test_a_recommendation_agrees_with_the_intervals_beside_it(
    shares: tuple[int, int], speed: float, method: Method, crossovers: int
) -> None:
    more: dict[str, Any] = {"prior": {"standard_deviation": 0.2}} if method is Method.BAYESIAN else {}
    values: list[dict[str, ArmValues]] = [
        {"converted": Counts(10_000, successes), "load-time": moments(10_000, mean, 90_000.0)}
        for successes, mean in zip(shares, (800.0, speed), strict=True)
    ]
    arms = dict(zip(("control", "treatment"), (ArmStatistics(10_000, each) for each in values), strict=True))
    planned = plan(CONVERTED, SLOWER, method=method, horizon=Horizon(units=20_000), **more)
    readout = build_readout(planned, Statistics(arms, crossovers, None), PROVENANCE)
    won, slower = (metric["comparisons"][0] for metric in readout["metrics"])
    outcome = advice(readout)[0]
    if outcome == "ship":
        assert won["difference"]["interval"][0] > 0
        assert slower["lift"]["interval"][1] < 0.02
        assert readout["summary"].startswith("Ship treatment.")
    elif won["difference"]["interval"] and won["difference"]["interval"][0] > 0:
        # Something else stands against it, and is said.
        assert set(advice(readout)[1]) & {"deteriorated", "guardrail_not_shown", "no_answer"}
    for comparison in (won, slower):
        if comparison["difference"]["p_value"] is not None and comparison["difference"]["interval"]:
            low, high = comparison["difference"]["interval"]
            assert (comparison["difference"]["p_value"] <= 0.05) == (low > 0 or high < 0)


def test_a_margin_of_a_lift_that_nobody_can_bound_has_no_answer() -> None:
    # Next to nobody of the control did it, so that what is lost of it cannot be told as a share.
    metric = CONVERTED.model_copy(update={"key": "refunded", "role": Role.GUARDRAIL, "margin": 0.02})
    readout = measured(
        CONVERTED,
        metric,
        control={"converted": Counts(2_000, 200), "refunded": Counts(2_000, 2)},
        treatment={"converted": Counts(2_000, 300), "refunded": Counts(2_000, 0)},
        method=Method.BAYESIAN,
        horizon=Horizon(units=1_000),
        prior=Prior(mean=0.0, standard_deviation=0.1),
    )
    assert advice(readout) == ("investigate", ["no_answer"])
    (reason,) = readout["recommendation"]["reasons"]
    assert reason["subject"] == "refunded"
    assert reason["message"].endswith(readout["metrics"][1]["comparisons"][0]["lift"]["reason"])
    assert verify_readout(readout) == []
