"""One experiment of a history: units are randomised anew, and a look is taken every day."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

import equipoise_stats as es
from calibration.draws import Floats
from calibration.replays.history import Fact, History, Integers
from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, Statistics
from equipoise_service.metrics.schemas import MetricType
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.provenance import Provenance

Flags = NDArray[np.bool_]

VARIANTS = ("control", "treatment")


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of an experiment.

    Attributes:
        outcomes: What the readout of each look recommended, until it was to ship.
        naive: Of each day, of the success metric: the p-value of a test that plans a single analysis.
        better: Of each day, whether the treatment was ahead.
    """

    outcomes: tuple[str, ...]
    naive: tuple[float, ...]
    better: tuple[bool, ...]

    @property
    def shipped(self) -> bool:
        """Whether a look recommended to ship."""
        return self.outcomes[-1] == "ship"

    @property
    def naively_shipped(self) -> bool:
        """Whether on some day p < 0.05 with the treatment ahead."""
        return any(p < 0.05 and better for p, better in zip(self.naive, self.better, strict=True))

    @property
    def naively_different(self) -> bool:
        """Whether on some day p < 0.05."""
        return any(p < 0.05 for p in self.naive)


def replay(history: History, plan: Plan, generator: np.random.Generator, *, planted: float = 0.0) -> Replay:
    """Runs an experiment to its end, or until it is recommended to ship.

    Args:
        history: What came in.
        plan: Its plan.
        generator: Randomises the units, half to each arm.
        planted: Probability that a treated unit without success has one on the day that it came; 0 for A/A.
    """
    treated = generator.random(history.day.size) < 0.5
    days = _days(history, plan, treated, generator, planted)
    naive = [_naive(plan, each) for each in days]
    taken: list[Look] = []
    outcomes: list[str] = []
    for number, statistics in enumerate(days, start=1):
        now = history.started_at + timedelta(days=number)
        look = next_look(
            plan,
            mature_units(plan, statistics),
            taken,
            statistics_digest=statistics_digest(plan, statistics),
            taken_at=now,
            started_at=history.started_at,
            ended_at=None,
        )
        taken.append(look)
        provenance = Provenance("replay", 1, now, started_at=history.started_at, traffic=1.0)
        outcomes.append(build_readout(plan, statistics, provenance, taken)["recommendation"]["outcome"])
        if outcomes[-1] == "ship":
            break
    return Replay(tuple(outcomes), tuple(p for p, _ in naive), tuple(better for _, better in naive))


def _days(
    history: History, plan: Plan, treated: Flags, generator: np.random.Generator, planted: float
) -> list[Statistics]:
    """The statistics of all that came until the end of each day."""
    facts = dict(history.facts)
    if planted:
        leading = plan.metrics[0].key
        facts[leading] = _with_more(history, facts[leading], treated, generator, planted)
    units = [_by_day(history, history.day, arm) for arm in (~treated, treated)]
    sums = {
        key: [
            (_by_day(history, fact.day, fact.sum * arm), _by_day(history, fact.day, fact.squares * arm))
            for arm in (~treated[fact.unit], treated[fact.unit])
        ]
        for key, fact in facts.items()
    }
    return [
        Statistics(
            {
                variant: ArmStatistics(
                    int(units[arm][day]),
                    {
                        metric.key: _values(
                            metric.type, int(units[arm][day]), *_at(sums[metric.key][arm], day)
                        )
                        for metric in plan.metrics
                    },
                )
                for arm, variant in enumerate(VARIANTS)
            },
            0,
            None,
        )
        for day in range(history.days)
    ]


def _with_more(
    history: History, fact: Fact, treated: Flags, generator: np.random.Generator, share: float
) -> Fact:
    without = np.ones(treated.size, dtype=bool)
    without[fact.unit[fact.sum > 0]] = False
    more = np.flatnonzero(treated & without & (generator.random(treated.size) < share))
    ones = np.ones(more.size)
    return Fact(
        np.concatenate([fact.unit, more]),
        np.concatenate([fact.day, history.day[more]]),
        np.concatenate([fact.sum, ones]),
        np.concatenate([fact.squares, ones]),
    )


def _by_day(history: History, day: Integers, weights: NDArray[Any]) -> Floats:
    found: Floats = np.bincount(day, weights=weights, minlength=history.days).cumsum()
    return found


def _at(sums: tuple[Floats, Floats], day: int) -> tuple[float, float]:
    return float(sums[0][day]), float(sums[1][day])


def _values(kind: MetricType, n: int, total: float, squares: float) -> ArmValues:
    if kind is MetricType.PROPORTION:
        return es.Counts(n, round(total))
    return es.Moments(n, ("y",), (total / n,), ((squares - total * (total / n),),))


def _naive(plan: Plan, statistics: Statistics) -> tuple[float, bool]:
    """The p-value of the success metric as of a single analysis, and whether the treatment is ahead."""
    control, treatment = (statistics.arms[each].values[plan.metrics[0].key] for each in VARIANTS)
    if isinstance(control, es.Counts) and isinstance(treatment, es.Counts):
        effect = es.proportion_difference(treatment=treatment, control=control)
    elif isinstance(control, es.Moments) and isinstance(treatment, es.Moments):
        effect = es.mean_difference(treatment=treatment, control=control)
    else:
        raise TypeError(f"no naive test of {type(control).__name__}")
    found = es.fixed_horizon(effect)
    p = found.test.p_value
    return (1.0 if p is None else p), (found.difference.estimate or 0.0) > 0
