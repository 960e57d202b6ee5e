"""Draws the figures of the documentation anew: `python -m tests.service.figures.pictures`."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    START,
    WATERMARK,
    moments,
    plan,
)

from equipoise_service.analysis.statistics import ArmStatistics, DayStatistics, Statistics
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.figures.rendering import svg
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.plans.schemas import Horizon, Looks, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.calendar import together
from equipoise_service.readouts.reading import readout_of
from equipoise_service.readouts.schemas import Readout
from equipoise_stats import Counts

IMAGES = Path(__file__).parents[3] / "docs" / "images"
DRAWN = ("lifts", "bounds", "effect-over-time-new")
SHARES = {"control": 0.1, "new": 0.112, "bold": 0.097}
DAYS = 10


def a_day(number: int, generator: random.Random) -> DayStatistics:
    """The units of a day."""
    arms = {}
    for i, (variant, share) in enumerate(SHARES.items()):
        units = round(generator.gauss(2_020, 40))
        hits = round(generator.gauss(units * share, (units * share * (1 - share)) ** 0.5))
        load_time = moments(units, generator.gauss(812.5 - 3 * i, 4.0), 90_000.0)
        arms[variant] = ArmStatistics(units, {"converted": Counts(units, hits), "load-time": load_time})
    return DayStatistics(START.date() + timedelta(days=number), arms)


def readouts() -> list[Readout]:
    """Those of daily looks at an experiment, the last one at the end."""
    generator = random.Random(3)
    planned = plan(
        CONVERTED.model_copy(update={"mde": 0.05}),
        LOAD_TIME.model_copy(update={"margin": 0.02}),
        variants=tuple(SHARES),
        method=Method.GROUP_SEQUENTIAL,
        horizon=Horizon(units=60_000, days=28),
        looks=Looks(every_hours=24),
        tuning_units=30_000,
    )
    days = [a_day(number, generator) for number in range(DAYS)]
    looks: list[Look] = []
    found = []
    for number in range(1, DAYS + 1):
        so_far = days[:number]
        statistics = Statistics(together(day.arms for day in so_far), 0, WATERMARK, days=so_far)
        now = START + timedelta(days=number)
        look = next_look(
            planned,
            mature_units(planned, statistics),
            looks,
            statistics_digest=statistics_digest(planned, statistics),
            taken_at=now,
            started_at=START,
            ended_at=None,
        )
        looks.append(look)
        provenance = replace(PROVENANCE, started_at=START, generated_at=now)
        found.append(readout_of(build_readout(planned, statistics, provenance, list(looks))))
    return found


def draw(folder: Path) -> list[Path]:
    """Draws the figures.

    Args:
        folder: Where their files are put.
    """
    *earlier, last = readouts()
    drawn = {figure.name: figure for figure in figures_of(last, earlier)}
    files = []
    for name in DRAWN:
        file = folder / f"readout-{name}.svg"
        file.write_text(svg(drawn[name]))
        files.append(file)
    return files


if __name__ == "__main__":
    draw(IMAGES)
