"""`equipoise analyze`: effects by days since exposure, of files and of a warehouse, against plain Python."""

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import numpy as np
import pytest
from tests.service.cli.test_analyze import run

from equipoise_service.readouts.verification import verify_readout

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS, UNITS = 4, 500
OPTIONS = ("--unit", "user", "--variant", "arm", "--time", "at")
EVENTS = ("--event", "paid: value(paid)", "--event", "bought: bought")
PAID = {"key": "paid", "type": "mean", "event": "paid", "window_hours": 24 * DAYS}
BOUGHT = {"key": "bought", "type": "proportion", "event": "bought", "window_hours": 24 * DAYS}


Row = dict[str, Any]


def log(start: datetime = START) -> list[Row]:
    """A row for each exposure, and one for each purchase: in one arm more of them on the first day."""
    random = Random(5)
    found: list[Row] = []
    for i in range(UNITS):
        arm = "new" if i % 2 else "old"
        met = start + timedelta(minutes=random.randrange(4 * 24 * 60))
        found.append({"user": f"u{i}", "arm": arm, "at": met, "paid": None, "bought": None})
        if i % 50 == 0:  # shown again, when it counts no more
            found.append({**found[-1], "at": met + timedelta(hours=30)})
        for day in range(10):
            if random.random() < 0.25 + (0.4 if arm == "new" and day == 0 else 0.0):
                at = met + timedelta(days=day, minutes=random.randrange(24 * 60))
                paid = round(random.uniform(1, 9), 2)
                found.append({"user": f"u{i}", "arm": None, "at": at, "paid": paid, "bought": 1})
    return found


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def at_ages(rows: list[Row], column: str, days: int, end: datetime, *, share: bool = False) -> dict[str, Any]:
    """For each arm the numbers of each unit that was there for so many days, a column a day."""
    met: dict[str, datetime] = {}
    arms: dict[str, str] = {}
    for row in rows:
        if row["arm"] is not None:
            met[row["user"]] = min(row["at"], met.get(row["user"], row["at"]))
            arms[row["user"]] = row["arm"]
    units = [user for user, first in met.items() if first + timedelta(days=days) <= end]
    done = {user: [0.0] * days for user in units}
    for row in rows:
        if row["user"] in done and row[column] is not None:
            age = (row["at"] - met[row["user"]]) // timedelta(days=1)
            if 0 <= age < days:
                done[row["user"]][age] += row[column]
    found = {arm: np.array([done[user] for user in units if arms[user] == arm]) for arm in ("old", "new")}
    return {arm: (numbers != 0).astype(float) for arm, numbers in found.items()} if share else found


def assert_ages(readout: dict[str, Any], metric: str, expected: dict[str, Any]) -> None:
    found = next(each for each in readout["by_age"]["metrics"] if each["metric"] == metric)
    assert {arm["variant"]: arm["n"] for arm in found["arms"]} == {
        arm: len(numbers) for arm, numbers in expected.items()
    }
    for arm in found["arms"]:
        numbers = expected[arm["variant"]]
        assert arm["means"] == pytest.approx(numbers.mean(axis=0), rel=1e-9)
        deviations = numbers - numbers.mean(axis=0)
        assert np.allclose(arm["comoments"], deviations.T @ deviations, rtol=1e-9, atol=1e-9)


def body(*metrics: dict[str, Any], **plan: Any) -> dict[str, Any]:
    return {
        "key": "page",
        "name": "Page",
        "variants": [{"key": "old", "control": True}, {"key": "new"}],
        "metrics": list(metrics),
        "plan": {"method": "fixed-horizon", **plan},
    }


def readout(directory: Path, *arguments: str | Path, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    if asked is not None:
        path = directory / "experiment.json"
        path.write_text(json.dumps(asked))
        arguments = (*arguments, "--experiment", path)
    result = run(*arguments, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    assert verify_readout(found) == []
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "log.csv", log())


def test_a_file_of_exposures_and_facts_with_times_has_ages(tmp_path: Path, file: Path) -> None:
    rows = log()
    found = readout(tmp_path, file, *OPTIONS, *EVENTS, asked=body(PAID, BOUGHT))
    last = max(row["at"] for row in rows)
    assert_ages(found, "paid", at_ages(rows, "paid", DAYS, last))
    assert_ages(found, "bought", at_ages(rows, "bought", DAYS, last, share=True))
    for metric in found["by_age"]["metrics"]:
        (effect,) = metric["effects"]
        assert (effect["finding"], effect["detected"]) == ("fading", True)
    assert found["by_age"]["text"] in found["summary"]


def test_facts_and_units_count_up_to_when_it_is_read(tmp_path: Path, file: Path) -> None:
    moment = START + timedelta(days=6)
    options = (file, *OPTIONS, *EVENTS, "--as-of", moment.isoformat())
    found = readout(tmp_path, *options, asked=body(PAID))
    rows = [row for row in log() if row["at"] < moment]
    assert_ages(found, "paid", at_ages(rows, "paid", DAYS, moment))


def test_before_the_planned_end_nobody_looks(tmp_path: Path, file: Path) -> None:
    options = (file, *OPTIONS, *EVENTS)
    assert readout(tmp_path, *options, asked=body(PAID, horizon={"days": 30}))["by_age"] is None
    assert readout(tmp_path, *options, asked=body(PAID, horizon={"days": 9}))["by_age"] is not None
    ended = readout(tmp_path, *options, "--ended", asked=body(PAID, horizon={"days": 30}))
    assert ended["by_age"] is not None


def test_data_from_after_the_last_look_are_asked_nothing(tmp_path: Path, file: Path) -> None:
    plan = body(PAID, method="group-sequential", horizon={"units": 200}, looks={"count": 1})
    options = (file, *OPTIONS, *EVENTS)
    first = readout(tmp_path, *options, "--as-of", "2026-03-07", "--look", asked=plan)
    assert first["by_age"]["metrics"][0]["effects"][0]["detected"] is True
    (tmp_path / "look.json").write_text(json.dumps(first))
    newer = readout(tmp_path, *options, "--earlier", tmp_path / "look.json", asked=plan)
    assert newer["by_age"] is None


def test_times_alone_are_enough(tmp_path: Path, file: Path) -> None:
    """Without a window, the metrics are followed for half of the time that the file has."""
    rows = log()
    quick = ("--control", "old", "--metric", "paid: mean(paid)")
    found = readout(tmp_path, file, *OPTIONS, *quick)
    first, last = min(row["at"] for row in rows if row["arm"]), max(row["at"] for row in rows)
    half = (last - first).days // 2
    assert 3 <= half <= 7
    assert_ages(found, "paid", at_ages(rows, "paid", half, last))
    assert len(found["by_day"]["days"]) == 4
    by_plan = readout(
        tmp_path,
        file,
        *OPTIONS,
        *EVENTS,
        asked=body({name: value for name, value in PAID.items() if name != "window_hours"}),
    )
    assert_ages(by_plan, "paid", at_ages(rows, "paid", half, last))
    assert found["by_age"]["text"] == by_plan["by_age"]["text"]
    assert found["started_at"] == by_plan["started_at"]


@pytest.mark.parametrize("again", [0, 1])
def test_a_row_a_unit_does_not_say_when(tmp_path: Path, again: int) -> None:
    """What a unit did is in its row, at the time of its exposure; that one comes twice changes nothing."""
    random = Random(7)
    rows = [
        {"user": i, "arm": "new" if i % 2 else "old", "at": START + timedelta(hours=i), "paid": paid}
        for i in range(400)
        for paid in [random.choice([0, 0, 3, 5]) + (2 if i % 2 else 0)]
    ]
    rows += [{**rows[9], "at": START + timedelta(days=3)}] * again
    write(tmp_path / "rows.csv", rows)
    quick = ("--control", "old", "--metric", "paid: mean(paid)")
    found = readout(tmp_path, tmp_path / "rows.csv", *OPTIONS, *quick)
    assert found["metrics"][0]["comparisons"][0]["detected"] is True
    (effect,) = found["by_age"]["metrics"][0]["effects"]
    assert (effect["status"], effect["detected"], effect["finding"]) == ("unavailable", None, None)
    assert "one row a unit says what a unit did, and not when." in effect["reason"]
    assert effect["reason"] in found["by_age"]["text"]
    assert found["by_age"]["text"] not in found["summary"]
    timeless = readout(tmp_path, tmp_path / "rows.csv", *OPTIONS[:4], *quick)
    assert timeless["by_age"] is None


def warehouse(path: Path, rows: list[Row]) -> None:
    """A file of DuckDB with these exposures and payments."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE met (who VARCHAR, moment TIMESTAMP, test VARCHAR, arm VARCHAR)")
        connection.execute("CREATE TABLE paid (who VARCHAR, moment TIMESTAMP, amount DOUBLE)")
        for row in rows:
            at = row["at"].replace(tzinfo=None)
            if row["arm"] is not None:
                connection.execute("INSERT INTO met VALUES (?, ?, 'page', ?)", [row["user"], at, row["arm"]])
            if row["paid"] is not None:
                connection.execute("INSERT INTO paid VALUES (?, ?, ?)", [row["user"], at, row["paid"]])


SHOP = {
    "kind": "source",
    "key": "shop",
    "name": "Shop",
    "connection": "SHOP",
    "events": {
        "table": "paid",
        "columns": {"unit": "who", "time": "moment", "value": "amount"},
        "name": "paid",
    },
    "exposures": {
        "table": "met",
        "columns": {"unit": "who", "time": "moment", "experiment": "test", "variant": "arm"},
    },
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str | Path, ...]:
    """The options that read a warehouse's definition, and its address in the environment."""
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", f"duckdb://{tmp_path}/shop.duckdb")
    (tmp_path / "shop.yaml").write_text(json.dumps([SHOP]))
    return ("--definitions", tmp_path / "shop.yaml", "--as-of", "2026-03-20")


def test_a_warehouse_has_ages_too(tmp_path: Path, shop: tuple[str | Path, ...]) -> None:
    rows = log()
    warehouse(tmp_path / "shop.duckdb", rows)
    asked = body({**PAID, "source": "shop"}, horizon={"days": 15})
    found = readout(tmp_path, *shop, asked=asked)
    assert_ages(found, "paid", at_ages(rows, "paid", DAYS, START + timedelta(days=19)))
    assert found["by_age"]["metrics"][0]["effects"][0]["finding"] == "fading"
    early = body({**PAID, "source": "shop"}, horizon={"days": 30})
    assert readout(tmp_path, *shop, asked=early)["by_age"] is None


def test_rows_of_a_warehouse_that_do_not_say_when_have_none(
    tmp_path: Path, shop: tuple[str | Path, ...]
) -> None:
    random = Random(3)
    warehouse(
        tmp_path / "shop.duckdb",
        [
            {"user": f"u{i}", "arm": "new" if i % 2 else "old", "at": START, "paid": random.random() + i % 2}
            for i in range(200)
        ],
    )
    found = readout(tmp_path, *shop, asked=body({**PAID, "source": "shop"}))
    (effect,) = found["by_age"]["metrics"][0]["effects"]
    assert (effect["status"], effect["detected"]) == ("unavailable", None)
    assert "and not when." in effect["reason"]
