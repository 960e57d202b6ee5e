"""Real experiments as they came in, day by day: what each unit added to each metric, and when."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.draws import Floats
from calibration.real import DATA

Integers = NDArray[np.int64]
_ORDERED_DAYS = 14
_INVENTED_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Fact:
    """What rows add to a metric.

    Attributes:
        unit: The unit of each row, its number.
        day: The day of each row; 0 for the first.
        sum: What the row adds to the unit's value.
        squares: What it adds to the square of the unit's value.
    """

    unit: Integers
    day: Integers
    sum: Floats
    squares: Floats

    @staticmethod
    def once(day: Integers, values: Floats) -> "Fact":
        """Every unit's value, all of it on the day that it came."""
        return Fact(np.arange(day.size), day, values, values**2)


@dataclass(frozen=True, slots=True)
class History:
    """What came in of an experiment, whoever had which variant.

    Attributes:
        name: Its name.
        days_are: Where its days come from.
        body: The experiment as `POST /v1/experiments` takes it; its first metric decides the success.
        started_at: When the first day began.
        day: The day on which each unit came.
        facts: By metric.
    """

    name: str
    days_are: str
    body: Mapping[str, Any]
    started_at: datetime
    day: Integers
    facts: Mapping[str, Fact]

    @property
    def days(self) -> int:
        """How many days there are."""
        return int(self.day.max()) + 1


def available() -> bool:
    """Whether the data lie beside the repository."""
    return all((DATA / f"{name}.csv.gz").exists() for name in ("ab_data", "cookie_cats", "hillstrom"))


@cache
def landing_page() -> History:
    """Visitors of a landing page over 22 days, at the times of their rows."""
    rows = [
        (row["user_id"], datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC), row["converted"])
        for row in rows_of("ab_data")
    ]
    rows.sort(key=lambda row: row[1])
    start = rows[0][1].replace(second=0, microsecond=0)
    numbers: dict[str, int] = {}
    unit = np.array([numbers.setdefault(user, len(numbers)) for user, *_ in rows])
    day = np.array([(time - start) // timedelta(days=1) for _, time, _ in rows])
    converted = np.array([flag == "1" for *_, flag in rows])
    before = np.zeros(len(numbers), dtype=np.int64)
    views, first = np.empty(unit.size), np.zeros(unit.size, dtype=bool)
    done: set[int] = set()
    for index, (each, flag) in enumerate(zip(unit.tolist(), converted.tolist(), strict=True)):
        before[each] += 1
        views[index] = before[each]
        if flag and each not in done:
            done.add(each)
            first[index] = True
    ones = np.ones(int(first.sum()))
    arrived = np.empty(len(numbers), dtype=np.int64)
    arrived[unit[::-1]] = day[::-1]
    return History(
        "landing page",
        "the dates of the rows",
        _body(
            {"key": "converted", "type": "proportion", "event": "converted"},
            {"key": "views", "type": "mean", "event": "view", "aggregation": "count", "role": "guardrail"},
            units=len(numbers),
            margins={"views": 0.02},
        ),
        start,
        arrived,
        {
            "converted": Fact(unit[first], day[first], ones, ones),
            # The k-th row of a unit makes k² of (k − 1)².
            "views": Fact(unit, day, np.ones(unit.size), 2 * views - 1),
        },
    )


@cache
def game() -> History:
    """Players of a game, whose rounds have a long tail; the file has no dates."""
    rows = list(rows_of("cookie_cats"))
    day = _in_order(len(rows))
    return History(
        "game",
        f"none are recorded: the file's order, cut into {_ORDERED_DAYS} equal days",
        _body(
            {"key": "retention-7", "type": "proportion", "event": "back after a week"},
            {"key": "retention-1", "type": "proportion", "event": "back after a day", "role": "guardrail"},
            {"key": "rounds", "type": "mean", "event": "round", "role": "deterioration"},
            units=len(rows),
            margins={"retention-1": 0.05},
        ),
        _INVENTED_START,
        day,
        {
            "retention-7": Fact.once(day, np.array([row["retention_7"] == "TRUE" for row in rows]) * 1.0),
            "retention-1": Fact.once(day, np.array([row["retention_1"] == "TRUE" for row in rows]) * 1.0),
            "rounds": Fact.once(day, np.array([float(row["sum_gamerounds"]) for row in rows])),
        },
    )


@cache
def mailing() -> History:
    """Customers who were mailed, of whom one in a hundred spends something; the file has no dates."""
    rows = list(rows_of("hillstrom"))
    day = _in_order(len(rows))
    return History(
        "mailing",
        f"none are recorded: the file's order, cut into {_ORDERED_DAYS} equal days",
        _body(
            {"key": "spend", "type": "mean", "event": "purchase"},
            {"key": "visit", "type": "proportion", "event": "visit", "role": "guardrail"},
            units=len(rows),
            margins={"visit": 0.1},
        ),
        _INVENTED_START,
        day,
        {
            "spend": Fact.once(day, np.array([float(row["spend"]) for row in rows])),
            "visit": Fact.once(day, np.array([float(row["visit"]) for row in rows])),
        },
    )


HISTORIES = {"landing page": landing_page, "game": game, "mailing": mailing}


def _body(*metrics: Mapping[str, Any], units: int, margins: Mapping[str, float]) -> dict[str, Any]:
    return {
        "key": "replay",
        "name": "Replay",
        "variants": [{"key": "control", "control": True}, {"key": "treatment"}],
        "metrics": list(metrics),
        "plan": {
            "horizon": {"units": units},
            "looks": {"every_hours": 24},
            "targets": {key: {"margin": margin} for key, margin in margins.items()},
        },
    }


def _in_order(units: int) -> Integers:
    return np.arange(units) * _ORDERED_DAYS // units


def rows_of(file: str) -> Iterator[dict[str, str]]:
    """The rows of one of the files."""
    with gzip.open(Path(DATA) / f"{file}.csv.gz", "rt", newline="") as lines:
        yield from csv.DictReader(lines)
