"""Counts of successes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from equipoise_stats import Counts, Moments

counts = st.integers(0, 50).flatmap(lambda n: st.builds(Counts, st.just(n), st.integers(0, n)))


@given(counts)
def test_counts_are_a_column_of_zeros_and_ones(arm: Counts) -> None:
    column = [1.0] * arm.successes + [0.0] * (arm.n - arm.successes)
    from_counts, from_data = arm.moments("y"), Moments.from_arrays({"y": column})
    assert from_counts.n == from_data.n
    assert_allclose(from_counts.mean, from_data.mean, atol=1e-14)
    assert_allclose(from_counts.comoments, from_data.comoments, atol=1e-13)
    assert from_counts.third is not None
    assert from_data.third is not None
    assert_allclose(from_counts.third, from_data.third, atol=1e-13)


@given(counts, counts)
def test_counts_add(a: Counts, b: Counts) -> None:
    assert a.merge(b) == Counts(a.n + b.n, a.successes + b.successes)
    assert Counts.from_dict(a.to_dict()) == a


@pytest.mark.parametrize(("n", "successes"), [(-1, -1), (3, 4), (3, -1), (-2, 0)])
def test_impossible_counts_are_refused(n: int, successes: int) -> None:
    with pytest.raises(ValueError, match="impossible"):
        Counts(n, successes)
