"""Alpha that is spent by the calendar, whatever the information is: bounds, error rates, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tests.stats.looks import OBF, POCOCK, spendings, with_z

from equipoise_stats import LookHistory, Spending, at_looks, group_sequential, plan_looks


@pytest.mark.parametrize("spending", [OBF, POCOCK])
@pytest.mark.parametrize("units", [(0.09, 0.41, 0.48), (0.3, 0.31, 0.9), (0.01, 0.02, 0.93)])
def test_bounds_spend_by_time_and_correlate_by_information(
    spending: Spending, units: tuple[float, ...]
) -> None:
    # The reference is a multivariate normal integral, which knows nothing of the recursion.
    times = (0.3, 0.6, 1.0)
    history = plan_looks(units, spending=spending, spending_times=times)
    correlation = np.array([[math.sqrt(min(a, b) / max(a, b)) for a in units] for b in units])
    for k in range(1, 4):
        top = np.array(history.critical_values[:k])
        within = stats.multivariate_normal.cdf(
            top, cov=correlation[:k, :k], lower_limit=-top, abseps=1e-8, releps=1e-8, maxpts=10**6, rng=1
        )
        spent = 2 * spending.spent(times[k - 1], alpha=0.025)
        assert 1 - within == pytest.approx(spent, abs=2e-6)
        assert history.looks[k - 1].spent == pytest.approx(spent)


@settings(max_examples=25)
@given(
    spending=spendings,
    gaps=st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    scale=st.floats(1e-6, 1e-2),
)
def test_only_ratios_of_information_matter(spending: Spending, gaps: list[float], scale: float) -> None:
    units = [float(each) for each in np.cumsum(gaps)]
    times = [k / len(units) for k in range(1, len(units) + 1)]
    one = plan_looks(units, spending=spending, spending_times=times)
    other = plan_looks([scale * each for each in units], spending=spending, spending_times=times)
    for a, b in zip(one.looks, other.looks, strict=True):
        assert b.critical == pytest.approx(a.critical, rel=1e-7)
        assert (a.spent, a.spending_time) == (b.spent, b.spending_time)
    assert one.current.spent == pytest.approx(0.05)


def test_time_that_is_information_changes_nothing() -> None:
    fractions = [0.2, 0.5, 0.9, 1.0]
    assert plan_looks(fractions, spending_times=fractions) == plan_looks(fractions)
    asked = with_z(2.3)
    by_time = at_looks(asked, fractions=[0.2, 0.5], spending_times=[0.2, 0.5], final=True)
    assert by_time(alpha=0.01) == at_looks(asked, fractions=[0.2, 0.5], final=True)(alpha=0.01)


def test_a_last_look_spends_the_rest_whatever_the_time() -> None:
    asked = with_z(2.05)
    early = at_looks(asked, fractions=[0.2, 0.5], spending_times=[0.1, 0.4])
    last = at_looks(asked, fractions=[0.2, 0.5], spending_times=[0.1, 0.4], final=True)
    assert (early().test.rejected, last().test.rejected) == (False, True)
    history = LookHistory().next_look(0.2, spending_time=0.1).next_look(0.5, spending_time=0.4, final=True)
    assert group_sequential(asked, history=history) == last()
    assert LookHistory.from_dict(history.to_dict()) == history


@pytest.mark.parametrize("name", ["steady", "late", "early", "bursts"])
def test_the_error_rate_holds_however_the_units_come(name: str) -> None:
    days = np.arange(1, 29)
    traffic = {
        "steady": np.ones(28),
        "late": days.astype(float) ** 3,
        "early": 1.0 / days**2,
        "bursts": np.where(days % 7 == 0, 50.0, 0.2),
    }[name]
    information = np.cumsum(traffic) / traffic.sum()
    history = plan_looks(information.tolist(), spending_times=(days / 28).tolist())
    replications = 40_000
    steps = np.sqrt(np.diff(information, prepend=0.0))
    walk = np.cumsum(np.random.default_rng(28).normal(size=(replications, 28)) * steps, axis=1)
    crossed = (np.abs(walk) >= np.array(history.critical_values) * np.sqrt(information)).any(axis=1)
    # Four standard errors; what naive spending by a wrong guess of the units does is far outside.
    assert abs(crossed.mean() - 0.05) < 4 * math.sqrt(0.05 * 0.95 / replications)


@pytest.mark.parametrize(
    ("fractions", "times"),
    [
        ((0.3,), (0.0,)),
        ((0.3,), (1.01,)),
        ((0.3,), (math.nan,)),
        ((0.3, 0.6), (0.5, 0.4)),
        ((0.3, 0.6), (0.5,)),
        ((0.3, 0.6), ()),
    ],
)
def test_impossible_times_are_refused(fractions: tuple[float, ...], times: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="spending time"):
        plan_looks(fractions, spending_times=times)
