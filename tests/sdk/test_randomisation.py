"""Uniformity and independence of what units get, within chance at a family level of 0.001.

Each question is a chi-square test of counts; the smallest p-value is held against 0.001 divided by how many
there are (Bonferroni). The short form always runs; the full one, a million units, fifty experiments, is slow
(`make randomisation` runs it alone and prints the smallest p-value of every question). Units and salts are
fixed, so that a form that passes goes on passing: what it shows is about the function, not about luck.
"""

import random
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from equipoise import BUCKETS, Reason, assign_many, bucket
from equipoise.configuration import Configuration, parse

LEVEL = 0.001
WEIGHTS = ([5000, 5000], [9000, 1000], [3334, 3333, 3333], [2500, 2500, 2500, 2500], [9900, 100])
"""Weights of the arms, experiment by experiment in turn."""

Arms = NDArray[np.int8]
Questions = dict[str, list[float]]
"""The p-values of each question."""


def salts(count: int) -> list[str]:
    """Return salts as the service draws them: 16 hexadecimal characters."""
    source = random.Random(20261122)
    return [f"{source.getrandbits(64):016x}" for _ in range(count)]


def configured(
    weights: Sequence[int], layer_salt: str, salt: str, slots: int = BUCKETS, revision: int = 1
) -> Configuration:
    """Return a configuration of one experiment, `e`."""
    edges = [sum(weights[:index]) for index in range(len(weights) + 1)]
    arms = [f"arm-{index}" for index in range(len(weights))]
    return parse(
        {
            **{"schema": "equipoise.config/2", "project": "p", "environment": "e", "version": 1},
            "flags": {
                "e": {
                    **{"type": "string", "variants": dict.fromkeys(arms, ""), "default": arms[0]},
                    "rules": [{"experiment": "e"}],
                }
            },
            "experiments": {
                "e": {
                    **{"status": "running", "unit_type": "user", "flag": "e", "variants": arms},
                    **{"control": arms[0], "layer_salt": layer_salt, "slots": [[0, slots]], "salt": salt},
                    "revision": revision,
                    "ranges": [[arm, *edges[index : index + 2]] for index, arm in enumerate(arms)],
                }
            },
        }
    )


def arms_of(configuration: Configuration, units: Sequence[str]) -> Arms:
    """Return the index of each unit's arm; -1 for a unit that is not enrolled."""
    index = {arm: n for n, arm in enumerate(configuration.experiments["e"].variants)}
    assigned = assign_many(configuration, "e", units)
    codes = {each: index[str(each.variant)] if each.reason is Reason.SPLIT else -1 for each in set(assigned)}
    by_identity = {id(each): codes[each] for each in assigned}
    return np.fromiter((by_identity[id(each)] for each in assigned), np.int8, len(units))


def share_p(arms: Arms, weights: Sequence[int]) -> float:
    """Test the shares of the arms against their weights."""
    expected = np.array(weights) / BUCKETS * len(arms)
    return float(stats.chisquare(np.bincount(arms, minlength=len(weights)), expected).pvalue)


def independence_p(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Test that two classifications of the same units are independent."""
    columns = int(other.max()) + 1
    table = np.bincount(one.astype(np.int64) * columns + other, minlength=(int(one.max()) + 1) * columns)
    return float(stats.chi2_contingency(table.reshape(-1, columns), correction=False).pvalue)


def questions(unit_count: int, experiments: int) -> Questions:
    """Ask everything of so many units and experiments, each experiment in a layer of its own."""
    units = [f"user-{number}" for number in range(unit_count)]
    drawn = iter(salts(3 * experiments))
    arms: list[Arms] = []
    asked: Questions = {
        name: [] for name in ("shares", "slots", "slot × arm", "ramp shares", "revisions", "pairs")
    }
    for number in range(experiments):
        weights, layer, salt = WEIGHTS[number % len(WEIGHTS)], next(drawn), next(drawn)
        arms.append(arms_of(configured(weights, layer, salt), units))
        asked["shares"].append(share_p(arms[-1], weights))
        if number % 4 == 0:
            for name, p in deeper(units, weights, layer, salt, next(drawn), arms[-1]):
                asked[name].append(p)
    asked["pairs"] = [independence_p(one, other) for one, other in combinations(arms, 2)]
    return asked


def deeper(
    units: Sequence[str], weights: Sequence[int], layer: str, salt: str, next_salt: str, arms: Arms
) -> Iterator[tuple[str, float]]:
    """Ask about slots, a ramp to a tenth, and the revision that follows."""
    slots = np.fromiter((bucket(layer, unit) for unit in units), np.int64, len(units))
    yield "slots", float(stats.chisquare(np.bincount(slots // 100, minlength=100)).pvalue)
    yield "slot × arm", independence_p(slots // 500, arms)
    ramped = arms_of(configured(weights, layer, salt, slots=BUCKETS // 10), units)
    assert (ramped[slots < 1000] == arms[slots < 1000]).all()
    assert (ramped[slots >= 1000] == -1).all()
    yield "ramp shares", share_p(ramped[ramped >= 0], weights)
    yield "revisions", independence_p(arms, arms_of(configured(weights, layer, next_salt, revision=2), units))


def judge(asked: Questions) -> None:
    """Hold the smallest p-value of all against the family's level."""
    count = sum(len(each) for each in asked.values())
    print(f"\n{count:,} tests; the smallest p-value must be above {LEVEL / count:.1e}")
    for name, each in asked.items():
        print(f"  {name:12} {len(each):5} tests, smallest p-value {min(each):.1e}")
    assert min(min(each) for each in asked.values()) > LEVEL / count


def test_assignments_are_uniform_and_independent() -> None:
    judge(questions(30_000, 10))


@pytest.mark.slow
def test_a_million_units_in_fifty_experiments_are_uniform_and_independent() -> None:
    judge(questions(1_000_000, 50))


def test_the_tests_would_see_what_they_look_for() -> None:
    units = [f"user-{number}" for number in range(30_000)]
    layer, salt, other = salts(3)
    arms = arms_of(configured([5000, 5000], layer, salt), units)
    assert independence_p(arms, arms_of(configured([9000, 1000], other, salt), units)) < 1e-100, (
        "one salt twice"
    )
    slots = np.fromiter((bucket(salt, unit) for unit in units), np.int64, len(units))
    assert independence_p(slots // 500, arms) < 1e-100, "the layer's salt is the revision's"
    assert share_p(arms, [5200, 4800]) < LEVEL / 1_000, "two percentage points off"
    half = arms_of(configured([5000, 5000], layer, layer, slots=5000), units)
    assert share_p(half[half >= 0], [5000, 5000]) < 1e-100, "the arm follows from the slot"
