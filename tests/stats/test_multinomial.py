"""The Dirichlet-multinomial e-value: exact fractions, large counts, its level by exact recursion."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise_stats import dirichlet_multinomial_log_e


def exact(counts: tuple[int, ...], null: tuple[Fraction, ...], prior: tuple[int, ...]) -> float:
    """Rising factorials in exact arithmetic."""
    e = Fraction(1)
    for n, theta, a in zip(counts, null, prior, strict=True):
        for j in range(n):
            e = e * (a + j) / theta
    for j in range(sum(counts)):
        e /= sum(prior) + j
    return math.log(e.numerator) - math.log(e.denominator)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 9), st.integers(1, 60)), min_size=2, max_size=4)
)
def test_it_is_the_exact_fraction(arms: list[tuple[int, int, int]]) -> None:
    counts, shares, prior = (tuple(arm[i] for arm in arms) for i in range(3))
    null = tuple(Fraction(share, sum(shares)) for share in shares)
    mine = float(dirichlet_multinomial_log_e(counts, null=[float(theta) for theta in null], prior=prior))
    assert mine == pytest.approx(exact(counts, null, prior), rel=1e-11, abs=1e-11)


def test_a_billion_counts_cost_no_digits() -> None:
    """Against the asymptotic form for large k and N, whose error is of order 1/k."""
    k, n, shift = 1e9, 2_000_000_000, 70_000
    counts = [n // 2 + shift, n // 2 - shift]
    # z = 2 · shift/√n; mixture ratio n/k.
    z, ratio = 2 * shift / math.sqrt(n), n / k
    normal = 0.5 * z * z * ratio / (1 + ratio) - 0.5 * math.log1p(ratio)
    mine = float(dirichlet_multinomial_log_e(counts, null=[0.5, 0.5], prior=[k / 2, k / 2]))
    assert mine == pytest.approx(normal, abs=1e-7)
    one_more = float(
        dirichlet_multinomial_log_e([counts[0] + 1, counts[1]], null=[0.5, 0.5], prior=[k / 2, k / 2])
    )
    assert one_more - mine == pytest.approx(math.log((k / 2 + counts[0]) / (k + n) / 0.5), rel=1e-4)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(0, 1000), st.integers(0, 1000))
def test_each_event_multiplies_by_its_predicted_share(a: float, b: float, x: int, y: int) -> None:
    """E grows by the share that the mixture predicted for the arm, over the share tested."""
    now = float(dirichlet_multinomial_log_e([x, y], null=[0.3, 0.7], prior=[a, b]))
    then = float(dirichlet_multinomial_log_e([x + 1, y], null=[0.3, 0.7], prior=[a, b]))
    assert then - now == pytest.approx(math.log((a + x) / (a + b + x + y) / 0.3), abs=1e-10)


def test_shapes_broadcast() -> None:
    counts = np.arange(12).reshape(2, 3, 2)
    log_e = dirichlet_multinomial_log_e(counts, null=[0.4, 0.6], prior=[4.0, 6.0])
    assert log_e.shape == (2, 3)
    for index in np.ndindex(2, 3):
        one = dirichlet_multinomial_log_e(counts[index], null=[0.4, 0.6], prior=[4.0, 6.0])
        assert log_e[index] == pytest.approx(float(one), abs=1e-12)
    assert float(dirichlet_multinomial_log_e([0, 0], null=[0.4, 0.6], prior=[4.0, 6.0])) == pytest.approx(
        0, abs=1e-12
    )


def ever_reached(theta: float, alpha: float, prior: tuple[float, float], largest: int) -> float:
    """The exact probability that E reaches 1/α within so many tosses, by recursion over the count."""
    alive, reached = np.array([1.0]), 0.0
    for n in range(1, largest + 1):
        alive = np.append(alive * (1 - theta), 0.0) + np.append(0.0, alive * theta)
        x = np.arange(n + 1)
        log_e = dirichlet_multinomial_log_e(
            np.stack([x, n - x], axis=1), null=[theta, 1 - theta], prior=prior
        )
        stop = log_e >= -math.log(alpha)
        reached += float(alive[stop].sum())
        alive[stop] = 0.0
    return reached


@pytest.mark.parametrize(("theta", "prior"), [(0.5, (5.0, 5.0)), (0.1, (1.0, 9.0)), (0.3, (20.0, 20.0))])
def test_the_level_is_exact(theta: float, prior: tuple[float, float]) -> None:
    reached = ever_reached(theta, 0.1, prior, 1500)
    assert 0.03 < reached <= 0.1
