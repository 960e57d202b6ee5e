"""Experiments with known truth, looked at many times: the recommendation errs as seldom as the plan says."""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pytest
from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, plan, statistics

from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.plans.schemas import Horizon, Looks, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_stats import Counts, fixed_horizon, proportion_difference

LOOKS, STEP, BASE = 5, 1_000, 0.1
PLAN = plan(
    CONVERTED,
    method=Method.GROUP_SEQUENTIAL,
    horizon=Horizon(units=2 * LOOKS * STEP),
    looks=Looks(count=LOOKS),
    tuning_units=LOOKS * STEP,
)
BY_DAYS = plan(
    CONVERTED,
    method=Method.GROUP_SEQUENTIAL,
    horizon=Horizon(days=LOOKS),
    looks=Looks(every_hours=24),
    tuning_units=LOOKS * STEP,
)
EVEN = (STEP,) * LOOKS
LATE = (50, 150, 300, 500, 4_000)
"""Units an arm that come from look to look: of a horizon in days nobody knows them beforehand."""


@dataclass(frozen=True)
class Ended:
    """How an experiment ended, and whether somebody who peeks at plain p-values would have shipped it."""

    outcome: str
    peeked: bool


def run(
    generator: np.random.Generator, effect: float, planned: Plan = PLAN, steps: tuple[int, ...] = EVEN
) -> Ended:
    """One experiment until it is decided."""
    taken: list[Look] = []
    successes, peeked = np.zeros(2, dtype=int), False
    for number in range(1, LOOKS + 1):
        successes += generator.binomial(steps[number - 1], [BASE, BASE + effect])
        control, treatment = (Counts(sum(steps[:number]), int(each)) for each in successes)
        plain = fixed_horizon(proportion_difference(treatment=treatment, control=control))
        peeked |= bool(plain.test.rejected) and treatment.successes > control.successes
        found = statistics(control={"converted": control}, treatment={"converted": treatment})
        now = START + timedelta(days=number)
        look = next_look(
            planned,
            mature_units(planned, found),
            taken,
            statistics_digest=statistics_digest(planned, found),
            taken_at=now,
            started_at=START,
            ended_at=None,
        )
        taken.append(look)
        provenance = replace(PROVENANCE, generated_at=now, started_at=START)
        readout = build_readout(planned, found, provenance, taken)
        outcome = readout["recommendation"]["outcome"]
        assert readout["progress"]["complete"] == (number == LOOKS)
        if outcome != "keep_running":
            break
    return Ended(outcome, peeked)


REPLICATES = [60, pytest.param(300, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("planned", "steps"), [(PLAN, EVEN), (BY_DAYS, LATE)], ids=["units", "days"])
@pytest.mark.parametrize("replicates", REPLICATES)
def test_what_improves_nothing_is_shipped_as_seldom_as_planned(
    replicates: int, planned: Plan, steps: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(20261122)
    ended = [run(generator, 0.0, planned, steps) for _ in range(replicates)]
    shipped = sum(each.outcome == "ship" for each in ended)
    # Half of alpha is the chance; four standard deviations above it.
    expected = 0.025 * replicates
    assert shipped <= expected + 4 * np.sqrt(expected * 0.975)
    assert {each.outcome for each in ended} <= {"ship", "do_not_ship"}
    if replicates >= 300 and planned is PLAN:
        assert sum(each.peeked for each in ended) > 1.6 * expected


@pytest.mark.parametrize(("planned", "steps"), [(PLAN, EVEN), (BY_DAYS, LATE)], ids=["units", "days"])
@pytest.mark.parametrize("replicates", REPLICATES)
def test_a_change_that_improves_is_shipped_and_early(
    replicates: int, planned: Plan, steps: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(7)
    # 10 % against 12 % with 5,000 units an arm: the power of one test is 89 %, of five looks a little less.
    shipped = sum(run(generator, 0.02, planned, steps).outcome == "ship" for _ in range(replicates))
    assert shipped >= 0.88 * replicates - 4 * np.sqrt(replicates * 0.88 * 0.12)
