"""Differences that a few large values make too skewed: what a readout does about it, and says."""

import copy
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from tests.service.readouts.documents import CONVERTED, LOAD_TIME, PER_VIEW, PROVENANCE, WATERMARK, plan, seal

from equipoise_service.analysis.statistics import ArmStatistics, DayStatistics, Statistics
from equipoise_service.metrics.schemas import Direction, MetricType, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.sides import Side
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, Moments

REVENUE = CONVERTED.model_copy(
    update={
        "key": "revenue",
        "type": MetricType.MEAN,
        "direction": Direction.INCREASE,
        "role": Role.GUARDRAIL,
    }
)
ADJUSTED = REVENUE.model_copy(update={"key": "adjusted", "pre_period_days": 7})
RATIO = PER_VIEW.model_copy(update={"role": Role.GUARDRAIL})
METRICS = (CONVERTED, REVENUE, ADJUSTED, RATIO)
ALL_MEANS = ["revenue", "adjusted", "per-view"]

Columns = dict[str, NDArray[np.floating[Any]]]


def spent(generator: np.random.Generator, n: int) -> Columns:
    """Five per cent buyers with lognormal baskets, as often before; and everybody's views."""
    bought = generator.random(n) < 0.05
    before = bought * generator.lognormal(3.0, 1.5, n)
    views = 1.0 + generator.poisson(5, n)
    return {
        "y": bought * generator.lognormal(3.0, 1.5, n),
        "y_before": before,
        "d": views,
        "converted": np.arange(n) % 2.0,
    }


def arm(columns: Columns, *, third: bool = True) -> ArmStatistics:
    n = len(columns["y"])

    def moments(*names: str) -> Moments:
        return Moments.from_arrays({name: columns[name] for name in names}, third=third)

    return ArmStatistics(
        n,
        {
            "converted": Counts(n, int(columns["converted"].sum())),
            "revenue": moments("y"),
            "adjusted": moments("y", "y_before"),
            "per-view": moments("y", "d"),
        },
    )


def experiment(
    treatment: int, control: int, *, third: bool = True, days: int = 0, seed: int = 20261123
) -> tuple[dict[str, Any], list[Columns]]:
    """The readout of arms of these sizes that differ in nothing, and their units."""
    generator = np.random.default_rng(seed)
    units = [spent(generator, n) for n in (treatment, control)]
    weights = [round(10_000 * n / (treatment + control)) for n in (control, treatment)]
    planned = plan(*METRICS)
    variants = [
        each.model_copy(update={"weight": weight})
        for each, weight in zip(planned.variants, weights, strict=True)
    ]
    planned = planned.model_copy(update={"variants": variants})
    named = dict(zip(("control", "treatment"), units[::-1], strict=True))
    found = Statistics({name: arm(each, third=third) for name, each in named.items()}, 0, WATERMARK)
    by_day = []
    for day in range(days):
        part = {
            name: {column: values[day::days] for column, values in each.items()}
            for name, each in named.items()
        }
        by_day.append(
            DayStatistics(
                date(2026, 3, 1 + day), {name: arm(each, third=third) for name, each in part.items()}
            )
        )
    readout = build_readout(planned, replace(found, days=by_day), PROVENANCE)
    assert verify_readout(readout) == []
    return readout, units


def comparison(readout: dict[str, Any], metric: str) -> dict[str, Any]:
    (found,) = (each for each in readout["metrics"] if each["metric"] == metric)
    result: dict[str, Any] = found["comparisons"][0]
    return result


def codes(readout: dict[str, Any], metric: str) -> list[str]:
    return [each["code"] for each in comparison(readout, metric)["warnings"]]


def skewness(readout: dict[str, Any], metric: str) -> float:
    (found,) = (
        each["value"] for each in comparison(readout, metric)["details"] if each["name"] == "skewness"
    )
    return float(found)


def of_all_units(treatment: NDArray[np.floating[Any]], control: NDArray[np.floating[Any]]) -> float:
    away = np.concatenate([treatment - treatment.mean(), control - control.mean()])
    n_t, n_c = len(treatment), len(control)
    third = np.mean(away**3) * (1 / n_t**2 - 1 / n_c**2)
    return float(third / (np.sum(away**2) / (n_t + n_c - 2) * (1 / n_t + 1 / n_c)) ** 1.5)


def test_a_tenth_of_the_units_is_too_few_for_revenue() -> None:
    readout, (t, c) = experiment(1_000, 9_000)
    check = readout["health"]["skewness"]
    assert (check["status"], check["metrics"]) == ("warning", ALL_MEANS)
    views = [
        (each["y"] - each["y"].mean() / each["d"].mean() * each["d"]) / each["d"].mean() for each in (t, c)
    ]
    assert skewness(readout, "revenue") == pytest.approx(of_all_units(t["y"], c["y"]), rel=1e-9)
    assert skewness(readout, "per-view") == pytest.approx(of_all_units(*views), rel=1e-6)
    named = ", ".join(f"{metric} {skewness(readout, metric):.2f}" for metric in ALL_MEANS)
    assert check["number"] == f"beyond ±0.06: {named}"
    # The mean itself by Student's test; what is adjusted or a ratio is only spoken of.
    revenue = comparison(readout, "revenue")
    theirs = stats.ttest_ind(t["y"], c["y"], equal_var=True)
    assert revenue["method"].startswith("mean_pooled ")
    assert revenue["difference"]["p_value"] == pytest.approx(float(theirs.pvalue), rel=1e-9)
    assert codes(readout, "revenue") == ["skewed_unequal_arms"]
    assert codes(readout, "adjusted") == codes(readout, "per-view") == ["skewness"]
    assert comparison(readout, "adjusted")["method"].startswith("adjusted_mean ")
    reasons = readout["recommendation"]["treatments"][0]["reasons"]
    (said,) = (each for each in reasons if each["subject"] == "skewness")
    assert (said["code"], said["decisive"]) == ("quality_warning", False)


def test_equal_arms_do_not_seem_skewed_by_chance() -> None:
    for seed in range(99):
        readout, units = experiment(5_000, 5_000, seed=seed)
        third, squares = ([float(stats.moment(each["y"], of)) for each in units] for of in (3, 2))
        # By the arms' own third moments it would.
        if abs(third[0] - third[1]) / 5_000**2 > 0.06 * (sum(squares) / 5_000) ** 1.5:
            break
    else:
        raise AssertionError("no arms differ by chance")
    check = readout["health"]["skewness"]
    assert (check["status"], check["metrics"], check["number"]) == ("ok", [], "none skewed")
    assert comparison(readout, "revenue")["method"].startswith("mean_welch ")
    for metric in ALL_MEANS:
        assert skewness(readout, metric) == 0.0
        assert not {"skewness", "skewed_unequal_arms"} & set(codes(readout, metric))


def test_a_readout_from_before_third_moments_is_as_it_was() -> None:
    readout, (t, c) = experiment(1_000, 9_000, third=False, days=3)
    assert readout["health"]["skewness"]["metrics"] == []
    theirs = stats.ttest_ind(t["y"], c["y"], equal_var=False)
    assert comparison(readout, "revenue")["difference"]["p_value"] == pytest.approx(
        float(theirs.pvalue), rel=1e-9
    )

    def without(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: without(each) for name, each in node.items() if name not in ("m3", "third")}
        return [without(each) for each in node] if isinstance(node, list) else node

    old = without(readout)
    assert old != readout
    seal(old)
    assert verify_readout(old) == []


@pytest.mark.parametrize("metric", ALL_MEANS)
@pytest.mark.parametrize("side", ["variant", "baseline"])
@pytest.mark.parametrize("factor", [1.5, -1.0, None])
def test_an_edited_third_moment_is_found(metric: str, side: str, factor: float | None) -> None:
    readout, _ = experiment(500, 1_000)
    held = comparison(readout, metric)["statistics"][side]
    for place in range(1 if "m3" in held else len(held["third"])):
        changed = copy.deepcopy(readout)
        statistics = comparison(changed, metric)["statistics"][side]
        if "m3" in statistics:
            statistics["m3"] = None if factor is None else statistics["m3"] * factor
        elif factor is None:
            statistics["third"] = None
        else:
            statistics["third"][place] *= factor
        seal(changed)
        assert verify_readout(changed) != []


@pytest.mark.parametrize("factor", [1 + 1e-6, -1.0, None])
def test_an_edited_third_moment_of_a_day_is_found(factor: float | None) -> None:
    readout, _ = experiment(500, 4_500, days=4)
    (revenue,) = (each for each in readout["by_day"]["metrics"] if each["metric"] == "revenue")
    assert [len(each["so_far"]) for each in revenue["effects"]] == [4]
    for number in range(2):
        for day in range(4):
            changed = copy.deepcopy(readout)
            (metric,) = (each for each in changed["by_day"]["metrics"] if each["metric"] == "revenue")
            statistics = metric["arms"][number]["statistics"][day]
            statistics["m3"] = None if factor is None else statistics["m3"] * factor
            seal(changed)
            assert verify_readout(changed) != []


def test_one_arm_too_large_for_third_powers_leaves_both_unknown() -> None:
    metric: PlannedMetric = LOAD_TIME
    far = Moments(3, ("y",), (0.0,), ((2e210,),))
    near = Moments.from_arrays({"y": [1.0, 2.0, 4.0]})
    arms = {"control": ArmStatistics(3, {metric.key: near}), "treatment": ArmStatistics(3, {metric.key: far})}
    readout = build_readout(plan(metric), Statistics(arms, 0, WATERMARK), PROVENANCE)
    assert verify_readout(readout) == []
    found = comparison(readout, metric.key)["statistics"]
    assert (found["baseline"]["m3"], found["variant"]["m3"]) == (None, None)
    assert Side("control", near, 0).values == near
