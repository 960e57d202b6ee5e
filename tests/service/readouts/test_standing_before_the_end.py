"""What a look or a confidence sequence found for good stands in newer data, before the planned end too."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, plan, statistics

from equipoise_service.analysis.overlaps import Overlap
from equipoise_service.analysis.segments import segment_label
from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, SegmentStatistics, Statistics
from equipoise_service.metrics.schemas import Direction, Role
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.plans.population import PlannedSegment
from equipoise_service.plans.schemas import Horizon, Looks, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.overlaps import Overlaps
from equipoise_service.readouts.sealing import sealed
from equipoise_service.readouts.standing import asks_the_same, concluded_by
from equipoise_service.readouts.verification import Disagreement, verify_readout
from equipoise_stats import Counts

ERRORS = CONVERTED.model_copy(
    update={"key": "errors", "role": Role.DETERIORATION, "direction": Direction.DECREASE, "event": "error"}
)
METRICS, ARMS, HORIZON = (CONVERTED, ERRORS), ("control", "one", "two"), Horizon(units=12_000)
LOOKED = plan(*METRICS, variants=ARMS, method=Method.GROUP_SEQUENTIAL, horizon=HORIZON, looks=Looks(count=4))
SEQUENCE = plan(*METRICS, variants=ARMS, method=Method.CONFIDENCE_SEQUENCE, horizon=HORIZON)
STARTED = replace(PROVENANCE, started_at=START)


def data(units: int, *shares: float, errors: float = 0.01) -> Statistics:
    """So many units in each arm, what share of them converted, and the errors of the last arm."""
    arms: dict[str, dict[str, ArmValues]] = {
        arm: {
            "converted": Counts(units, round(share * units)),
            "errors": Counts(units, round((errors if arm == "two" else 0.01) * units)),
        }
        for arm, share in zip(ARMS, shares, strict=True)
    }
    return statistics(0, **arms)


class Run:
    """An experiment whose readouts follow each other, as the service makes them."""

    def __init__(self, planned: Plan = LOOKED) -> None:
        self.plan, self.looks, self.before = planned, [], None
        self.day = 0

    plan: Plan
    looks: list[Look]
    before: dict[str, Any] | None

    def read(self, found: Statistics, **more: Any) -> dict[str, Any]:
        """The readout of data; of a plan without looks the next one is after it."""
        self.day += 1
        concluded = None if self.before is None else concluded_by(self.before)
        if concluded is not None and not asks_the_same(self.plan, concluded):
            concluded = None
        now = START + timedelta(days=self.day)
        provenance = replace(STARTED, concluded=concluded, generated_at=now, **more)
        readout = build_readout(self.plan, found, provenance, self.looks)
        assert verify_readout(readout) == []
        if self.plan.method is Method.CONFIDENCE_SEQUENCE:
            self.before = readout
        return readout

    def look(self, found: Statistics, **more: Any) -> dict[str, Any]:
        """The readout of a look."""
        self.looks.append(
            next_look(
                self.plan,
                mature_units(self.plan, found),
                self.looks,
                statistics_digest=statistics_digest(self.plan, found),
                taken_at=START + timedelta(days=self.day + 1),
                started_at=START,
                ended_at=None,
            )
        )
        self.before = self.read(found, **more)
        return self.before


def outcomes(readout: dict[str, Any]) -> dict[str, str]:
    """What is recommended of each treatment, marked where it stands."""
    return {
        each["variant"]: each["outcome"] + (" stands" if each["stands"] else "")
        for each in readout["recommendation"]["treatments"]
    }


def test_a_bound_that_was_crossed_at_a_look_stays_crossed() -> None:
    run = Run()
    assert run.look(data(1_000, 0.1, 0.1, 0.11))["recommendation"]["outcome"] == "keep_running"
    second = run.look(data(2_000, 0.1, 0.1, 0.18))
    assert second["recommendation"]["variant"] == "two"
    assert second["stands_on"] is None
    newer = run.read(data(2_100, 0.1, 0.1, 0.17))
    found = newer["recommendation"]
    assert (found["outcome"], found["variant"]) == ("ship", "two")
    assert (found["stands"]["look"], newer["stands_on"]) == (2, second)
    assert outcomes(newer) == {"one": "keep_running", "two": "ship stands"}
    assert newer["summary"].startswith("Ship two. Look 2 found this, which stands: a bound that was crossed")
    assert "It is too early to conclude about converted: one" in newer["summary"]
    assert "By now two stands at 17.00 % against 10.00 % on converted" in newer["summary"]
    # A later look that does not cross takes nothing back, and neither does the last one.
    third = run.look(data(3_000, 0.1, 0.1, 0.112))
    assert outcomes(third) == {"one": "keep_running", "two": "ship stands"}
    assert third["summary"].startswith("Ship two. Look 2 found this")
    assert "By now two stands at 11.20 %" in third["summary"]
    assert "two and control do not differ detectably" not in third["summary"]
    assert run.read(data(3_100, 0.1, 0.1, 0.112))["stands_on"] == second
    last = run.look(data(4_000, 0.1, 0.1, 0.105))
    assert outcomes(last) == {"one": "do_not_ship", "two": "ship stands"}
    assert last["progress"]["complete"]
    after = run.read(data(4_200, 0.1, 0.1, 0.105))
    assert outcomes(after) == {"one": "do_not_ship stands", "two": "ship stands"}
    assert (after["recommendation"]["variant"], after["stands_on"]) == ("two", last)


def test_what_several_looks_found_stands_together() -> None:
    run = Run()
    run.look(data(1_000, 0.1, 0.1, 0.19))
    second = run.look(data(2_000, 0.1, 0.17, 0.11))
    assert outcomes(second) == {"one": "ship", "two": "ship stands"}
    newer = run.read(data(2_100, 0.1, 0.11, 0.11))
    assert outcomes(newer) == {"one": "ship stands", "two": "ship stands"}
    # The second look chose: what was shipped first.
    assert second["recommendation"]["variant"] == newer["recommendation"]["variant"] == "two"


@pytest.mark.parametrize("planned", [LOOKED, SEQUENCE], ids=["looks", "sequence"])
def test_newer_data_override_it_by_harm_and_by_failed_checks_only_while_they_do(planned: Plan) -> None:
    run = Run(planned)
    take = run.look if planned is LOOKED else run.read
    assert take(data(2_000, 0.1, 0.1, 0.2))["recommendation"]["variant"] == "two"
    worse = run.read(data(2_100, 0.1, 0.1, 0.2, errors=0.06))
    assert outcomes(worse)["two"] == "do_not_ship"
    assert worse["recommendation"]["stands"] is None
    broken = replace(data(3_000, 0.1, 0.1, 0.2), crossovers=500)
    assert take(broken)["recommendation"]["outcome"] == "investigate"
    again = run.read(data(3_100, 0.1, 0.1, 0.105))
    assert outcomes(again) == {"one": "keep_running", "two": "ship stands"}


def test_what_a_confidence_sequence_excluded_stays_excluded() -> None:
    run = Run(SEQUENCE)
    first = run.read(data(2_000, 0.1, 0.1, 0.18))
    assert (first["recommendation"]["variant"], first["stands_on"]) == ("two", None)
    for units in (2_100, 2_200, 4_100):
        newer = run.read(data(units, 0.1, 0.1, 0.11))
        assert outcomes(newer)["two"] == "ship stands"
        assert newer["stands_on"] == first
        assert newer["summary"].startswith(
            f"Ship two. The readout of {first['generated_at'][:16].replace('T', ' ')} UTC found this"
        )
        assert "do not differ detectably on converted (11" not in newer["summary"]
    assert newer["progress"]["complete"]
    # What newer data find themselves refers to nothing.
    assert run.read(data(5_000, 0.1, 0.1, 0.18))["stands_on"] is None


def test_methods_that_ask_once_keep_nothing_from_before_the_end() -> None:
    fixed = plan(*METRICS, variants=ARMS, method=Method.FIXED_HORIZON, horizon=HORIZON)
    readout = build_readout(fixed, data(4_000, 0.1, 0.1, 0.18), STARTED)
    assert readout["recommendation"]["outcome"] == "ship"
    assert concluded_by(readout) is None


def test_a_plan_that_ships_by_another_rule_keeps_nothing() -> None:
    run = Run(SEQUENCE)
    run.read(data(2_000, 0.1, 0.1, 0.18))
    changed = [metric.model_copy(update={"direction": Direction.DECREASE}) for metric in SEQUENCE.metrics]
    run.plan = SEQUENCE.model_copy(update={"metrics": changed})
    assert outcomes(run.read(data(2_100, 0.1, 0.1, 0.11)))["two"] == "keep_running"


def countries(*parts: tuple[str, int, int]) -> Statistics:
    """Countries with so many units of each of two arms, and how many of the treatment convert."""
    arms = [
        (label, {"control": Counts(n, n // 10), "treatment": Counts(n, successes)})
        for label, n, successes in parts
    ]
    whole = {
        arm: Counts(sum(each[arm].n for _, each in arms), sum(each[arm].successes for _, each in arms))
        for arm in ("control", "treatment")
    }

    def held(counts: dict[str, Counts]) -> dict[str, ArmStatistics]:
        return {arm: ArmStatistics(each.n, {"converted": each}) for arm, each in counts.items()}

    return Statistics(
        held(whole),
        0,
        PROVENANCE.generated_at,
        segments={
            "country": [
                SegmentStatistics(segment_label(label, others=False), held(each), 0) for label, each in arms
            ]
        },
    )


def after_the_last_look() -> tuple[dict[str, Any], dict[str, Any]]:
    """The last look with what it asks once, and newer data whose countries come in another order."""
    country = PlannedSegment(key="country", event="signed_up", property="country")
    run = Run(
        plan(CONVERTED, method=Method.GROUP_SEQUENTIAL, segments=[country], horizon=Horizon(units=6_000))
    )
    parts = [
        SegmentStatistics(
            variant,
            {
                arm: ArmStatistics(400, {"converted": Counts(400, hits)})
                for arm, hits in zip(("control", "treatment"), both, strict=True)
            },
            0,
        )
        for variant, both in (("off", (40, 110)), ("on", (40, 25)))
    ]
    look = run.look(
        countries(("DE", 1_600, 400), ("FR", 1_400, 120)),
        overlaps=Overlaps(1, (Overlap("banner", parts),)),
    )
    newer = run.read(
        countries(("FR", 1_900, 260), ("DE", 1_650, 410), ("IT", 50, 5)), overlaps=Overlaps(2, None)
    )
    return look, newer


def test_what_is_asked_at_the_end_only_stands_after_it() -> None:
    look, newer = after_the_last_look()
    (then,), (now,) = look["segments"], newer["segments"]
    assert (then["look"], now["look"]) == (None, 1)
    assert now["text"] == f"{then['text']} Look 1, the last one, found this: it is asked once."
    # There is much to say, so that it is said in brief.
    assert "Effects differ between the values of country." in newer["summary"]
    (asked,), (answer,) = then["heterogeneity"], now["heterogeneity"]
    assert answer["corrected_p_value"] == asked["corrected_p_value"] < 1e-4
    # Each value's answer is in the place of the value; of the one that is new there is none.
    assert [part["value"] for part in answer["parts"]] == ["FR", "DE", "IT"]
    assert answer["parts"][:2] == asked["parts"][::-1]
    assert answer["parts"][2]["deviation"] is None
    # So do the other experiments.
    then, now = look["health"]["interactions"], newer["health"]["interactions"]
    assert then["status"] == now["status"] == "warning"
    assert now["reason"] == f"{then['reason']} Look 1, the last one, found this: it is asked once."
    assert {**now, "look": None, "number": then["number"], "reason": then["reason"]} == then
    assert now["look"] == 1
    assert newer["stands_on"] == look


def resealed(readout: dict[str, Any]) -> dict[str, Any]:
    """The readout with a digest of what it says."""
    return sealed(readout)


def _other_p_value(readout: dict[str, Any]) -> None:
    readout["segments"][0]["heterogeneity"][0]["corrected_p_value"] = 0.9


def _earlier_number(readout: dict[str, Any]) -> None:
    earlier = readout["stands_on"]
    earlier["metrics"][0]["comparisons"][0]["statistics"]["variant"]["successes"] += 50
    readout["stands_on"] = resealed(earlier)


def _earlier_experiment(readout: dict[str, Any]) -> None:
    readout["stands_on"] = resealed(readout["stands_on"] | {"revision": 7})


def _none(readout: dict[str, Any]) -> None:
    readout["stands_on"] = None


@pytest.mark.parametrize(
    ("edit", "pointer"),
    [
        (_earlier_number, "/stands_on/statistics_digest"),
        (_earlier_experiment, "/stands_on"),
        (_none, "/recommendation/stands"),
        (_other_p_value, "/segments/0/heterogeneity/0/corrected_p_value"),
    ],
)
def test_what_stands_is_recomputed(edit: Callable[[dict[str, Any]], Any], pointer: str) -> None:
    edited = deepcopy(after_the_last_look()[1])
    edit(edited)
    assert pointer in {each.pointer for each in verify_readout(resealed(edited))}


def test_a_look_that_was_not_taken_does_not_stand() -> None:
    run = Run()
    run.look(data(1_000, 0.1, 0.1, 0.11))
    other = Run()
    other.look(data(1_000, 0.1, 0.1, 0.19))
    run.before = other.before
    concluded = concluded_by(other.before or {})
    provenance = replace(STARTED, concluded=concluded, generated_at=START + timedelta(days=3))
    readout = build_readout(run.plan, data(1_100, 0.1, 0.1, 0.11), provenance, run.looks)
    assert readout["recommendation"]["outcome"] == "ship"
    found: list[Disagreement] = verify_readout(readout)
    assert "/stands_on" in {each.pointer for each in found}
