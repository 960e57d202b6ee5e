"""Draws the pictures of the documentation anew: `python -m tests.service.figures.pictures [BROWSER]`.

The figures need nothing more. The report is photographed by a browser of the Chromium family that runs
without a screen, `chromium` where none is named; without one its picture stays as it is.
"""

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from types import MappingProxyType
from typing import Any

from tests.service.figures.readouts import believed, funnelled
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    START,
    WATERMARK,
    moments,
    plan,
)
from tests.service.readouts.test_novelty import aged_readout

from equipoise_service.analysis.segments import segment_label
from equipoise_service.analysis.spreading import ArmSpread, Distribution
from equipoise_service.analysis.statistics import ArmStatistics, DayStatistics, SegmentStatistics, Statistics
from equipoise_service.canonical import digest
from equipoise_service.exports.report.report import html_of
from equipoise_service.figures.catalogue import figures_of
from equipoise_service.figures.figure import Figure
from equipoise_service.figures.rendering import svg
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.plans.population import PlannedSegment
from equipoise_service.plans.schemas import Horizon, Looks, Method
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.calendar import together
from equipoise_service.readouts.reading import readout_of
from equipoise_service.readouts.recorded import Locked
from equipoise_service.readouts.schemas import Readout
from equipoise_stats import Counts, Moments

IMAGES = Path(__file__).parents[3] / "docs" / "images"
DRAWN = (
    "lifts",
    "bounds",
    "effect-over-time-new",
    "values-load-time",
    "sample-ratio",
    "sample-ratio-over-time",
    "sample-ratio-by-day",
)
SHARES = {"control": 0.1, "new": 0.112, "bold": 0.097}
DAYS = 10
WIDTH, HEIGHT = 900, 2_010
"""How much of the report is in its picture, in pixels."""

_LOAD_TIMES = tuple(float(edge) for edge in range(100, 1_700, 100))


def a_day(number: int, generator: random.Random) -> DayStatistics:
    """The units of a day."""
    arms = {}
    for i, (variant, share) in enumerate(SHARES.items()):
        units = round(generator.gauss(2_020, 40))
        hits = round(generator.gauss(units * share, (units * share * (1 - share)) ** 0.5))
        load_time = moments(units, generator.gauss(812.5 - 3 * i, 4.0), 90_000.0)
        arms[variant] = ArmStatistics(units, {"converted": Counts(units, hits), "load-time": load_time})
    return DayStatistics(START.date() + timedelta(days=number), arms)


def load_times(arms: Mapping[str, ArmStatistics]) -> Distribution:
    """How load times are spread that have the arms' means and a standard deviation of 300."""
    spread = {}
    for variant, arm in arms.items():
        values = arm.values["load-time"]
        assert isinstance(values, Moments)
        below = NormalDist(values.mean[0], 300).cdf
        ends = [0, *(round(arm.units * below(edge)) for edge in _LOAD_TIMES), arm.units]
        spread[variant] = ArmSpread(arm.units, tuple(after - before for before, after in pairwise(ends)))
    return Distribution(0, _LOAD_TIMES, spread)


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
        arms = together(day.arms for day in so_far)
        spread = {"load-time": load_times(arms)}
        statistics = Statistics(arms, 0, WATERMARK, days=so_far, distributions=spread)
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


def by_country() -> dict[str, Any]:
    """A readout with a segment that its plan had from the start, in which the effects differ."""
    countries = {"DE": (1_200, 1_226), "FR": (800, 1_010), "US": (2_000, 2_190)}

    def arms(control: int, treatment: int, units: int) -> dict[str, ArmStatistics]:
        both = {"control": Counts(units, control), "treatment": Counts(units, treatment)}
        return {variant: ArmStatistics(units, {"converted": found}) for variant, found in both.items()}

    parts = [
        SegmentStatistics(segment_label(country, others=False), arms(*hits, units=10 * hits[0]), 0)
        for country, hits in sorted(countries.items(), key=lambda each: -each[1][0])
    ]
    totals = [sum(hits[i] for hits in countries.values()) for i in (0, 1)]
    found = Statistics(arms(totals[0], totals[1], 10 * totals[0]), 0, WATERMARK, segments={"country": parts})
    planned = plan(CONVERTED, segments=[PlannedSegment(key="country", event="signed_up", property="country")])
    locked = Locked(at="2026-02-22T12:30:00Z", digest=digest(planned.document))
    return build_readout(planned, found, replace(PROVENANCE, started_at=START, locked=locked))


OTHERS: Mapping[str, Callable[[], dict[str, Any]]] = MappingProxyType(
    {
        "ages-converted": aged_readout,
        "beliefs": believed,
        "funnel-bought": funnelled,
        "segment-country-converted": by_country,
    }
)
"""Figures of other readouts."""


def draw(folder: Path) -> list[Path]:
    """Draws the figures.

    Args:
        folder: Where their files are put.
    """
    *earlier, last = readouts()
    drawn = {name: _figure(name, last, earlier) for name in DRAWN}
    drawn |= {name: _figure(name, readout_of(make()), ()) for name, make in OTHERS.items()}
    files = []
    for name, figure in drawn.items():
        file = folder / f"readout-{name}.svg"
        file.write_text(svg(figure))
        files.append(file)
    return files


def _figure(name: str, readout: Readout, earlier: Sequence[Readout]) -> Figure:
    return next(figure for figure in figures_of(readout, earlier) if figure.name == name)


def photograph(browser: str, file: Path) -> None:
    """Takes the picture of the report."""
    *earlier, last = readouts()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(html_of(last.model_dump(mode="json", by_alias=True), earlier))
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        size, output = f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={file}"
        subprocess.run([browser, *options, size, output, page.as_uri()], check=True, timeout=120)


if __name__ == "__main__":
    draw(IMAGES)
    named = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    if named is not None:
        photograph(named, IMAGES / "readout-report.png")
