"""Statistics and readouts day by day, for the tests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.service.readouts.documents import CONVERTED, LOAD_TIME, PER_VIEW, START, WATERMARK, moments, plan

from equipoise_service.analysis.statistics import ArmStatistics, ArmValues, DayStatistics, Statistics
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.calendar import together
from equipoise_service.readouts.losses import Arrivals
from equipoise_service.readouts.provenance import Provenance
from equipoise_stats import Counts, Moments

PLAN = plan(CONVERTED, LOAD_TIME, PER_VIEW, method=Method.CONFIDENCE_SEQUENCE)
FIRST = START.date()


def arm(n: int, converted: int, mean: float) -> ArmStatistics:
    """An arm with every kind of metric."""
    values: dict[str, ArmValues] = {
        "converted": Counts(n, converted),
        "load-time": moments(n, mean, 4.0),
        "per-view": Moments(n, ("y", "d"), (mean, 8.0), ((4.0 * n, 6.0 * n), (6.0 * n, 25.0 * n))),
    }
    return ArmStatistics(n, values, dict.fromkeys(values, 0))


def readout(days: Sequence[DayStatistics], **more: Any) -> dict[str, Any]:
    """The readout of days, four months after the start."""
    early = more.pop("early", 0)
    found = Statistics(together(day.arms for day in days), 3, WATERMARK, days=days, early=early)
    provenance = Provenance(
        "page", 1, datetime(2026, 6, 8, tzinfo=UTC), started_at=START, arrivals=Arrivals(5000, 20), **more
    )
    return build_readout(PLAN, found, provenance)


def day(number: int, control: int, treatment: int) -> DayStatistics:
    """So many units of each arm, first exposed so many days after the start."""
    arms = {
        "control": arm(control, control // 10, 300.0 + number),
        "treatment": arm(treatment, treatment // 9, 301.0 + number),
    }
    return DayStatistics(FIRST + timedelta(days=number), arms)


def three_days() -> dict[str, Any]:
    """A readout of three days with units."""
    return readout([day(0, 500, 520), day(1, 900, 880), day(4, 30, 33)])
