"""One comparison of a mean with CUPED, from moments, against tea-tasting and gbstats on the same numbers."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import RegressionAdjustedStatistic, compute_theta
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics import Mean

import equipoise_stats as es
from benchmarks.paired import paired, row
from benchmarks.peers.arms import random_arms

COMPARISONS = 300
ROUNDS = 7
LEAST = 5.0

TEA_TASTING = Mean("y", "x")


def main() -> None:
    """Print processor time a comparison, and how many times faster this engine is.

    Each library starts from its own sufficient statistics. This engine's answer holds the difference and the
    lift, each with its interval, as tea-tasting's does; gbstats gives one of them a call.
    """
    print(f"  a mean with CUPED, from moments: each peer against this engine; the limit is {LEAST:g} and up")
    rng = np.random.default_rng(1)
    arms = [random_arms(rng) for _ in range(COMPARISONS)]
    own = _timed(_own, [(treatment.ours(), control.ours()) for treatment, control in arms])
    tea = _timed(_tea_tasting, [(t.tea_tasting(), c.tea_tasting()) for t, c in arms])
    gb_arms = [(t.gbstats_adjusted(), c.gbstats_adjusted()) for t, c in arms]
    for name, peer in (
        ("tea-tasting: difference and lift", tea),
        ("gbstats: difference and lift", _timed(_gbstats_both, gb_arms)),
        ("gbstats: lift alone", _timed(_gbstats_lift, gb_arms)),
    ):
        theirs, ours, ratios = paired(peer, own, ROUNDS)
        row(name, f"{theirs:.1f} μs", f"{ours:.1f} μs", ratios)


def _timed(compare: Callable[[Any, Any], object], arms: Sequence[tuple[Any, Any]]) -> Callable[[], float]:
    def measure() -> float:
        begin = time.process_time()
        for treatment, control in arms:
            compare(treatment, control)
        return (time.process_time() - begin) / len(arms) * 1e6

    return measure


def _own(treatment: es.Moments, control: es.Moments) -> es.Comparison:
    return es.fixed_horizon(
        es.adjusted_difference(treatment=treatment, control=control, covariates=["x"], column="y")
    )


def _tea_tasting(treatment: Aggregates, control: Aggregates) -> object:
    return TEA_TASTING.analyze_aggregates(control, treatment)


def _gbstats_both(treatment: RegressionAdjustedStatistic, control: RegressionAdjustedStatistic) -> object:
    return _gbstats(treatment, control, "absolute", "relative")


def _gbstats_lift(treatment: RegressionAdjustedStatistic, control: RegressionAdjustedStatistic) -> object:
    return _gbstats(treatment, control, "relative")


def _gbstats(
    treatment: RegressionAdjustedStatistic, control: RegressionAdjustedStatistic, *scales: str
) -> list[object]:
    control.theta = treatment.theta = compute_theta(control, treatment)
    return [
        TwoSidedTTest(control, treatment, FrequentistConfig(difference_type=scale)).compute_result()
        for scale in scales
    ]


if __name__ == "__main__":
    main()
