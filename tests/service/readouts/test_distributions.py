"""Values in bins: what a readout says of them, and what `verify` finds."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.readouts.documents import seal, spread_readout
from tests.service.readouts.test_verification import edited, is_refused, leaves, with_value

from equipoise_service.readouts.distributions import expect_halvings
from equipoise_service.readouts.verification import verify_readout

WHERE = ("metrics", 0, "values")


def test_a_readout_says_how_many_units_were_drawn_of_how_many() -> None:
    values = spread_readout()["metrics"][0]["values"]
    assert values == {
        "halvings": 2,
        "edges": [100.0, 200.0],
        "arms": [
            {"variant": "control", "units": 1_000, "drawn": 250, "zero": 190, "counts": [20, 30, 10]},
            {"variant": "treatment", "units": 1_000, "drawn": 250, "zero": 189, "counts": [21, 30, 10]},
        ],
    }


@pytest.mark.parametrize("halvings", [0, 2])
def test_edited_counts_are_found_though_the_digest_is_made_again(halvings: int) -> None:
    readout = spread_readout(halvings)
    assert verify_readout(readout) == []
    found = 0
    for path, old in leaves(readout["metrics"][0]["values"]["arms"]):
        for value in edited(old):
            assert is_refused(with_value(readout, (*WHERE, "arms", *path), value, forged=True)), path
            found += 1
    assert found > 20


@pytest.mark.parametrize(("place", "edge"), [(0, 250.0), (0, 101.0), (1, 1234.0), (1, 100.0)])
def test_edges_that_are_not_round_or_do_not_ascend_are_found(place: int, edge: float) -> None:
    assert is_refused(with_value(spread_readout(), (*WHERE, "edges", place), edge, forged=True))


def test_a_larger_share_is_found_by_the_digests() -> None:
    """It follows from nothing else in a readout; a smaller one does not draw so many."""
    found = verify_readout(with_value(spread_readout(), (*WHERE, "halvings"), 1, forged=False))
    assert [each.pointer for each in found] == [
        "/digests/members/metrics",
        "/digests/metrics/0",
        "/digest",
    ]


@pytest.mark.parametrize(("halvings", "forged"), [(0, 1), (0, 2), (0, 31), (1, 2), (2, 3)])
def test_more_units_than_chance_draws_are_no_such_sample(halvings: int, forged: int) -> None:
    (found,) = verify_readout(with_value(spread_readout(halvings), (*WHERE, "halvings"), forged, forged=True))
    assert (found.pointer, found.expected) == ("/metrics/0/values/halvings", halvings)


@given(halvings=st.integers(1, 8), units=st.integers(2, 400_000), seed=st.integers(0, 2**32))
def test_what_is_drawn_by_chance_is_believed(halvings: int, units: int, seed: int) -> None:
    drawn = [int(n) for n in np.random.default_rng(seed).binomial(units, 0.5**halvings, size=2)]
    arms = [{"units": units, "drawn": n} for n in drawn]
    expected: dict[str, Any] = {"revision": 1, "metrics": [{"values": {"halvings": halvings, "arms": arms}}]}
    expect_halvings(expected)
    assert expected["metrics"][0]["values"]["halvings"] == halvings


def test_of_a_file_every_unit_is_drawn() -> None:
    readout = with_value(spread_readout(), ("revision",), None, forged=True)
    pointers = [each.pointer for each in verify_readout(readout)]
    assert pointers[0] == "/metrics/0/values/halvings"


def test_a_readout_of_before_there_were_bins_goes_on_verifying() -> None:
    readout: dict[str, Any] = copy.deepcopy(spread_readout())
    for metric in readout["metrics"]:
        del metric["values"]
    seal(readout)
    assert verify_readout(readout) == []


def test_a_look_is_the_same_look_whatever_is_in_the_bins() -> None:
    assert spread_readout(1)["statistics_digest"] == spread_readout(2)["statistics_digest"]
