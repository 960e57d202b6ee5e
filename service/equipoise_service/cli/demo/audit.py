"""Does everything add up: what the simulation did, what the SDK counted, what the readout says?"""

import math
from collections.abc import Sequence

from equipoise_service.cli.demo.simulation import CONTROL, TREATMENT, Observed, Report
from equipoise_service.readouts.measured import ArmStatistics, MeanStatistics, ProportionStatistics
from equipoise_service.readouts.schemas import Readout


def total(reports: Sequence[Report]) -> dict[str, Observed]:
    """What the users of each arm did in all processes together."""
    together = {CONTROL: Observed(), TREATMENT: Observed()}
    for report in reports:
        for variant, observed in report.observed.items():
            together[variant] += observed
    return together


def delivery_problems(reports: Sequence[Report]) -> list[str]:
    """Where the SDK's account is not: everything that was logged was accepted, once, and nothing is left."""
    problems = []
    for number, report in enumerate(reports, start=1):
        logged = sum(seen.users + seen.buyers for seen in report.observed.values())
        expected = {"logged": logged, "accepted": logged}
        for name, count in report.counters.items():
            if count != expected.get(name, 0):
                problems.append(
                    f"SDK of process {number}: {name} is {count:,}, and should be {expected.get(name, 0):,}"
                )
    return problems


def readout_problems(observed: dict[str, Observed], readout: Readout) -> list[str]:
    """Where the readout does not say what the users did, to the last of them."""
    expected: dict[str, float] = {"crossovers": 0}
    for variant, seen in observed.items():
        expected[f"units in {variant}"] = seen.users
        expected[f"conversion in {variant}"] = seen.buyers
        expected[f"revenue in {variant}"] = seen.amount
    found = _found(readout)
    return [
        f"readout: {place} is {found.get(place)}, and should be {value}"
        for place, value in expected.items()
        if place not in found or not math.isclose(found[place], value, rel_tol=1e-9)
    ]


def _found(readout: Readout) -> dict[str, float]:
    found: dict[str, float] = {"crossovers": readout.health.crossovers.units}
    for arm in readout.arms:
        found[f"units in {arm.variant}"] = arm.units
    for result in readout.metrics:
        for comparison in result.comparisons:
            for variant, statistics in (
                (comparison.baseline, comparison.statistics.baseline),
                (comparison.variant, comparison.statistics.variant),
            ):
                found[f"{result.metric} in {variant}"] = _sum(statistics)
    return found


def _sum(statistics: ArmStatistics) -> float:
    if isinstance(statistics, ProportionStatistics):
        return statistics.successes
    mean = statistics.mean if isinstance(statistics, MeanStatistics) else statistics.value
    return statistics.n * (mean or 0.0)
