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
    converted,
    moments,
    plan,
    rich_readout,
    statistics,
)
from tests.service.readouts.test_summary_of_many import of_arms

from equipoise_service.analysis.statistics import ArmValues
from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.looks import next_look
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.losses import Dropped
from equipoise_service.readouts.outcomes import Outcome, outcome
from equipoise_service.readouts.schemas import Readout
from equipoise_stats import Counts, Moments

TO_JUDGE = (
    "The plan names no smallest effect that matters: whether what is not excluded is small is for you "
    "to judge."
)


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
