"""Whether an effect holds, has faded or has turned: the words follow from the two intervals."""

from copy import deepcopy
from typing import Any

import pytest
from tests.service.readouts.documents import converted, seal
from tests.service.readouts.repeated import metric, numbers, repeated_readout

from equipoise_service.canonical import digest
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.repeat import EffectNumbers
from equipoise_service.readouts.verification import verify_readout

WON, BARELY, FAR = numbers(0.1, 0.05, 0.15), numbers(0.02, 0.001, 0.04), numbers(0.3, 0.2, 0.4)
LOWERED, OPEN = numbers(-0.1, -0.15, -0.05), numbers(0.03, -0.05, 0.11)
UP, SAME, DOWN = 11_000, 10_000, 9_000
LOWER = metric(direction="decrease")
WATCHED = metric("deterioration")


def guardrail(margin: float) -> PlannedMetric:
    return metric("guardrail", "decrease", margin)


@pytest.mark.parametrize(
    ("asked", "then", "now", "finding", "words"),
    [
        (metric(), WON, UP, "holds", "the effect holds"),
        (metric(), WON, 13_000, "holds", "the effect holds"),
        (metric(), FAR, UP, "faded", "has faded"),
        (metric(), FAR, SAME, "faded", "has faded"),
        (metric(), WON, DOWN, "turned", "has turned"),
        (metric(), LOWERED, UP, "turned", "has turned"),
        (metric(), LOWERED, DOWN, "holds", "the effect holds"),
        (metric(), OPEN, UP, "appeared", "better now, which was not shown then"),
        (metric(), OPEN, DOWN, "appeared", "worse now, which was not shown then"),
        (metric(), OPEN, SAME, "cannot_tell", "cannot be told"),
        (metric(), BARELY, SAME, "cannot_tell", "cannot be told"),
        (LOWER, LOWERED, DOWN, "holds", "the effect holds"),
        (LOWER, numbers(-0.3, -0.4, -0.2), DOWN, "faded", "has faded"),
        (LOWER, LOWERED, UP, "turned", "has turned"),
        (LOWER, OPEN, UP, "appeared", "worse now"),
        (guardrail(0.05), OPEN, SAME, "holds", "still shown to lose less than its margin of 5.00 %"),
        (guardrail(0.05), LOWERED, SAME, "holds", "still shown to lose less"),
        (guardrail(0.05), OPEN, UP, "turned", "worse now, and no longer shown"),
        (guardrail(0.01), OPEN, SAME, "cannot_tell", "cannot be told"),
        (metric("guardrail", "increase", 0.05), OPEN, DOWN, "turned", "worse now"),
        (WATCHED, OPEN, SAME, "holds", "not shown to be worse"),
        (WATCHED, OPEN, UP, "holds", "not shown to be worse"),
        (WATCHED, WON, SAME, "holds", "not shown to be worse"),
        (WATCHED, OPEN, DOWN, "appeared", "worse now"),
        (WATCHED, WON, DOWN, "turned", "has turned"),
        (WATCHED, LOWERED, DOWN, "holds", "the effect holds"),
        (metric("guardrail"), OPEN, DOWN, "appeared", "worse now"),
    ],
)
def test_what_became_of_an_effect(
    asked: PlannedMetric, then: EffectNumbers, now: int, finding: str, words: str
) -> None:
    readout = repeated_readout(asked, then, now)
    (effect,) = readout["repeat"]["effects"]
    assert (effect["finding"], effect["scale"], effect["role"]) == (finding, "lift", asked.role)
    assert words in effect["text"]
    assert effect["text"] in readout["repeat"]["text"]
    assert readout["summary"].startswith(readout["repeat"]["text"])
    low, high = effect["now"]["interval"]
    assert effect["now_holds_then"] is (low <= then.estimate <= high)
    assert verify_readout(readout) == []


def test_a_repeat_recommends_nothing_and_says_what_it_is() -> None:
    readout = repeated_readout(then=WON)
    assert readout["recommendation"]["outcome"] is None
    assert "Nothing is recommended: treatment was shipped" in readout["recommendation"]["text"]
    assert readout["summary"].startswith("30 days after treatment was shipped")
    assert ", then +10.0 % (+5.0 % to +15.0 %)." in readout["summary"]


def test_where_a_check_failed_nothing_can_be_told() -> None:
    readout = repeated_readout(then=WON, units=90_000, converted=9_900)
    assert readout["health"]["sample_ratio"]["status"] == "failed"
    (effect,) = readout["repeat"]["effects"]
    assert effect["finding"] == "cannot_tell"
    assert effect["text"].startswith("converted: cannot be told, as a check failed.")
    assert readout["summary"].startswith("Do not rely on these results")


def test_without_lifts_the_differences_are_compared() -> None:
    readout = repeated_readout(difference=numbers(0.01, 0.005, 0.015))
    (effect,) = readout["repeat"]["effects"]
    assert (effect["scale"], effect["finding"]) == ("difference", "holds")
    assert "+1.00 percentage points" in effect["text"]


@pytest.mark.parametrize(("then", "units", "when"), [(None, 100_000, "of then"), (WON, 0, "of now")])
def test_without_an_interval_it_says_so(then: EffectNumbers | None, units: int, when: str) -> None:
    readout = repeated_readout(then=then, units=units, converted=units // 10)
    (effect,) = readout["repeat"]["effects"]
    assert (effect["finding"], effect["then"], effect["now"]) == ("cannot_tell", None, None)
    assert effect["text"] == f"converted: cannot be told, as there is no interval {when}."
    assert verify_readout(readout) == []


def changed(document: dict[str, Any], *place: Any, to: Any) -> dict[str, Any]:
    document = deepcopy(document)
    found: Any = document
    for each in place[:-1]:
        found = found[each]
    found[place[-1]] = to
    seal(document)
    return document


@pytest.mark.parametrize(
    ("place", "to"),
    [
        (("repeat", "effects", 0, "finding"), "faded"),
        (("repeat", "effects", 0, "change", "estimate"), 0.2),
        (("repeat", "effects", 0, "now", "interval", 0), 0.0),
        (("repeat", "text"), "All is well."),
        (("repeat", "decided", "effects", 0, "lift", "estimate"), 0.2),
    ],
    ids=lambda value: "/".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_who_edits_what_became_of_it_is_told(place: tuple[Any, ...], to: Any) -> None:
    edited = changed(repeated_readout(then=WON), *place, to=to)
    assert verify_readout(edited) != []


def test_a_readout_from_before_repeats_has_no_such_member_and_verifies() -> None:
    document = converted((100, 1000), (120, 1000))
    since = ("holdback", "repeat", "digests", "digest")
    before = {name: value for name, value in document.items() if name not in since}
    assert document["repeat"] is None
    assert verify_readout({**before, "digest": digest(before)}) == []
