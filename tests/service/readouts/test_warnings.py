"""The checks of metrics that only warn, on both sides of where they do: none of them blocks shipping."""

import re
from typing import Any

import pytest
from scipy.stats import t
from tests.service.readouts.documents import (
    CONVERTED,
    PER_VIEW,
    PROVENANCE,
    WATERMARK,
    moments,
    plan,
    statistics,
)

from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, Statistics
from equipoise_service.metrics.schemas import MetricType, Role
from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts, Moments

WINDOWED = CONVERTED.model_copy(update={"window_hours": 24})
SPENT = WINDOWED.model_copy(update={"key": "spent", "type": MetricType.MEAN, "role": Role.GUARDRAIL})
UNITS = 10_000


def asked(name: str, planned: Plan, found: Statistics) -> dict[str, Any]:
    """The check, of a readout that ships whatever it says and has it among its reasons where it warns."""
    readout = build_readout(planned, found, PROVENANCE)
    assert verify_readout(readout) == []
    check: dict[str, Any] = readout["health"][name]
    recommendation = readout["recommendation"]
    (treatment,) = recommendation["treatments"]
    said = {each["subject"]: each for each in treatment["reasons"] if each["code"].startswith("quality")}
    assert recommendation["outcome"] == treatment["outcome"] == "ship"
    if check["status"] == "ok":
        assert said == {}
        assert (check["reason"], check["action"], check["causes"], check["metrics"]) == (None, None, [], [])
        return check
    message = f"The check {name.replace('_', ' ').capitalize()} warns."
    reason = {"code": "quality_warning", "subject": name, "message": message, "decisive": False}
    assert said == {name: reason}
    assert reason not in recommendation["reasons"]
    assert check["causes"]
    # Of skewness each with its own.
    named = re.sub(r" −?\d\.\d\d", "", check["number"])
    assert named.endswith(": " + ", ".join(check["metrics"]))
    return check


def viewed(errors: float) -> dict[str, Any]:
    """The check of a ratio whose denominators differ by so many standard errors of their difference."""
    spread = (UNITS - 1) * 4.0
    rows = ((spread, 0.0), (0.0, spread))
    arms: list[dict[str, ArmValues]] = [
        {"per-view": Moments(UNITS, ("y", "d"), (buys, views), rows), "converted": Counts(UNITS, UNITS // 2)}
        for buys, views in ((2.0, 8.0), (3.0, 8.0 + errors * (2 * 4.0 / UNITS) ** 0.5))
    ]
    beside = CONVERTED.model_copy(update={"role": Role.GUARDRAIL})
    return asked("moved_denominators", plan(PER_VIEW, beside), statistics(control=arms[0], treatment=arms[1]))


@pytest.mark.parametrize("side", [-1, 1])
def test_a_denominator_has_moved_at_one_in_a_thousand(side: int) -> None:
    critical = t.isf(0.0005, 2 * UNITS - 2)
    assert viewed(side * critical * 0.999)["status"] == "ok"
    moved = viewed(side * critical * 1.001)
    assert (moved["status"], moved["metrics"]) == ("warning", ["per-view"])
    assert moved["reason"] == "A treatment changes what these ratios are divided by."
    assert moved["action"] == "Read the ratio together with its two parts, or use a metric per unit."


def waited(control: int, treatment: int) -> dict[str, Any]:
    """The check where so many of 2,000 units of each arm are immature for one of two metrics."""
    arms = {
        variant: ArmStatistics(
            2_000,
            {
                "converted": Counts(2_000 - immature, (2_000 - immature) * part // 10),
                "spent": moments(1_900, 5.0, 2.0),
            },
            {"converted": immature, "spent": 100},
        )
        for variant, immature, part in (("control", control, 2), ("treatment", treatment, 5))
    }
    return asked("maturity", plan(WINDOWED, SPENT), Statistics(arms, 0, WATERMARK))


@pytest.mark.parametrize(
    ("control", "treatment", "status"),
    [
        (1_000, 1_000, "ok"),
        (1_000, 1_001, "warning"),
        # All arms together, however the immature units are spread over them.
        (500, 1_500, "ok"),
        (501, 1_500, "warning"),
        (1_500, 501, "warning"),
    ],
)
def test_a_metric_is_not_mature_where_less_than_half_of_all_units_are(
    control: int, treatment: int, status: str
) -> None:
    check = waited(control, treatment)
    assert check["status"] == status
    if status == "warning":
        assert check["metrics"] == ["converted"]
        assert check["reason"] == "The windows of most units have not passed for these metrics."
        assert check["action"] == "Wait: early units can differ from later ones."


def test_without_a_window_or_a_ratio_nothing_is_asked() -> None:
    found = statistics(control={"converted": Counts(900, 90)}, treatment={"converted": Counts(900, 95)})
    health = build_readout(plan(CONVERTED), found, PROVENANCE)["health"]
    assert (health["maturity"], health["moved_denominators"]) == (None, None)


def skewness_of(control: tuple[int, int], treatment: tuple[int, int]) -> float:
    """Third cumulant of the difference of two shares over the cube of its standard error."""
    variance = third = 0.0
    for sign, (successes, units) in ((-1, control), (1, treatment)):
        share = successes / units
        variance += share * (1 - share) / units
        third += sign * (share * (1 - share) ** 3 - (1 - share) * share**3) / units**2
    return float(third / variance**1.5)


def converted(control: tuple[int, int], treatment: tuple[int, int]) -> dict[str, Any]:
    """The check of successes and units in arms that were planned to be as unequal as they are."""
    planned = plan(CONVERTED)
    weights = [10_000 * units // (control[1] + treatment[1]) for _, units in (control, treatment)]
    variants = [
        variant.model_copy(update={"weight": weight})
        for variant, weight in zip(planned.variants, weights, strict=True)
    ]
    found = statistics(
        control={"converted": Counts(control[1], control[0])},
        treatment={"converted": Counts(treatment[1], treatment[0])},
    )
    return asked("skewness", planned.model_copy(update={"variants": variants}), found)


@pytest.mark.parametrize(
    ("control", "skewed", "fine"),
    [
        # A small treatment beside a large control, and the other way round: the other tail.
        ((720, 9_000), (136, 1_000), (137, 1_000)),
        ((118, 1_000), (1_490, 9_000), (1_520, 9_000)),
    ],
)
def test_shares_are_too_skewed_beyond_six_hundredths(
    control: tuple[int, int], skewed: tuple[int, int], fine: tuple[int, int]
) -> None:
    assert abs(skewness_of(control, fine)) < 0.06 < abs(skewness_of(control, skewed))
    assert converted(control, fine)["status"] == "ok"
    check = converted(control, skewed)
    assert (check["status"], check["metrics"]) == ("warning", ["converted"])
    off = f"{skewness_of(control, skewed):.2f}".replace("-", "−")
    assert check["number"] == f"beyond ±0.06: converted {off}"
    assert check["reason"].startswith("A few large values, or rare ones, weigh too much in these metrics")
    assert check["action"].startswith("Winsorize means and ratios, wait for more units")


def test_equal_arms_cancel_each_other_s_skewness() -> None:
    assert converted((30, 5_000), (90, 5_000))["status"] == "ok"
