"""The statistics engine: bounds of many looks, a thousand metrics with everything on, and its peers.

The peers need an environment of their own, because their requirements exclude each other's and ours
(`benchmarks/peers/constraints.txt`); their part runs there, as a program that has this engine beside them.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

import equipoise_stats as es

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"
ROUNDS = 5
METRICS = 1_000
UNITS = 40_000
PLANNED = 320_000  # units of one comparison
LOOK, LOOKS = 4, 16

Family = dict[str, es.Compare]


def main() -> None:
    """Print times against what we hold ourselves to."""
    print("statistics: times against their limits")
    for looks, limit in ((28, 0.050), (100, 0.200)):
        _row(f"bounds of {looks} looks (O'Brien-Fleming type)", partial(_bounds, looks), limit)
    name = f"{METRICS:,} metrics × 3 arms, CUPED, lift, BH"
    _row(f"{name}, confidence sequence", _confidence_sequences, 2.0)
    _row(f"{name}, look {LOOK} of {LOOKS}", _looks, 2.0)
    if not PEERS.exists():
        sys.exit(f"The peers are not installed ({PEERS} is missing); run 'make bench' or 'make peers'.")
    subprocess.run([PEERS, "-m", "benchmarks.peers.speed"], cwd=ROOT, check=True)


def _row(name: str, question: Callable[[int], None], limit: float) -> None:
    """Times a question, after one round that is not counted; each round asks another, so no cache helps."""
    times = []
    for number in range(ROUNDS + 1):
        begin = time.perf_counter()
        question(number)
        times.append(time.perf_counter() - begin)
    del times[0]
    ratios = [one / limit for one in times]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    measured, allowed = f"{median(times) * 1e3:.0f} ms", f"{limit * 1e3:.0f} ms"
    print(f"  {name:<58} {measured:>12} {allowed:>12}   ratio {median(ratios):.2f} ({spread})", flush=True)


def _bounds(looks: int, number: int) -> None:
    es.plan_looks(_fractions(looks, looks, number))


def _confidence_sequences(number: int) -> None:
    arms = _arms(UNITS + number)
    bound = partial(es.confidence_sequence, tuning_units=PLANNED / 2, tuning_alpha=0.05)
    _experiment(arms, lambda estimate: partial(bound, estimate))


def _looks(number: int) -> None:
    fractions = _fractions(LOOK, LOOKS, number)
    _experiment(_arms(UNITS), lambda estimate: es.at_looks(estimate, fractions=fractions))


def _fractions(looks: int, planned: int, number: int) -> list[float]:
    return [(look - number / 1000) / planned for look in range(1, looks + 1)]


def _arms(units: int) -> dict[str, dict[str, es.Moments]]:
    """Moments of each metric and arm, from what an engine's query gives: outcome and pre-period."""
    rng = np.random.default_rng(1)
    metrics = {}
    for metric in range(METRICS):
        mean, spread, correlation = rng.uniform(1, 100), rng.uniform(0.5, 3), rng.uniform(0.2, 0.9)
        variance = (spread * mean) ** 2
        metrics[f"metric-{metric}"] = {
            arm: es.Moments.from_aggregates(
                units,
                {name: mean * (1 + spread * rng.normal() / units**0.5) for name in ("y", "x")},
                {"y": variance, "x": variance},
                {("x", "y"): correlation * variance},
                {"y": 3 * variance**1.5 * units, "x": 3 * variance**1.5 * units},
            )
            for arm in ("control", "first", "second")
        }
    return metrics


def _experiment(
    arms: dict[str, dict[str, es.Moments]], bind: Callable[[es.Estimate | es.NoEstimate], es.Compare]
) -> None:
    """A whole readout: sample ratio, adjusted effects with lifts for each treatment, one family for all."""
    family: Family = {}
    for name, by_arm in arms.items():
        for treatment in ("first", "second"):
            estimate = es.adjusted_difference(
                treatment=by_arm[treatment], control=by_arm["control"], covariates=["x"], column="y"
            )
            family[f"{name}/{treatment}"] = bind(estimate)
    check = es.sample_ratio(
        {arm: moments.n for arm, moments in arms["metric-0"].items()},
        {"control": 1, "first": 1, "second": 1},
    )
    results = es.simultaneous(family, correction="benjamini_hochberg")
    if check.status is not es.CheckStatus.OK or len(results) != 2 * METRICS:
        raise RuntimeError(f"The experiment was not analysed: {check.reason}, {len(results)} comparisons.")
