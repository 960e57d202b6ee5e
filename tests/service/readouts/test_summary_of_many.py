"""The summary of many arms and metrics: what is excluded, which data are too few, and in how many words."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, WATERMARK, plan, statistics

from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, Statistics
from equipoise_service.canonical import digest
from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan, PlannedMetric
from equipoise_service.plans.looks import next_look
from equipoise_service.plans.schemas import Horizon, MarginScale, Method, Multiplicity, Prior
from equipoise_service.readouts import summary as summaries
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.losses import Dropped
from equipoise_service.readouts.others import ALL
from equipoise_service.readouts.outcomes import Outcome, advised_by, is_since, told
from equipoise_service.readouts.recorded import Deviation
from equipoise_service.readouts.schemas import Readout
from equipoise_stats import Counts

WANTED = CONVERTED.model_copy(update={"mde": 0.05})


def of_arms(units: int, *successes: int, metric: PlannedMetric | None = None, **more: Any) -> dict[str, Any]:
    """The readout of a control and as many treatments, a, b, …, as there are more successes."""
    arms = ("control", *"abcdefgh")[: len(successes)]
    values: dict[str, Any] = {
        arm: {"converted": Counts(units, n)} for arm, n in zip(arms, successes, strict=True)
    }
    return build_readout(plan(metric or WANTED, variants=arms, **more), statistics(**values), PROVENANCE)


def test_of_many_arms_too_it_is_told_what_is_excluded_and_that_data_are_too_few() -> None:
    assert of_arms(200, 20, 21, 22, 19)["summary"] == (
        "Do not ship. On converted, not detectably different from control: a, b and c (effects below "
        "−51 % and above +106 % are excluded, 95 % interval). The data of a, b and c are too few to "
        "exclude +5.0 %, which the plan wants found."
    )
    many = of_arms(200_000, 20_000, 20_010, 20_020, 19_990)["summary"]
    assert "effects below −1.9 % and above +2.0 % are excluded, 95 % interval)." in many
    assert "too few" not in many


def test_of_many_arms_only_those_are_said_to_have_too_few_data_that_have() -> None:
    text = of_arms(10_000, 1_000, 1_300, 1_005, 930, 700)["summary"]
    assert "better than control: a (+30.0 %); worse than control: d (−30.0 %); " in text
    assert "not detectably different from control: b and c (effects below " in text
    assert "The data of b are too few to exclude +5.0 %, which the plan wants found." in text
    down = WANTED.model_copy(update={"direction": Direction.DECREASE})
    text = of_arms(10_000, 1_000, 1_300, 1_005, 930, 700, metric=down)["summary"]
    assert "The data of b and c are too few to exclude −5.0 %, which the plan wants found." in text


def test_of_many_arms_a_correction_that_decides_is_told() -> None:
    readout = of_arms(10_000, 1_000, 1_090, 1_091, 1_092)
    assert all(each["difference"]["interval"][0] > 0 for each in readout["metrics"][0]["comparisons"])
    assert "effects below +0.5 % and above +18.5 % are excluded, 95 % interval). " in readout["summary"]
    assert readout["summary"].endswith(
        "These intervals are of each test alone; corrected for all tests of the plan, no effect of a, b and "
        "c is detected."
    )


def test_of_many_arms_without_a_lift_the_differences_are_told() -> None:
    points = WANTED.model_copy(update={"mde": 0.01, "scale": MarginScale.DIFFERENCE})
    text = of_arms(200, 0, 1, 2, 1, metric=points)["summary"]
    assert (
        "points are excluded, 95 % interval). The data of a, b and c are too few to exclude "
        "+1.00 percentage points, which the plan wants found." in text
    )


@pytest.mark.parametrize("most", [ALL, 3, 2, 1])
@pytest.mark.parametrize("treatments", [1, 2, 3, 8])
def test_that_data_are_too_few_is_told_in_every_room(
    most: int, treatments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "_ROOMS", (most,))
    text = of_arms(200, *[20] * (treatments + 1))["summary"]
    assert "too few" in text
    assert "+5.0 %, which the plan wants found" in text
    assert "−47 %" in text
    assert "+89 %" in text
    if treatments == 8 and most == 3:
        assert "The data of a, b, c and 5 more are too few" in text


MOST_WORDS = 120
DEVIATION = Deviation(
    at="2026-02-25T12:00:00Z",
    by="0123456789abcdef",
    reason="Half of the traffic went away.",
    changed=["/horizon/units"],
    digest=digest({}),
)
METHODS = (
    Method.FIXED_HORIZON,
    Method.GROUP_SEQUENTIAL,
    Method.CONFIDENCE_SEQUENCE,
    Method.BAYESIAN,
)


@st.composite
def large_plans(draw: st.DrawFn) -> tuple[Plan, Statistics]:
    """A plan with up to 5 arms and 20 metrics of all roles, and what was found.

    Of half of them the arms are alike on the leading metric, and the horizon is reached.
    """
    alike = draw(st.booleans())
    variants = ("control", "blue", "green", "red", "bold")[: draw(st.integers(2, 5))]
    generator = draw(st.randoms(use_true_random=False))
    method = draw(st.sampled_from(METHODS))
    metrics = [CONVERTED]
    for i in range(draw(st.integers(0, 19))):
        role = generator.choice(list(Role))
        update = {
            "key": f"metric-{i}",
            "role": role,
            "direction": generator.choice(list(Direction)),
            "window_hours": generator.choice([None, 24]),
            "margin": 0.02 if role is Role.GUARDRAIL and generator.random() < 0.7 else None,
            "mde": 0.05 if role is Role.SUCCESS else None,
        }
        metrics.append(CONVERTED.model_copy(update=update))
    if generator.random() < 0.5:
        metrics[0] = CONVERTED.model_copy(update={"mde": 0.05, "window_hours": 24})
    if alike:
        metrics[0] = WANTED
    units = generator.choice([2_000, 40_000] if alike else [2, 40, 2_000, 40_000])
    spread = generator.choice([0.0, 0.02, 0.2])
    arms = {}
    for variant in variants:
        values: dict[str, ArmValues] = {}
        immature = {}
        for metric in metrics:
            waiting = units // 4 if metric.window_hours else 0
            immature[metric.key] = waiting
            share = generator.choice([0.0, 0.001, 0.1, 0.1, 0.5]) * (1 + generator.uniform(-spread, spread))
            if alike and metric is metrics[0]:
                share = 0.1 + generator.uniform(-0.002, 0.002)
            values[metric.key] = Counts(units - waiting, round((units - waiting) * share))
        arms[variant] = ArmStatistics(units, values, immature)
    planned = plan(
        *metrics,
        variants=variants,
        method=method,
        horizon=Horizon(units=1_000 if alike else generator.choice([1_000, 500_000])),
        prior=Prior(mean=0.0, standard_deviation=0.1) if method is Method.BAYESIAN else None,
        multiplicity=generator.choice([Multiplicity.HOLM, Multiplicity.NONE]),
    )
    crossovers = generator.choice([0, units // 300])
    return planned, Statistics(arms, crossovers, WATERMARK)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(asked=large_plans(), dropped=st.booleans(), looked=st.booleans())
def test_of_many_arms_and_metrics_it_is_read_in_half_a_minute(
    asked: tuple[Plan, Statistics], dropped: bool, looked: bool
) -> None:
    planned, found = asked
    provenance = replace(
        PROVENANCE,
        started_at=START,
        dropped=Dropped({"closed": 40 if dropped else 0}, 130_000),
        deviations=[DEVIATION] if dropped else [],
    )
    looks = []
    if looked and planned.method is Method.GROUP_SEQUENTIAL:
        look = next_look(
            planned,
            mature_units(planned, found),
            [],
            statistics_digest=statistics_digest(planned, found),
            taken_at=PROVENANCE.generated_at,
            started_at=START,
            ended_at=None,
        )
        looks.append(look)
    readout = build_readout(planned, found, provenance, looks)
    text = readout["summary"]
    assert len(text.split()) <= MOST_WORDS, text
    if not text.startswith("Do not rely on these results"):
        assert text.startswith(readout["recommendation"]["text"])
        assert " converted" in text
        assert ("too few" in text) == bool(too_few(planned.metrics[0], readout))


def too_few(metric: PlannedMetric, readout: dict[str, Any]) -> list[str]:
    """Of which treatments the effect that the plan wants found is not excluded, though none is detected."""
    found = Readout.model_validate(readout)
    advised = advised_by(found.recommendation)
    return [
        each.variant
        for each in found.metrics[0].comparisons
        if told(metric, each, advised) is Outcome.FLAT
        and not is_since(metric, each, advised)
        and metric.mde is not None
        and each.lift.interval is not None
        and each.lift.interval[0] <= metric.mde <= each.lift.interval[1]
    ]
