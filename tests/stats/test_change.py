"""The change of an effect from one analysis to another."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from equipoise_stats import (
    Effect,
    Interval,
    Moments,
    Status,
    change_of_effect,
    fixed_horizon,
    mean_difference,
)


def effect(estimate: float, lower: float, upper: float) -> Effect:
    return Effect(Status.OK, None, estimate, None, Interval(lower, upper))


@pytest.mark.parametrize(
    ("first", "second", "published"),
    [
        # Newcombe 1998, Statistics in Medicine 17, table II, method 10: two Wilson intervals, put together.
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((10, 10), (0, 20), (0.6791, 1.0000)),
    ],
)
def test_of_two_wilson_intervals_it_is_newcombes_hybrid(
    first: tuple[int, int], second: tuple[int, int], published: tuple[float, float]
) -> None:
    one, other = (effect(x / n, *proportion_confint(x, n, method="wilson")) for x, n in (first, second))
    found = change_of_effect(earlier=other, later=one).interval
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx(published, abs=6e-5)


numbers = st.floats(-1e6, 1e6)
widths = st.floats(1e-3, 1e6)


@given(numbers, widths, numbers, widths)
def test_of_symmetric_intervals_the_variances_add(a: float, s: float, b: float, t: float) -> None:
    found = change_of_effect(earlier=effect(a, a - s, a + s), later=effect(b, b - t, b + t))
    assert found.estimate == pytest.approx(b - a)
    assert found.interval is not None
    radius = math.hypot(s, t)
    assert (found.interval.lower, found.interval.upper) == pytest.approx(
        (b - a - radius, b - a + radius), rel=1e-6, abs=1e-6
    )


@given(*[numbers, widths, widths] * 2)
def test_backwards_it_is_the_same_with_the_other_sign(
    a: float, below: float, above: float, b: float, under: float, over: float
) -> None:
    one, other = effect(a, a - below, a + above), effect(b, b - under, b + over)
    there = change_of_effect(earlier=one, later=other).interval
    back = change_of_effect(earlier=other, later=one).interval
    assert there is not None
    assert back is not None
    assert (there.lower, there.upper) == pytest.approx((-back.upper, -back.lower))


def test_without_an_interval_there_is_none_and_it_says_why() -> None:
    nothing = Effect(Status.TOO_FEW_UNITS, "There are too few.")
    known = effect(1, 0, 2)
    assert change_of_effect(earlier=nothing, later=known) == nothing
    assert change_of_effect(earlier=known, later=nothing) == nothing


def test_an_open_end_stays_open() -> None:
    found = change_of_effect(earlier=effect(0, -1, 1), later=effect(1, 0, math.inf)).interval
    assert found is not None
    assert found.lower == pytest.approx(1 - math.sqrt(2))
    assert found.upper == math.inf


def lift_of(generator: np.random.Generator, lift: float) -> Effect:
    """The lift that an analysis of skewed values finds."""
    control, treatment = generator.exponential(10, 400), generator.exponential(10 * (1 + lift), 400)
    found = mean_difference(
        treatment=Moments.scalar(400, treatment.mean(), treatment.var(ddof=1)),
        control=Moments.scalar(400, control.mean(), control.var(ddof=1)),
    )
    return fixed_horizon(found).lift


def test_the_interval_of_two_lifts_holds_their_change_as_often_as_it_says() -> None:
    generator = np.random.default_rng(20261122)
    rounds, held = 3000, 0
    for _ in range(rounds):
        found = change_of_effect(earlier=lift_of(generator, 0.3), later=lift_of(generator, 0.1)).interval
        assert found is not None
        held += not found.excludes(-0.2)
    error = math.sqrt(0.95 * 0.05 / rounds)
    assert held / rounds == pytest.approx(0.95, abs=4 * error)
