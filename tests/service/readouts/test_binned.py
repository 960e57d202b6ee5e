"""Counts of values in bins beside a mean and a variance: what values there are can have, and nothing less."""

from bisect import bisect_right
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from tests.service.readouts.documents import seal, spread_readout

from equipoise_service.readouts.binned import can_have
from equipoise_service.readouts.verification import verify_readout

EDGES = st.lists(st.integers(-50, 50), min_size=0, max_size=5, unique=True).map(sorted)


def binned(values: list[float], edges: list[int]) -> list[int]:
    counts = [0] * (1 + len(edges))
    for value in values:
        counts[bisect_right(edges, value)] += value != 0
    return counts


@given(
    values=st.lists(st.integers(-60, 60) | st.floats(-60, 60), min_size=1, max_size=30),
    edges=EDGES,
    cut=st.none() | st.integers(-60, 60),
)
def test_what_values_have_is_believed(values: list[float], edges: list[int], cut: int | None) -> None:
    # What is nearer to zero than the smallest edge is counted with it.
    values = [0.0 if abs(each) < 1e-9 else each for each in values]
    counts = binned(values, edges)
    shown = np.array(values if cut is None else np.minimum(values, cut), dtype=float)
    assume(cut is None or cut >= 0)  # units at zero stay there
    deviations = shown - shown.mean()
    m2 = float(deviations @ deviations)
    assert can_have(counts, edges, units=len(values), mean=float(shown.mean()), m2=m2, cut=cut)


def least_squares(counts: list[int], edges: list[int], total: float) -> float:
    """The smallest sum of squares of values in these bins with this sum: the largest of the dual problem."""
    lower, upper = (np.array(ends, dtype=float) for ends in ([-np.inf, *edges], [*edges, np.inf]))
    n = np.array(counts, dtype=float)

    def dual(factor: float) -> float:
        beside = np.maximum(0, np.maximum(lower - factor, factor - upper))
        return -float(n @ (beside**2 - factor**2)) - 2 * factor * total

    return -float(minimize_scalar(dual, bounds=(-1e4, 1e4), method="bounded", options={"xatol": 1e-7}).fun)


@given(
    counted=EDGES.flatmap(
        lambda edges: st.tuples(
            st.just(edges), st.lists(st.integers(0, 20), min_size=len(edges) + 1, max_size=len(edges) + 1)
        )
    ),
    mean=st.floats(-30, 30).map(lambda value: round(value, 3)),
)
def test_less_than_the_smallest_sum_of_squares_is_refused(
    counted: tuple[list[int], list[int]], mean: float
) -> None:
    edges, counts = counted
    units = sum(counts) + 5
    assume(sum(counts))
    least, about = least_squares(counts, edges, units * mean), units * mean**2
    within = [
        sum(n * end for n, end in zip(counts, ends, strict=True) if n)
        for ends in ([-np.inf, *edges], [*edges, np.inf])
    ]
    if not within[0] <= units * mean <= within[1]:
        assert not can_have(counts, edges, units=units, mean=mean, m2=1e12)
        return
    assume(least - about > 1)
    assert can_have(counts, edges, units=units, mean=mean, m2=least * 1.001 - about)
    assert not can_have(counts, edges, units=units, mean=mean, m2=least * 0.999 - about)


def test_counts_the_other_way_round_are_found_though_the_digest_is_made_again() -> None:
    readout: dict[str, Any] = deepcopy(spread_readout(0))
    assert verify_readout(readout) == []
    counts = readout["metrics"][0]["values"]["arms"][0]["counts"]
    counts[:] = [10, 10, 40]
    seal(readout)
    (found,) = verify_readout(readout)
    assert found.pointer == "/metrics/0/values/arms/0/counts"
    assert (found.found, found.expected) == ([10, 10, 40], None)


@pytest.mark.parametrize("halvings", [1, 2])
def test_of_a_sample_the_mean_says_nothing(halvings: int) -> None:
    readout: dict[str, Any] = deepcopy(spread_readout(halvings))
    readout["metrics"][0]["values"]["arms"][0]["counts"][:] = [10, 10, 40]
    seal(readout)
    assert verify_readout(readout) == []


def test_counts_are_not_freed_from_the_mean_by_being_called_a_sample() -> None:
    readout: dict[str, Any] = deepcopy(spread_readout(0))
    values = readout["metrics"][0]["values"]
    values["halvings"] = 1
    values["arms"][0]["counts"][:] = [10, 10, 40]
    seal(readout)
    pointers = [each.pointer for each in verify_readout(readout)]
    assert pointers == ["/metrics/0/values/halvings", "/metrics/0/values/arms/0/counts"]
