"""Alpha-spending functions: their formulas, their limits, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.stats.looks import OBF, POCOCK, spendings

from equipoise_stats import (
    Spending,
    SpendingFamily,
)


@given(spendings, st.floats(0.001, 1.5), st.floats(0.001, 1.5), st.floats(1e-12, 0.9))
def test_spending_grows_from_nothing_to_alpha(spending: Spending, a: float, b: float, alpha: float) -> None:
    early, late = sorted((a, b))
    assert 0 <= spending.spent(early, alpha=alpha) <= spending.spent(late, alpha=alpha) * (1 + 1e-12)
    assert spending.spent(late, alpha=alpha) <= alpha * (1 + 1e-12)
    assert spending.spent(1.0, alpha=alpha) == spending.spent(7.0, alpha=alpha) == alpha
    assert spending.spent(0.999999, alpha=alpha) == pytest.approx(alpha, rel=1e-3)


def test_spending_formulas() -> None:
    a, t = 0.025, 0.37
    assert OBF.spent(t, alpha=a) == pytest.approx(
        2 - 2 * float(stats.norm.cdf(stats.norm.isf(a / 2) / math.sqrt(t))), rel=1e-9
    )
    assert POCOCK.spent(t, alpha=a) == pytest.approx(a * math.log(1 + (math.e - 1) * t), rel=1e-14)
    for gamma in (-4.0, 1.0, 7.5):
        expected = a * (1 - math.exp(-gamma * t)) / (1 - math.exp(-gamma))
        assert Spending("hwang_shih_decani", gamma).spent(t, alpha=a) == pytest.approx(expected, rel=1e-13)
    assert Spending("hwang_shih_decani", 0.0).spent(t, alpha=a) == pytest.approx(a * t, rel=1e-14)
    assert Spending("hwang_shih_decani", 1e-9).spent(t, alpha=a) == pytest.approx(a * t, rel=1e-8)
    for least in (5e-324, -5e-324, 1e-300):  # its product with t underflows
        assert Spending("hwang_shih_decani", least).spent(t, alpha=a) == pytest.approx(a * t, rel=1e-14)
    assert Spending("power", 2.0).spent(t, alpha=a) == pytest.approx(a * t * t, rel=1e-14)


@given(spendings, st.floats(0.01, 1.5), st.floats(1e-9, 0.9))
def test_the_error_rate_of_what_is_spent_is_the_inverse(
    spending: Spending, fraction: float, alpha: float
) -> None:
    spent = spending.spent(fraction, alpha=alpha)
    if spent > 1e-300:
        assert spending.alpha(fraction, spent=spent) == pytest.approx(alpha, rel=1e-9)
    assert spending.alpha(fraction, spent=0.0) == 0.0
    assert spending.alpha(fraction, spent=1.0) == 1.0


@pytest.mark.parametrize(
    ("fraction", "spent", "message"), [(0.5, 1.1, "spent is 1.1"), (0.0, 0.1, "fraction is 0.0; it must be")]
)
def test_an_impossible_spending_is_refused(fraction: float, spent: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OBF.alpha(fraction, spent=spent)


def test_spending_below_the_range_of_doubles() -> None:
    # 2 Φ(−√2 q) for the q with log 2Φ(−q) = −2000.
    q = 63.09
    log_alpha = math.log(2) + float(stats.norm.logsf(q))
    expected = math.log(2) + float(stats.norm.logsf(q * math.sqrt(2)))
    assert OBF.log_spent(0.5, log_alpha) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("family", "parameter", "message"),
    [
        (
            "haybittle",
            None,
            "^The spending family is 'haybittle'; "
            "it must be one of obrien_fleming, pocock, hwang_shih_decani, power.$",
        ),
        ("pocock", 2.0, "takes no parameter"),
        ("power", None, "needs the exponent between 0.01 and 50"),
        ("power", 0.0, "needs the exponent"),
        ("hwang_shih_decani", 41.0, "needs gamma between -40 and 40"),
        ("hwang_shih_decani", math.nan, "needs gamma"),
    ],
)
def test_impossible_spending_is_refused(
    family: SpendingFamily, parameter: float | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Spending(family, parameter)


def test_impossible_questions_to_spending_are_refused() -> None:
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="alpha is"):
            OBF.spent(0.5, alpha=alpha)
    for fraction in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="information fraction is"):
            OBF.spent(fraction, alpha=0.05)
