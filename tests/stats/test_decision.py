"""The decision rule: its levels, its outcomes, and how often it errs."""

import itertools
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import equipoise_stats as es
from equipoise_stats.inference.compare import Compare

OK = {"sample ratio": es.CheckStatus.OK}
Z = stats.norm.isf


def fixed(effect: float, se: float = 0.01, control: float = 1.0) -> Compare:
    half = se**2 / 2
    estimate = es.Estimate(
        "x", es.ArmEstimate(500, control + effect, half), es.ArmEstimate(500, control, half)
    )
    return partial(es.fixed_horizon, estimate)


def sequence(effect: float) -> Compare:
    estimate = es.Estimate("x", es.ArmEstimate(500, 1 + effect, 5e-5), es.ArmEstimate(500, 1.0, 5e-5))
    return partial(es.confidence_sequence, estimate, tuning_units=1000)


def unanswered() -> Compare:
    arm = es.Moments.scalar(10, 1.0, 0.0)
    return partial(es.fixed_horizon, es.mean_difference(treatment=arm, control=arm))


RULE = es.DecisionRule(
    (
        es.DecisionMetric("gain", "success"),
        es.DecisionMetric("speed", "guardrail", better="lower", margin=0.03),
        es.DecisionMetric("crashes", "deterioration", better="lower"),
    )
)
GOOD: Mapping[str, Compare] = {"gain": fixed(0.04), "speed": fixed(0.0), "crashes": fixed(0.0)}


def decide(complete: bool = True, quality: Mapping[str, es.CheckStatus] = OK, **changed: Compare) -> Any:
    return es.decide(RULE, {**GOOD, **changed}, quality=quality, complete=complete)


def test_levels_of_the_rule() -> None:
    levels = es.rule_levels(successes=4, guardrails=3, alpha=0.04, power=0.8)
    assert (levels.success_alpha, levels.guardrail_alpha) == (0.01, 0.04)
    assert levels.power == pytest.approx(1 - 0.2 / 4)
    spent = es.rule_levels(successes=1, guardrails=1, false_alarms=0.02)
    assert spent.power == pytest.approx(1 - 0.18 / 2)
    assert RULE.levels(power=0.9, quality_alpha=0.001).power == pytest.approx(1 - 0.089 / 2)
    assert RULE.harm_alpha == pytest.approx(0.01 / 3)


@pytest.mark.parametrize(
    ("successes", "guardrails", "uncorrected", "corrected"),
    [
        (1, 0, 0.800, 0.800),
        (1, 1, 0.641, 0.811),
        (1, 3, 0.410, 0.815),
        (3, 5, 0.266, 0.816),
        (1, 10, 0.086, 0.818),
    ],
)
def test_what_the_correction_buys(
    successes: int, guardrails: int, uncorrected: float, corrected: float
) -> None:
    # One success metric has its planned effect, the others none; simulated values from 100,000 experiments.
    levels = es.rule_levels(successes=successes, guardrails=guardrails)
    idle = [levels.success_alpha] * (successes - 1)
    for power, expected in ((0.8, uncorrected), (levels.power, corrected)):
        ships = es.ship_probability(successes=[power, *idle], guardrails=[power] * guardrails)
        assert ships == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_a_planned_rule_keeps_its_promise(correlation: float) -> None:
    levels = es.rule_levels(successes=1, guardrails=3)
    rng, n = np.random.default_rng(1), 100_000
    common = rng.normal(size=(n, 1)) * math.sqrt(correlation)
    z = common + rng.normal(size=(n, 4)) * math.sqrt(1 - correlation)
    drift = Z(0.05) + Z(1 - levels.power)
    shipped = ((z + drift) > Z(0.05)).all(axis=1).mean()
    assert shipped > 0.8
    # A change that improves nothing, and one that harms a guardrail by its margin.
    for harmed in (0, 1):
        drifts = np.array([drift, *[drift + 9] * 3])
        drifts[harmed] = 0.0
        assert ((z + drifts) > Z(0.05)).all(axis=1).mean() < 0.05 + 3 * 0.0007


def test_the_size_of_a_rule_is_that_of_its_most_demanding_metric() -> None:
    up = es.fixed_design(alpha=0.05, alternative="greater")
    down = es.fixed_design(alpha=0.05, alternative="less")
    success = es.PlannedTest(es.Outcome("x", 10.0, 4.0), 0.2, design=up)
    guard = es.PlannedTest(es.Outcome("y", 5.0, 1.0), 0.0, null=0.05, design=down)
    plan = es.rule_sample_size(successes={"x": success}, guardrails={"y": guard}, power=0.8)
    factor = (Z(0.05) + Z(0.1)) ** 2 * 4
    assert plan.binding == "y"
    assert plan.units == pytest.approx(factor * 1 / 0.05**2)
    assert plan.metrics["x"].units == pytest.approx(factor * 4 / 0.2**2)
    assert plan.to_dict()["metrics"]["y"]["power"] == pytest.approx(0.9)
    with pytest.raises(ValueError, match="at once"):
        es.rule_sample_size(successes={"x": success}, guardrails={"x": guard})
    with pytest.raises(ValueError, match=r"alpha 0\.05; the rule gives it 0\.025"):
        es.rule_sample_size(successes={"x": success, "z": success}, guardrails={})
    two_sided = es.PlannedTest(es.Outcome("x", 10.0, 4.0), 0.2)
    with pytest.raises(ValueError, match="two-sided"):
        es.rule_sample_size(successes={"x": two_sided}, guardrails={})


def test_ship() -> None:
    found = decide()
    assert found.outcome is es.DecisionOutcome.SHIP
    assert found.summary == "Ship: 'gain' is better. 'speed' is less than 0.03 of the control worse."
    assert [reason.code.value for reason in found.reasons] == ["success_shown", "guardrail_shown"]
    assert [one.claim for one in found.findings] == [es.ClaimOutcome.SHOWN, es.ClaimOutcome.SHOWN, None]
    assert found.findings[2].claim_comparison is None
    json = found.to_dict()
    assert json["outcome"] == "ship"
    assert json["findings"][1]["claim_comparison"]["test"]["null"] == 0.03


def test_the_tests_are_asked_at_the_levels_and_sides_of_the_rule() -> None:
    rule = es.DecisionRule(
        (
            es.DecisionMetric("a", "success"),
            es.DecisionMetric("b", "success", better="lower"),
            es.DecisionMetric("c", "guardrail", margin=0.02, scale="difference"),
            es.DecisionMetric("d", "deterioration"),
        ),
        alpha=0.04,
        deterioration_alpha=0.02,
    )
    found = es.decide(rule, {name: fixed(0.0) for name in "abcd"}, quality={}, complete=True)
    asked = [
        (one.test.alternative, one.test.alpha, one.test.null, one.test.scale)
        for finding in found.findings
        for one in (finding.claim_comparison, finding.harm_comparison)
        if one is not None
    ]
    assert asked == [
        ("greater", 0.02, 0.0, "difference"),
        ("less", 0.005, 0.0, "difference"),
        ("less", 0.02, 0.0, "difference"),
        ("greater", 0.005, 0.0, "difference"),
        ("greater", 0.04, -0.02, "difference"),
        ("less", 0.005, 0.0, "difference"),
        ("less", 0.005, 0.0, "difference"),
    ]
    assert found.outcome is es.DecisionOutcome.DO_NOT_SHIP
    assert found.summary == "Do not ship: 'a' is not shown to be better. 'b' is not shown to be better."


@pytest.mark.parametrize(
    ("changed", "quality", "outcome", "decisive"),
    [
        ({}, {"ratio": "failed"}, "investigate", [("quality_failed", "ratio")]),
        ({"crashes": fixed(0.05)}, {"ratio": "failed"}, "investigate", [("quality_failed", "ratio")]),
        ({"crashes": fixed(0.05)}, {"ratio": "unavailable"}, "do_not_ship", [("deteriorated", "crashes")]),
        ({"gain": fixed(-0.05)}, {}, "do_not_ship", [("deteriorated", "gain")]),
        ({"speed": fixed(0.05)}, {}, "do_not_ship", [("deteriorated", "speed")]),
        ({"speed": fixed(0.02)}, {}, "do_not_ship", [("guardrail_not_shown", "speed")]),
        ({"gain": fixed(0.0)}, {}, "do_not_ship", [("success_not_shown", "gain")]),
        ({"gain": unanswered()}, {}, "investigate", [("no_answer", "gain")]),
        ({"crashes": unanswered()}, {}, "investigate", [("no_answer", "crashes")]),
        ({}, {"ratio": "unavailable"}, "investigate", [("quality_unavailable", "ratio")]),
        ({}, {"skew": "warning"}, "ship", [("success_shown", "gain"), ("guardrail_shown", "speed")]),
    ],
)
def test_at_the_end(changed: Any, quality: Any, outcome: str, decisive: Any) -> None:
    found = decide(quality={name: es.CheckStatus(status) for name, status in quality.items()}, **changed)
    assert found.outcome == outcome
    assert [(one.code, one.subject) for one in found.reasons if one.decisive] == decisive
    assert [one.decisive for one in found.reasons] == sorted(
        (one.decisive for one in found.reasons), reverse=True
    )
    assert found.complete


def test_one_of_several_success_metrics_is_enough() -> None:
    rule = es.DecisionRule((es.DecisionMetric("a", "success"), es.DecisionMetric("b", "success")))
    found = es.decide(rule, {"a": fixed(0.0), "b": fixed(0.04)}, quality=OK, complete=True)
    assert found.outcome is es.DecisionOutcome.SHIP
    assert [(one.subject, one.decisive) for one in found.reasons] == [("b", True), ("a", False)]
    # With two of them each has half of alpha: what one alone would show is not enough.
    weak = fixed(0.018)
    alone = es.DecisionRule((es.DecisionMetric("a", "success"),))
    assert es.decide(alone, {"a": weak}, quality=OK, complete=True).outcome == "ship"
    assert es.decide(rule, {"a": fixed(0.0), "b": weak}, quality=OK, complete=True).outcome == "do_not_ship"


def test_before_the_end() -> None:
    fixed_waits = decide(complete=False, gain=fixed(0.5))
    assert fixed_waits.outcome is es.DecisionOutcome.KEEP_RUNNING
    assert {one.code.value for one in fixed_waits.reasons} == {"waits_for_the_end"}
    running: dict[str, Any] = {"gain": sequence(0.0), "speed": sequence(0.01), "crashes": sequence(0.0)}
    waiting = decide(complete=False, **running)
    assert waiting.outcome is es.DecisionOutcome.KEEP_RUNNING
    assert not waiting.complete
    assert [one.code.value for one in waiting.reasons] == ["success_not_shown", "guardrail_not_shown"]
    assert all(one.decisive for one in waiting.reasons)
    shown = {**running, "gain": sequence(0.09), "speed": sequence(-0.09)}
    assert decide(complete=False, **shown).outcome == "ship"
    assert decide(complete=False, **{**shown, "speed": sequence(0.01)}).outcome == "keep_running"
    assert decide(complete=False, **{**shown, "crashes": fixed(0.0)}).outcome == "keep_running"
    assert decide(complete=False, **{**shown, "crashes": sequence(0.09)}).outcome == "do_not_ship"
    assert decide(False, {"r": es.CheckStatus.FAILED}, **shown).outcome == "investigate"
    assert decide(False, {"r": es.CheckStatus.UNAVAILABLE}, **shown).outcome == "keep_running"


def test_running_results_count_while_running() -> None:
    def running(**question: Any) -> es.Comparison:
        return es.running_comparison([sequence(0.09)(**question), sequence(0.0)(**question)])

    rule = es.DecisionRule((es.DecisionMetric("gain", "success"),))
    assert es.decide(rule, {"gain": running}, quality=OK, complete=False).outcome == "ship"


@pytest.mark.parametrize("final", [False, True])
def test_looks_answer_at_any_level(final: bool) -> None:
    estimate = es.proportion_difference(treatment=es.Counts(5000, 480), control=es.Counts(5000, 400))
    compare = es.at_looks(estimate, fractions=[0.3, 0.6], spending=es.Spending("pocock"), final=final)
    sides: tuple[Any, ...] = ("greater", "less", "two-sided")
    for alpha, side in itertools.product((0.05, 0.003), sides):
        history = es.LookHistory(es.Spending("pocock"), alpha, side).next_look(0.3)
        history = history.next_look(0.6, final=final)
        one = compare(alpha=alpha, alternative=side, null=0.01)
        assert one == es.group_sequential(
            estimate,
            history=history,
            alpha=alpha,
            alternative=side,
            null=0.01,
        )
    lift = compare(scale="lift", null=0.02)
    assert (lift.test.scale, lift.test.null, lift.test.alpha) == ("lift", 0.02, 0.05)
    rule = es.DecisionRule((es.DecisionMetric("gain", "success"),))
    assert es.decide(rule, {"gain": compare}, quality=OK, complete=False).outcome == "ship"
    with pytest.raises(ValueError, match="no look"):
        es.at_looks(estimate, fractions=[])


@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1), st.booleans())
def test_what_ships_has_shown_everything(gain: float, speed: float, crashes: float, complete: bool) -> None:
    found = es.decide(
        RULE,
        {"gain": sequence(gain), "speed": sequence(speed), "crashes": sequence(crashes)},
        quality=OK,
        complete=complete,
    )
    claims = [one.claim for one in found.findings]
    harmed = any(one.harm is es.ClaimOutcome.SHOWN for one in found.findings)
    ships = claims[:2] == [es.ClaimOutcome.SHOWN] * 2 and not harmed
    assert (found.outcome == "ship") == ships
    if harmed:
        assert found.outcome == "do_not_ship"
    elif not ships:
        assert found.outcome == ("do_not_ship" if complete else "keep_running")
    assert any(reason.decisive for reason in found.reasons)


def test_false_ships_are_rare() -> None:
    # Nothing changes: one success metric, two guardrails whose margins are far, 4,000 experiments.
    rule = es.DecisionRule(
        (
            es.DecisionMetric("a", "success"),
            es.DecisionMetric("b", "guardrail", margin=0.5, scale="difference"),
        )
    )
    z = np.random.default_rng(2).normal(size=(4000, 2)) * 0.01
    shipped = sum(
        es.decide(rule, {"a": fixed(a), "b": fixed(b)}, quality=OK, complete=True).outcome == "ship"
        for a, b in z
    )
    assert shipped / 4000 == pytest.approx(0.05 * 0.995, abs=3 * 0.0034)


def test_without_a_success_metric_nothing_is_shipped() -> None:
    rule = es.DecisionRule(tuple(each for each in RULE.metrics if each.role != "success"))
    for effect, quality, complete, outcome in (
        (-0.5, es.CheckStatus.OK, True, "do_not_ship"),
        (-0.5, es.CheckStatus.OK, False, "keep_running"),
        (-0.5, es.CheckStatus.FAILED, True, "investigate"),
        (0.5, es.CheckStatus.OK, True, "do_not_ship"),
    ):
        asked = {each.name: fixed(effect) for each in rule.metrics}
        found = es.decide(rule, asked, quality={"sample ratio": quality}, complete=complete)
        assert found.outcome.value == outcome
    assert {reason.code for reason in found.reasons if reason.decisive} == {es.ReasonCode.DETERIORATED}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: es.DecisionMetric("a", "primary"), "role of 'a' is 'primary'"),  # type: ignore[arg-type]
        (lambda: es.DecisionMetric("a", "success", better="up"), "better of 'a'"),  # type: ignore[arg-type]
        (lambda: es.DecisionMetric("a", "guardrail", margin=1.0, scale="x"), "scale of"),  # type: ignore[arg-type]
        (lambda: es.DecisionMetric("a", "success", margin=0.1), "only guardrails have a margin"),
        (lambda: es.DecisionMetric("a", "guardrail"), "largest acceptable loss"),
        (lambda: es.DecisionMetric("a", "guardrail", margin=0.0), "largest acceptable loss"),
        (lambda: es.DecisionMetric("a", "guardrail", margin=math.inf), "largest acceptable loss"),
        (lambda: es.DecisionMetric("a", "guardrail", margin=1.0), "100 %"),
        (lambda: es.DecisionRule(()).levels(), "one success"),
        (lambda: es.DecisionRule(RULE.metrics, alpha=0.7), "alpha is 0.7"),
        (lambda: es.DecisionRule(RULE.metrics, deterioration_alpha=0.0), "alpha is 0.0"),
        (lambda: es.DecisionRule((RULE.metrics[0], RULE.metrics[0])), "named twice"),
        (
            lambda: es.decide(RULE, {"gain": fixed(0.0), "x": fixed(0.0)}, quality={}, complete=True),
            r"\['x'\]",
        ),
        (lambda: es.rule_levels(successes=0, guardrails=0), "one success"),
        (lambda: es.rule_levels(successes=1, guardrails=-1), "-1 guardrail"),
        (lambda: es.rule_levels(successes=1, guardrails=0, power=1.0), "power is 1.0"),
        (lambda: es.rule_levels(successes=1, guardrails=0, power=0.04), "power is 0.04"),
        (lambda: es.rule_levels(successes=1, guardrails=0, false_alarms=0.25), "false_alarms is 0.25"),
        (lambda: es.rule_levels(successes=1, guardrails=0, false_alarms=-0.1), "false_alarms is -0.1"),
        (lambda: es.ship_probability(successes=[1.1], guardrails=[]), "no probability"),
    ],
)
def test_what_is_out_of_range_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_margins_of_either_direction() -> None:
    assert es.DecisionMetric("a", "guardrail", better="lower", margin=2.0).claim == ("less", 2.0)
    assert es.DecisionMetric("a", "guardrail", margin=2.0, scale="difference").claim == ("greater", -2.0)
    assert math.copysign(1, es.DecisionMetric("a", "success").claim[1]) == 1
    assert es.DecisionMetric("a", "success", better="lower").harm == "greater"
