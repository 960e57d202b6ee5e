"""The summary says the right thing in every state, and never contradicts the numbers."""

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
    WATERMARK,
    converted,
    moments,
    plan,
    rich_readout,
    statistics,
)

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
from equipoise_service.readouts.outcomes import Outcome, advised_by, is_since, outcome, told
from equipoise_service.readouts.recorded import Deviation
from equipoise_service.readouts.schemas import Readout
from equipoise_stats import Counts, Moments

TO_JUDGE = (
    "The plan names no smallest effect that matters: whether what is not excluded is small is for you "
    "to judge."
)
WANTED = CONVERTED.model_copy(update={"mde": 0.05})


def summary(*metrics: PlannedMetric, **arms: Any) -> str:
    crossovers = arms.pop("crossovers", 0)
    variants = tuple(arms.pop("variants", arms))
    return str(
        build_readout(plan(*metrics, variants=variants), statistics(crossovers, **arms), PROVENANCE)[
            "summary"
        ]
    )


def test_a_winner() -> None:
    assert converted((1_000, 10_000), (1_150, 10_000))["summary"] == (
        "Ship treatment. "
        "treatment raises converted by 15.0 % (11.50 % against 10.00 %; 95 % interval +6.2 % to +24.6 %, "
        "p = 0.000614), which is better."
    )


def test_a_loser() -> None:
    assert converted((1_150, 10_000), (1_000, 10_000))["summary"].startswith(
        "Do not ship. converted is shown to be worse. "
        "treatment lowers converted by 13.0 % (10.00 % against 11.50 %;"
    )
    assert converted((1_150, 10_000), (1_000, 10_000))["summary"].endswith("which is worse.")


def test_no_detectable_difference_says_what_is_excluded() -> None:
    assert converted((17_468, 144_300), (17_268, 144_389), crossovers=1_895)["summary"] == (
        "Do not ship. "
        "treatment and control do not differ detectably on converted (11.96 % against 12.11 %): the effect "
        "of treatment lies between −3.1 % and +0.8 % (95 % interval, p = 0.228), so larger effects either "
        f"way are excluded. {TO_JUDGE} "
        "1,895 units (0.65 % of all) met several variants and were left out."
    )


def test_without_a_wanted_effect_few_data_are_left_to_the_reader_to_judge() -> None:
    flat = converted((10, 100), (11, 100))["summary"]
    assert "between −56 % and +193 % (95 % interval, p = 0.818), so larger effects either way are " in flat
    assert flat.endswith(f"excluded. {TO_JUDGE}")
    assert "too few" not in flat
    assert TO_JUDGE in summary(
        LOAD_TIME.model_copy(update={"role": Role.SUCCESS}),
        control={"load-time": moments(1_000, -5.0, 100.0)},
        treatment={"load-time": moments(1_000, -5.1, 100.0)},
    )
    many = of_arms(100, 10, 10, 10, 10, metric=CONVERTED)["summary"]
    assert many.endswith(f"are excluded, 95 % interval). {TO_JUDGE}")
    assert of_arms(100, 10, 10, 10, metric=CONVERTED)["summary"].count(TO_JUDGE) == 1
    for decided in (
        converted((1_000, 10_000), (1_150, 10_000))["summary"],
        converted((1, 1), (0, 1))["summary"],
        of_arms(50, 5, 5)["summary"],
        # Of a guardrail its margin says what matters.
        summary(
            LOAD_TIME,
            control={"load-time": moments(50, 5.0, 9.0)},
            treatment={"load-time": moments(50, 5.0, 9.0)},
        ),
    ):
        assert TO_JUDGE not in decided


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


def test_a_bound_close_to_zero_shows_its_side() -> None:
    assert "interval +0.005 % to +5.366 %" in converted((10_000, 100_000), (10_265, 100_000))["summary"]
    assert "between −0.005 % and +5.356 %" in converted((10_000, 100_000), (10_264, 100_000))["summary"]


def test_less_is_better_where_the_plan_says_so() -> None:
    text = summary(
        LOAD_TIME,
        control={"load-time": moments(1_000, 800.0, 10_000.0)},
        treatment={"load-time": moments(1_000, 760.0, 10_000.0)},
    )
    assert text.startswith(
        "treatment lowers load-time by 5.00 % (760.0 against 800.0; 95 % interval −6.06 % to −3.92 %"
    )
    assert text.endswith("which is better.")


def test_without_a_lift_the_difference_is_told() -> None:
    text = converted((0, 5_000), (50, 5_000))["summary"]
    assert (
        "raises converted by 1.00 percentage points (1.00 % against 0.00 %; 95 % interval +0.72 percentage"
        in text
    )
    assert "Read this with care: In one arm only 0 units did this" in text
    text = summary(
        LOAD_TIME,
        control={"load-time": moments(1_000, -5.0, 100.0)},
        treatment={"load-time": moments(1_000, -7.0, 100.0)},
    )
    assert "lowers load-time by 2.00 (−7.000 against −5.000; 95 % interval −2.88 to −1.12" in text


def test_nothing_yet() -> None:
    assert summary(CONVERTED, variants=["control", "treatment"]) == (
        "No unit is in any arm yet, so there is nothing to read."
    )
    some = {"converted": Counts(3, 1)}
    text = summary(CONVERTED, control=some, variants=["control", "b"])
    assert text == "Only control, the control, has units, so there is nothing to compare."
    text = summary(CONVERTED, b=some, variants=["control", "b"])
    assert text == "The control (control) has no units yet, so there is nothing to compare with."
    assert summary(
        CONVERTED, control={"converted": Counts(1, 1)}, treatment={"converted": Counts(1, 0)}
    ).startswith("Investigate before deciding. There is no result for converted of treatment yet: ")


def test_a_failed_sample_ratio_hides_every_result() -> None:
    text = converted((1_000, 10_000), (1_500, 11_000))["summary"]
    assert text.startswith("Do not rely on these results: the arms did not get their planned shares")
    assert "control 10,000 (planned 50.00 %) and treatment 11,000 (planned 50.00 %), p < 0.0001" in text
    assert "converted" not in text


def test_a_plan_without_metrics() -> None:
    found = statistics(control={"x": Counts(5, 0)}, treatment={"x": Counts(6, 0)})
    text = build_readout(plan(), found, PROVENANCE)["summary"]
    assert text == "The plan has no metric; the arms have these units: control 5 and treatment 6."


def test_other_metrics_and_guardrails_are_named_with_what_happened_to_them() -> None:
    revenue = LOAD_TIME.model_copy(
        update={"key": "revenue", "role": Role.SUCCESS, "direction": Direction.INCREASE}
    )
    text = summary(
        LOAD_TIME,
        CONVERTED,
        revenue,
        control={
            "converted": Counts(1_000, 100),
            "load-time": moments(1_000, 800.0, 100.0),
            "revenue": moments(1_000, 1.0, 9.0),
        },
        treatment={
            "converted": Counts(1_000, 200),
            "load-time": moments(1_000, 900.0, 100.0),
            "revenue": moments(1_000, 1.01, 9.0),
        },
    )
    # The first success metric leads, though a guardrail stands first in the plan.
    assert text.startswith(
        "Do not ship. load-time is shown to be worse. "
        "treatment raises converted by 100 % (20.00 % against 10.00 %;"
    )
    assert text.endswith("Worse: load-time (guardrail). No detectable difference: revenue.")


def test_two_treatments_get_a_sentence_each_and_more_are_grouped() -> None:
    text = rich_readout()["summary"]
    assert text.startswith(
        "Ship a. a raises converted by 14.4 % (11.44 % against 10.00 %; 95 % interval +5.6 % to +24.0 %"
    )
    assert "b lowers converted by 99.7" in text
    assert "Better: load-time (guardrail)." in text
    text = summary(
        CONVERTED,
        control={"converted": Counts(1_000, 100)},
        a={"converted": Counts(1_000, 200)},
        b={"converted": Counts(1_000, 30)},
        c={"converted": Counts(1_000, 102)},
        d={"converted": Counts(1_000, 210)},
    )
    assert text == (
        "Ship d. "
        "On converted, better than control: a (+100 %) and d (+110 %); worse than control: b (−70.0 %); "
        "not detectably different from control: c (effects below −22 % and above +33 % are excluded, "
        f"95 % interval). {TO_JUDGE}"
    )


PAIRS = st.integers(50, 5_000).flatmap(
    lambda n: st.tuples(*[st.builds(Counts, st.just(n), st.integers(0, n) | st.integers(0, n // 20))] * 2)
)


@settings(max_examples=200, deadline=None)
@given(arms=PAIRS, direction=st.sampled_from(Direction))
def test_the_words_agree_with_the_numbers(arms: tuple[Counts, Counts], direction: Direction) -> None:
    control, treatment = arms
    metric = CONVERTED.model_copy(update={"direction": direction})
    found = statistics(control={"converted": control}, treatment={"converted": treatment})
    readout = Readout.model_validate(build_readout(plan(metric), found, PROVENANCE))
    (comparison,) = readout.metrics[0].comparisons
    text = readout.summary
    difference = treatment.successes / treatment.n - control.successes / control.n
    better = (difference > 0) == (direction is Direction.INCREASE)
    match outcome(metric, comparison):
        case Outcome.UNKNOWN:
            assert comparison.difference.p_value is None
            assert "There is no result" in text
        case Outcome.FLAT:
            assert "do not differ detectably" in text
            assert "raises" not in text
            assert "lowers" not in text
        case Outcome.BETTER | Outcome.WORSE:
            assert ("which is better." in text) == better
            assert ("which is worse." in text) != better
            assert ("raises" in text) == (difference > 0)
            # A bound that looks like zero would contradict the claim.
            assert not any(
                f"{sign}{zero} " in text for sign in "+−" for zero in ("0", "0.0", "0.00", "0.000")
            )
            low, high = text.split("interval ")[1].split(", p")[0].split(" to ")
            assert (low[0] == high[0] == "+") or (low[0] == high[0] == "−")


@pytest.mark.parametrize("crossovers", [0, 1])
def test_few_crossovers_are_not_mentioned(crossovers: int) -> None:
    assert (
        "several variants"
        not in converted((1_000, 10_000), (1_150, 10_000), crossovers=crossovers)["summary"]
    )


def test_what_is_shown_to_be_worse_is_never_called_no_detectable_difference() -> None:
    # An early look sees less than the test for harm does, which holds at any moment.
    planned = plan(
        CONVERTED,
        LOAD_TIME.model_copy(update={"margin": 0.05}),
        method=Method.GROUP_SEQUENTIAL,
        horizon=Horizon(units=5_000),
    )
    for rates, speeds, subject in (
        ((107, 106), (2.0, 2.25), "load-time"),
        ((155, 90), (2.0, 2.0), "converted"),
    ):
        control, treatment = (
            dict[str, ArmValues]({"converted": Counts(355, hits), "load-time": moments(355, mean, 0.36)})
            for hits, mean in zip(rates, speeds, strict=True)
        )
        found = statistics(control=control, treatment=treatment)
        look = next_look(
            planned,
            mature_units(planned, found),
            [],
            statistics_digest=statistics_digest(planned, found),
            taken_at=START + timedelta(days=2),
            started_at=START,
            ended_at=None,
        )
        readout = build_readout(planned, found, replace(PROVENANCE, started_at=START), [look])
        result = next(each for each in readout["metrics"] if each["metric"] == subject)
        assert result["comparisons"][0]["detected"] is False
        assert readout["recommendation"]["outcome"] == "do_not_ship"
        text = readout["summary"]
        assert text.startswith(f"Do not ship. {subject} is shown to be worse.")
        if subject == "converted":
            assert "treatment is worse than control on converted (25.35 % against 43.66 %)" in text
            assert "do not differ detectably on converted" not in text
        else:
            assert "Worse: load-time (guardrail)." in text
            assert "No detectable difference" not in text


def test_harm_beside_a_look_without_intervals_is_told_of_many_arms_too() -> None:
    # At four in a thousand of the horizon no effect, however large, could be told from none.
    arms = ("control", "a", "b", "c")
    planned = plan(CONVERTED, variants=arms, method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=500_000))
    hits = (250, 100, 250, 251)
    measured: dict[str, Any] = {arm: {"converted": Counts(500, n)} for arm, n in zip(arms, hits, strict=True)}
    found = statistics(**measured)
    look = next_look(
        planned,
        mature_units(planned, found),
        [],
        statistics_digest=statistics_digest(planned, found),
        taken_at=START + timedelta(days=2),
        started_at=START,
        ended_at=None,
    )
    readout = build_readout(planned, found, replace(PROVENANCE, started_at=START), [look])
    assert readout["metrics"][0]["comparisons"][0]["difference"]["interval"] is None
    assert "On converted, worse than control: a;" in readout["summary"]
    assert "There is too little data for any bound on the effect of b and c." in readout["summary"]


def test_what_there_is_no_room_for_is_counted() -> None:
    metrics = [CONVERTED, *(CONVERTED.model_copy(update={"key": f"metric-{i}"}) for i in range(19))]
    control, treatment = (
        dict[str, ArmValues]({metric.key: Counts(10_000, n) for metric in metrics}) for n in (1_000, 1_300)
    )
    worse = {metric.key: Counts(10_000, 700) for metric in metrics[1:10]}
    provenance = replace(PROVENANCE, dropped=Dropped({"closed": 40}, 130_000))
    found = statistics(133, control=control, treatment=treatment | worse)
    text = build_readout(plan(*metrics), found, provenance)["summary"]
    assert text.startswith("Do not ship. metric-0 is shown to be worse. metric-1 is shown to be worse.")
    assert "metric-2 is shown to be worse. There are 6 more reasons." in text
    assert "Worse: metric-0, metric-1, metric-2 and 6 more." in text
    assert "Better: metric-9, metric-10, metric-11 and 7 more." in text
    assert "treatment raises converted by 30.0 % (13.00 % against 10.00 %;" in text
    assert "Senders gave up 40" in text


def test_an_adjustment_that_brings_nothing_is_told_with_the_metric_and_in_the_summary() -> None:
    spent = PlannedMetric.model_validate(
        {"key": "spent", "type": "mean", "role": "success", "direction": "increase", "event": "buy"}
        | {"pre_period_days": 28}
    )
    words = "Adjusting for the pre-period removes less than 1 % of the variance for treatment"
    for product, little in ((300.0, True), (3_000.0, False)):
        rows = ((4_000.0, product), (product, 4_100.0))
        control, treatment = (
            dict[str, ArmValues]({"spent": Moments(1_000, ("y", "y_before"), (mean, 8.0), rows)})
            for mean in (10.0, 10.4)
        )
        readout = build_readout(plan(spent), statistics(control=control, treatment=treatment), PROVENANCE)
        (note,) = readout["metrics"][0]["notes"]
        assert (words in note) is (words in readout["summary"]) is little
        assert note.startswith("Adjusting for the pre-period removes")


def test_what_senders_gave_up_is_told() -> None:
    for dropped, words in (
        (Dropped({"queue_full": 1_200, "closed": 34}, 130_000), "Senders gave up 1,234 exposures and events"),
        (Dropped({"closed": 1}, 10), "Senders gave up 1 exposure or event"),
        (Dropped({}), None),
    ):
        found = statistics(
            control={"converted": Counts(1_000, 100)}, treatment={"converted": Counts(1_000, 110)}
        )
        text = build_readout(plan(CONVERTED), found, replace(PROVENANCE, dropped=dropped))["summary"]
        assert (words or "Do not ship.") in text
        assert ("gave up" in text) is (words is not None)


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
