"""What somebody gains who watches daily and stops at the best moment, by what the last look spends."""

import numpy as np
import pytest

from equipoise_stats import plan_looks

DAYS, EXPERIMENTS = 28, 20_000


@pytest.mark.parametrize(("every", "most"), [(1, 0.055), (4, 0.065), (7, 0.07), (28, 0.08)])
def test_a_stop_at_the_best_moment_gains_little_unless_it_spends_the_rest(every: int, most: float) -> None:
    """Without an effect; a planned look every so many days. Decision 0032 has the table."""
    days = np.arange(1, DAYS + 1) / DAYS
    steps = np.random.default_rng(7).standard_normal((EXPERIMENTS, DAYS)) * DAYS**-0.5
    z = np.abs(steps.cumsum(axis=1) / np.sqrt(days))
    planned = [k for k in range(DAYS) if (k + 1) % every == 0]
    looked = (z[:, planned] > np.array(plan_looks(days[planned].tolist()).critical_values)).any(axis=1)
    assert looked.mean() == pytest.approx(0.05, abs=0.005)
    earlier = [days[[j for j in planned if j < k]].tolist() for k in range(DAYS)]
    as_planned = [
        plan_looks([*before, now]).current.critical for before, now in zip(earlier, days, strict=True)
    ]
    the_rest = [
        plan_looks(before).next_look(now, final=True).current.critical
        for before, now in zip(earlier, days, strict=True)
    ]
    assert ((z > np.array(as_planned)).any(axis=1) | looked).mean() < most
    assert ((z > np.array(the_rest)).any(axis=1) | looked).mean() > 0.25
