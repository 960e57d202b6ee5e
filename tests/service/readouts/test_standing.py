"""After the last look its conclusion stands: newer data refer to it, and say what holds at any moment."""

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, plan, seal, statistics

from equipoise_service.analysis.statistics import ArmValues, Statistics
from equipoise_service.plans.looks import next_look
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.standing import concluded_by
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts

ARMS = ("control", "one", "two")
PLANNED = plan(CONVERTED, variants=ARMS, method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=3_000))
STARTED = replace(PROVENANCE, started_at=START)


def converted(units: int, *successes: int) -> Statistics:
    """So many units in each arm, and of them those that converted."""
    arms: dict[str, dict[str, ArmValues]] = {
        arm: {"converted": Counts(units, hits)} for arm, hits in zip(ARMS, successes, strict=True)
    }
    return statistics(0, **arms)


def after(look: Statistics, newer: Statistics, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The readout of the last look, and that of newer data."""
    last = next_look(
        PLANNED,
        mature_units(PLANNED, look),
        [],
        statistics_digest=statistics_digest(PLANNED, look),
        taken_at=START + timedelta(days=2),
        started_at=START,
        ended_at=None,
    )
    looked = build_readout(PLANNED, look, STARTED, [last])
    provenance = replace(STARTED, concluded=concluded_by(looked), **more)
    readout = build_readout(PLANNED, newer, provenance, [last])
    assert verify_readout(readout) == []
    return looked, readout


def newer_readout() -> dict[str, Any]:
    """A readout of data that are newer than the last look."""
    return after(converted(1_000, 100, 105, 160), converted(1_100, 110, 115, 170))[1]


@pytest.mark.parametrize("ended_at", [None, START + timedelta(days=3)], ids=["live", "ended"])
@pytest.mark.parametrize(
    ("successes", "outcome", "variant"),
    [((100, 105, 160), "ship", "two"), ((100, 102, 101), "do_not_ship", None)],
)
def test_the_conclusion_of_the_last_look_stands_in_newer_data(
    successes: tuple[int, ...], outcome: str, variant: str | None, ended_at: Any
) -> None:
    # What is newer would be nearer to another conclusion.
    look, newer = after(converted(1_000, *successes), converted(1_100, 110, 160, 145), ended_at=ended_at)
    then, now = look["recommendation"], newer["recommendation"]
    assert (then["outcome"], then["variant"], then["stands"]) == (outcome, variant, None)
    assert {**now, "stands": None, "text": then["text"]} == {
        **then,
        "treatments": [{**each, "stands": True} for each in then["treatments"]],
    }
    assert now["stands"] == {
        "look": 1,
        "at": look["generated_at"],
        "readout_digest": look["digest"],
        "variant": variant,
    }
    assert newer["stands_on"] == look
    assert newer["summary"].startswith(
        f"{then['text']} This is the result of look 1, which stands: it was the last one, and these data are "
        "newer."
    )
    assert "By now two stands at 13.18 % against 10.00 % on converted" in newer["summary"]
    assert "too early" not in newer["summary"]
    assert "Keep running" not in newer["summary"]


def test_of_several_that_were_better_the_one_that_was_shipped_stays_it() -> None:
    look, newer = after(converted(1_000, 100, 160, 170), converted(1_100, 110, 190, 171))
    assert look["recommendation"]["variant"] == newer["recommendation"]["variant"] == "two"


def test_newer_data_that_show_harm_say_so() -> None:
    look, newer = after(converted(1_000, 100, 105, 160), converted(9_000, 2_000, 2_000, 1_000))
    assert look["recommendation"]["variant"] == "two"
    now = newer["recommendation"]
    assert (now["outcome"], now["variant"]) == ("do_not_ship", None)
    assert {each["variant"]: each["stands"] for each in now["treatments"]} == {"one": True, "two": False}
    assert "This is the result of look" not in newer["summary"]
    assert "two: converted is shown to be worse." in newer["summary"]


def test_newer_data_that_cannot_be_trusted_say_so() -> None:
    look = converted(1_000, 100, 105, 160)
    broken = statistics(
        control={"converted": Counts(2_000, 200)},
        one={"converted": Counts(1_100, 110)},
        two={"converted": Counts(1_100, 176)},
    )
    assert after(look, broken)[1]["recommendation"]["outcome"] == "investigate"


def test_an_outcome_that_the_treatments_do_not_have_is_found() -> None:
    edited = deepcopy(newer_readout())
    edited["recommendation"].update(outcome="do_not_ship", variant=None)
    seal(edited)
    assert {each.pointer for each in verify_readout(edited)} == {
        "/recommendation/outcome",
        "/recommendation/variant",
    }
