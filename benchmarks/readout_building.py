"""From sufficient statistics to the finished readout: 20 metrics, 3 arms, 5 segment values, 28 days.

Processor seconds with all imports, of the first readout by itself, and of a later one
a worker computes it.
"""

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

METRICS, PARTS, DAYS, ROUNDS = 20, 5, 28, 3
ARMS = ("control", "shorter", "shortest")
TARGET_SECONDS = 1.0
_NOW = datetime(2026, 3, 8, 12, tzinfo=UTC)


def plan_of(method: str) -> Any:
    """A plan with metrics of every type and role, CUPED, winsorization and a segment."""
    from equipoise_service.plans.documents import Plan

    types: list[dict[str, Any]] = [
        {"type": "proportion"},
        {"type": "mean", "pre_period_days": 14, "winsorize": 0.999},
        {"type": "ratio", "denominator": {"event": "view", "aggregation": "count"}, "pre_period_days": 14},
        {"type": "mean"},
    ]
    roles: list[dict[str, Any]] = [
        {"role": "success"},
        {"role": "guardrail", "margin": 0.01},
        {"role": "deterioration"},
        {"role": "guardrail", "margin": 0.02},
        {"role": "quality"},
    ]
    return Plan.model_validate(
        {
            "unit_type": "user",
            "variants": [{"key": key, "weight": 3333, "control": key == "control"} for key in ARMS],
            "metrics": [
                {"key": f"metric-{i}", "direction": "increase", "event": "e", **types[i % 4], **roles[i % 5]}
                for i in range(METRICS)
            ],
            "method": method,
            "horizon": {"units": 600_000, "days": 28},
            "multiplicity": "holm",
            "segments": [{"key": "country", "event": "visit", "property": "country"}],
        }
    )


def statistics_of(plan: Any, seed: int) -> Any:
    """Statistics of the arms, of each day, and of each segment value."""
    from equipoise_service.analysis.segments import segment_label
    from equipoise_service.analysis.statistics import (
        ArmStatistics,
        DayStatistics,
        SegmentStatistics,
        Statistics,
    )
    from equipoise_service.readouts.calendar import together

    random = Random(seed)

    def arms(units: int) -> dict[str, ArmStatistics]:
        return {
            key: ArmStatistics(units, {metric.key: _values(metric, units, random) for metric in plan.metrics})
            for key in ARMS
        }

    parts = [
        SegmentStatistics(segment_label(f"c{i}", others=False), arms(20_000 + i), 3) for i in range(PARTS)
    ]
    days = [
        DayStatistics((_NOW - timedelta(days=DAYS - 1 - i)).date(), arms(100_000 // DAYS))
        for i in range(DAYS)
    ]
    return Statistics(
        together(day.arms for day in days),
        11,
        _NOW,
        cuts={metric.key: {"y": 250.0, "y_before": 200.0} for metric in plan.metrics if metric.winsorize},
        segments={"country": parts},
        overridden=2,
        days=days,
    )


def _values(metric: Any, units: int, random: Random) -> Any:
    from equipoise_stats import Counts, Moments

    if metric.type == "proportion":
        return Counts(units, int(units * random.uniform(0.1, 0.12)))
    columns = metric.measure.columns
    means = tuple(random.uniform(10, 10.1) for _ in columns)
    rows = tuple(
        tuple(units * (30.0 if i == j else 12.0) * random.uniform(0.99, 1.0) for j in range(len(columns)))
        for i in range(len(columns))
    )
    rows = tuple(tuple(rows[min(i, j)][max(i, j)] for j in range(len(columns))) for i in range(len(columns)))
    return Moments(units, columns, means, rows)


def build(method: str, seed: int) -> float:
    """Processor seconds of one readout, at the seventh of daily looks where the plan has looks."""
    from equipoise_service.plans.looks import next_look
    from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
    from equipoise_service.readouts.losses import Dropped
    from equipoise_service.readouts.provenance import Provenance

    plan = plan_of(method)
    looks: list[Any] = []
    found = statistics_of(plan, seed)
    start = _NOW - timedelta(days=DAYS)
    if method == "group-sequential":
        units = mature_units(plan, found)
        for day in range(1, 8):
            mature = {key: number * day // 7 for key, number in units.items()}
            look = next_look(
                plan,
                mature,
                looks,
                statistics_digest=statistics_digest(plan, found),
                taken_at=start + timedelta(days=day),
                started_at=start,
                ended_at=None,
            )
            looks.append(look)
    provenance = Provenance("benchmark", 1, _NOW, started_at=start, traffic=1.0, dropped=Dropped({}))
    begin = time.process_time()
    readout = build_readout(plan, replace(found), provenance, looks)
    seconds = time.process_time() - begin
    shown = len(readout["metrics"]) * len(readout["segments"][0]["parts"])
    assert shown == METRICS * PARTS
    return seconds


def child(method: str) -> None:
    """Print the seconds of imports and first readout together, of the first readout, and of a later one."""
    begin = time.process_time()
    import equipoise_service.readouts.building  # noqa: F401 - what it takes is what is timed

    imports = time.process_time() - begin
    first = build(method, 1)
    print(imports + first, first, min(build(method, seed) for seed in (2, 3, 4)))


def main() -> None:
    """Print the figures of each method, against the target."""
    size = f"{METRICS} metrics, {len(ARMS)} arms, {PARTS} segment values, {DAYS} days"
    print(f"From statistics to the readout: {size}")
    for method in ("group-sequential", "confidence-sequence", "fixed-horizon"):
        runs = []
        for _ in range(ROUNDS):
            command = [sys.executable, "-m", "benchmarks.readout_building", method]
            output = subprocess.run(command, capture_output=True, check=True, text=True)
            runs.append([float(part) for part in output.stdout.split()])
        cold, first, later = (statistics.median(column) for column in zip(*runs, strict=True))
        ratios = ", ".join(f"{seconds / TARGET_SECONDS:.2f}" for seconds in (cold, later))
        print(
            f"  {method:<20} with all imports {cold:.2f} s, first {first:.2f} s, later {later:.2f} s"
            f"   ratio to {TARGET_SECONDS:g} s: {ratios}"
        )


if __name__ == "__main__":
    child(sys.argv[1])
