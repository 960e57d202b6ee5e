"""Independence of two assignments at any moment."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import betaln, gammaln

from equipoise_stats import anytime_independence
from equipoise_stats.wald import independence

TABLES = st.integers(2, 3).flatmap(
    lambda columns: st.lists(
        st.lists(st.integers(0, 3_000), min_size=columns, max_size=columns), min_size=2, max_size=4
    )
)


def log_marginal(counts: list[int], prior: list[float]) -> float:
    """The probability of a sequence with these counts under the mixture, by the formula itself."""
    both = np.add(prior, counts)
    return float(gammaln(both).sum() - gammaln(both.sum()) - gammaln(prior).sum() + gammaln(sum(prior)))


@given(TABLES)
def test_it_is_the_mixtures_likelihood_over_the_largest_of_one_distribution(table: list[list[int]]) -> None:
    shares = [2.0, 1.0, 1.0][: len(table[0])]
    found = anytime_independence(table, shares=shares, concentration=50)
    rows = [row for row in table if sum(row)]
    if len(rows) < 2:
        assert found is None
        return
    prior = [50 * share / sum(shares) for share in shares]
    together = np.array(rows).sum(axis=0)
    largest = sum(n * math.log(n / together.sum()) for n in together.tolist() if n)
    log_e = sum(log_marginal(row, prior) for row in rows) - largest
    assert found == pytest.approx(min(0.0, -log_e), rel=1e-7, abs=1e-6)


def test_it_is_the_smallest_e_value_against_any_share() -> None:
    table = [[520, 480], [430, 560], [90, 110]]

    def log_e(share: float) -> float:
        return sum(
            float(betaln(100 + a, 100 + b) - betaln(100, 100)) - a * math.log(share) - b * math.log(1 - share)
            for a, b in table
        )

    least = minimize_scalar(log_e, bounds=(0.3, 0.7), method="bounded", options={"xatol": 1e-10})
    found = anytime_independence(table, shares=[1, 1], concentration=200)
    assert least.fun > 0
    assert found == pytest.approx(-least.fun, rel=1e-6)


def test_whoever_looks_after_each_hundred_units_is_misled_by_chance_no_more_often() -> None:
    """Pearson's test is, and by shares that are not those planned both have to do without them."""
    generator = np.random.default_rng(4)
    alpha, runs, looks = 0.05, 400, 60
    shown = {"anytime": 0, "pearson": 0}
    for _ in range(runs):
        tables = generator.multinomial(100, np.outer([0.5, 0.5], [0.45, 0.55]).ravel(), size=looks)
        so_far = tables.cumsum(axis=0).reshape(looks, 2, 2)
        logs = [anytime_independence(table, shares=[1, 1]) for table in so_far]
        shown["anytime"] += any(log is not None and log <= math.log(alpha) for log in logs)
        tests = [independence(table) for table in so_far]
        shown["pearson"] += any(test is not None and test.p_value <= alpha for test in tests)
    assert shown["anytime"] <= alpha * runs + 2 * math.sqrt(alpha * (1 - alpha) * runs)
    assert shown["pearson"] > 3 * alpha * runs


def test_what_depends_is_found() -> None:
    generator = np.random.default_rng(5)
    table = generator.multinomial(40_000, [0.26, 0.24, 0.24, 0.26]).reshape(2, 2)
    found = anytime_independence(table, shares=[1, 1])
    assert found is not None
    assert found < math.log(0.001)


@pytest.mark.parametrize("table", [[[5, 5]], [[0, 0], [5, 5]], [[0, 0], [0, 0]]])
def test_one_row_has_nothing_to_be_compared_with(table: list[list[int]]) -> None:
    assert anytime_independence(table, shares=[1, 1]) is None


@pytest.mark.parametrize(
    ("table", "more", "words"),
    [
        ([[1, 2, 3]], {}, "each column needs its share"),
        ([1, 2], {}, "each column needs its share"),
        ([[1, -2], [1, 1]], {}, "negative"),
        ([[1, float("nan")], [1, 1]], {}, "no number"),
        ([[1, 2]], {"shares": [1, 0]}, "must be a positive number"),
        ([[1, 2]], {"concentration": 0.5}, "between 1 and 1e9"),
    ],
)
def test_what_is_wrong_is_said(table: object, more: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        anytime_independence(table, **{"shares": [1, 1]} | more)  # type: ignore[arg-type]
