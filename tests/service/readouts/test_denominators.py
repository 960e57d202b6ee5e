"""Moved denominators, asked at every refresh: nothing that did not move is called moved by asking often."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from tests.service.readouts.documents import PER_VIEW, PROVENANCE, START, plan, statistics

from equipoise_service.analysis.statistics import ArmValues
from equipoise_service.canonical import digest
from equipoise_service.plans.schemas import Horizon, Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.health import Compared, check_health
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.verification import verify_readout
from equipoise_service.readouts.wording import wording
from equipoise_stats import CheckStatus, Moments

EXPERIMENTS, REFRESHES, EVERY = 200, 60, 60
"""How many experiments, how often each is refreshed, and how many units each arm has more each time."""

LEVEL = 0.001
PLANNED = plan(PER_VIEW, method=Method.FIXED_HORIZON, horizon=Horizon(units=2 * REFRESHES * EVERY))


def views(seed: int, mean: float) -> NDArray[np.float64]:
    """Views of each unit: one row an experiment, in the order in which units come."""
    drawn = np.random.default_rng(seed).poisson(mean, (EXPERIMENTS, REFRESHES * EVERY))
    return drawn.astype(float)


def at_refreshes(units: NDArray[np.float64]) -> Iterator[Moments]:
    """The statistics of one arm at each refresh; what its units bought is of no interest."""
    for n in range(EVERY, len(units) + 1, EVERY):
        seen = units[:n]
        rows = ((n - 1.0, 0.0), (0.0, float(((seen - seen.mean()) ** 2).sum())))
        yield Moments(n, ("y", "d"), (1.0, float(seen.mean())), rows)


def is_moved(treatment: Moments, control: Moments, *, complete: bool) -> bool:
    found = statistics(control={"per-view": control}, treatment={"per-view": treatment})
    compared = [Compared("per-view", treatment, control, None)]
    check = check_health(PLANNED, found, compared, complete=complete).moved_denominators
    assert check is not None
    return check.status is CheckStatus.WARNING


def ever_moved(treatments: NDArray[np.float64], controls: NDArray[np.float64]) -> int:
    """Of how many experiments a refresh says that the denominator moved."""
    return sum(
        any(is_moved(*arms, complete=False) for arms in zip(at_refreshes(a), at_refreshes(b), strict=True))
        for a, b in zip(treatments, controls, strict=True)
    )


def test_asked_at_each_refresh_it_is_wrong_no_more_often_than_its_level() -> None:
    treatments, controls = views(1, 8.0), views(2, 8.0)
    assert ever_moved(treatments, controls) <= 1
    # By one test at each refresh, in closed form, many times as many experiments would be wrong.
    at = np.arange(EVERY, REFRESHES * EVERY + 1, EVERY)
    apart = (treatments - controls).cumsum(axis=1)[:, at - 1] / np.sqrt(2 * 8.0 * at)
    wrong = (np.abs(apart) > norm.isf(LEVEL / 2)).any(axis=1).sum()
    assert wrong >= 10 * EXPERIMENTS * LEVEL


def test_a_denominator_that_moved_is_found_before_the_end() -> None:
    treatments, controls = views(3, 8.8)[:20], views(4, 8.0)[:20]
    assert ever_moved(treatments, controls) == 20


@pytest.mark.parametrize("complete", [False, True])
def test_at_the_end_it_is_one_test(complete: bool) -> None:
    # 3.5 standard errors: one in two thousand at the end, nothing for one who looks every hour.
    n, off = 5_000, 3.5 * (2 * 4.0 / 5_000) ** 0.5
    rows = ((n - 1.0, 0.0), (0.0, 4.0 * (n - 1)))
    arms = [Moments(n, ("y", "d"), (1.0, mean), rows) for mean in (8.0 + off, 8.0)]
    assert is_moved(*arms, complete=complete) is complete


def test_a_readout_from_before_says_that_its_rules_were_others() -> None:
    n, off = 1_000, 3.5 * (2 * 4.0 / 1_000) ** 0.5
    rows = ((n - 1.0, 0.0), (0.0, 4.0 * (n - 1)))
    arms: list[dict[str, ArmValues]] = [
        {"per-view": Moments(n, ("y", "d"), (1.0, mean), rows)} for mean in (8.0 + off, 8.0)
    ]
    running = replace(PROVENANCE, started_at=START, generated_at=START + timedelta(days=1))
    document = build_readout(PLANNED, statistics(treatment=arms[0], control=arms[1]), running)
    assert document["health"]["moved_denominators"]["status"] == "ok"
    assert verify_readout(document) == []
    document["health"]["moved_denominators"] |= {"status": "warning", "metrics": ["per-view"]}
    assert document["wording"] == wording()
    assert [each.pointer for each in verify_readout(document)][:2] == [
        "/health/moved_denominators/status",
        "/health/moved_denominators/metrics",
    ]
    document["wording"] = digest({})
    with pytest.raises(NotAReadout, match="other rules for /health/moved_denominators"):
        verify_readout(document)
