"""Bots that are left out of one arm more than of another are found, and so are many of them."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.service.readouts.documents import CONVERTED, PROVENANCE, plan, seal, segmented_readout, statistics

from equipoise_service.plans.documents import PlannedVariant
from equipoise_service.plans.population import BotRule
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.verification import verify_readout
from equipoise_stats import Counts


def winner(control: int, treatment: int, both: int = 0, weights: tuple[int, int] = (1, 1)) -> dict[str, Any]:
    """The readout of a treatment that looks far better, with so many bots of each arm and of both."""
    units = [10_000 * weight for weight in weights]
    found = statistics(
        control={"converted": Counts(units[0], units[0] // 10)},
        treatment={"converted": Counts(units[1], units[1] // 7)},
    )
    arms = {arm: n for arm, n in (("control", control), ("treatment", treatment)) if n}
    found = replace(found, bots=control + treatment + both, bots_by_arm=arms)
    variants = [
        PlannedVariant(key=key, weight=1_000 * weight, control=key == "control")
        for key, weight in zip(("control", "treatment"), weights, strict=True)
    ]
    asked = plan(CONVERTED, bots=BotRule(most_events=5_000)).model_copy(update={"variants": variants})
    readout = build_readout(asked, found, PROVENANCE)
    assert verify_readout(json.loads(json.dumps(readout))) == []
    return readout


@pytest.mark.parametrize(
    ("bots", "status", "outcome"),
    [
        ((0, 0), "ok", "ship"),
        ((200, 230), "ok", "ship"),
        # A rule that the treatment's people meet twice as often.
        ((200, 400), "failed", "investigate"),
        # So few decide nothing.
        ((10, 80, 0, (5, 5)), "warning", "ship"),
        ((600, 600), "warning", "ship"),
        ((400, 400, 300), "warning", "ship"),
        ((900, 100, 0, (9, 1)), "ok", "ship"),
        ((500, 500, 0, (9, 1)), "failed", "investigate"),
    ],
)
def test_bots_of_one_arm_block_shipping(bots: tuple[Any, ...], status: str, outcome: str) -> None:
    readout = winner(*bots)
    check = readout["health"]["bots"]
    assert (check["status"], readout["recommendation"]["outcome"]) == (status, outcome)
    assert check["units"] == readout["population"]["bots"] == sum(bots[:3])
    assert (check["reason"] is None) is (status == "ok")


def test_its_share_is_of_all_that_were_seen_and_edits_are_found() -> None:
    check = winner(200, 400, 10)["health"]["bots"]
    assert check["share"] == pytest.approx(610 / 20_610)
    assert check["number"].startswith("610 units (2.96 %): 200 in control and 400 in treatment, p < 0.0001")
    for edit in ({"units": 600}, {"arms": {"control": 300, "treatment": 300}}, {"p_value": 0.2}):
        readout = winner(200, 400, 10)
        readout["health"]["bots"] |= edit
        seal(readout)
        assert verify_readout(readout), edit


def test_a_readout_from_before_there_was_the_check_agrees() -> None:
    readout = segmented_readout()
    readout["population"]["bots"] = 9
    assert {each.pointer for each in verify_readout(readout)} >= {"/health/bots/units"}
    readout = winner(0, 0)
    del readout["health"]["bots"]
    seal(readout)
    assert verify_readout(readout) == []
