"""Values in bins: what a readout says of them, and what `verify` finds."""

import copy
from typing import Any

import pytest
from tests.service.readouts.documents import spread_readout
from tests.service.readouts.test_verification import edited, is_refused, leaves, with_value

from equipoise_service.canonical import digest
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


def test_another_share_is_found_by_the_digest() -> None:
    """It follows from nothing else in a readout."""
    found = verify_readout(with_value(spread_readout(), (*WHERE, "halvings"), 3, forged=False))
    assert [each.pointer for each in found] == ["/digest"]


def test_a_readout_of_before_there_were_bins_goes_on_verifying() -> None:
    readout: dict[str, Any] = copy.deepcopy(spread_readout())
    for metric in readout["metrics"]:
        del metric["values"]
    readout["digest"] = digest({name: each for name, each in readout.items() if name != "digest"})
    assert verify_readout(readout) == []


def test_a_look_is_the_same_look_whatever_is_in_the_bins() -> None:
    assert spread_readout(1)["statistics_digest"] == spread_readout(2)["statistics_digest"]
