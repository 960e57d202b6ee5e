"""`equipoise analyze`: what is lost on the way is checked where the facts say it, else why not."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.service.cli.test_analyze import AMOUNT, SOURCE, experiment, run
from tests.service.readouts.documents import converted, seal

from equipoise_service.readouts.verification import verify_readout

START = datetime(2026, 1, 1, 6, tzinfo=UTC)
DAYS, A_DAY = 12, 80
SILENT = 7
DAY = "2026-01-08"
NOT_ARRIVED = "These facts say when exposures happened, not when they arrived."


def facts(*silent: int, buyers_too: bool = False) -> Iterator[dict[str, Any]]:
    """Of each day so many exposures, but on silent days; and so many purchases of earlier units."""
    for day in range(DAYS):
        for i in range(A_DAY):
            at = START + timedelta(days=day, minutes=i)
            quiet = day in silent
            if not quiet:
                yield {"user": f"u{day}-{i}", "at": at, "page": ("control", "treatment")[i % 2]}
            if day and not (quiet and buyers_too):
                # Of the first day's units: they came before anybody was silent.
                yield {"user": f"u0-{i}", "at": at + timedelta(hours=1), "amount": 1 + i % 7}


def file_of(directory: Path, *silent: int, **more: Any) -> Path:
    path = directory / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ("user", "at", "page", "amount"))
        writer.writeheader()
        writer.writerows(facts(*silent, **more))
    return path


def of_plan(file: Path, *more: str) -> dict[str, Any]:
    body = file.with_suffix(".json")
    body.write_text(json.dumps(experiment(AMOUNT)))
    columns = ("--unit", "user", "--variant", "page", "--event", "amount: value(amount)")
    return said(run(file, "--experiment", body, *columns, *more, "--json"))


def of_options(file: Path, *more: str) -> dict[str, Any]:
    columns = ("--unit", "user", "--variant", "page", "--control", "control", "--metric", "m: mean(amount)")
    return said(run(file, *columns, *more, "--json"))


def of_warehouse(directory: Path, *silent: int, **more: Any) -> dict[str, Any]:
    path = directory / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE met (user_id VARCHAR, happened TIMESTAMP, test VARCHAR, arm VARCHAR)"
        )
        connection.execute("CREATE TABLE buys (user_id VARCHAR, happened TIMESTAMP, amount DOUBLE)")
        for fact in facts(*silent, **more):
            at = fact["at"].replace(tzinfo=None)
            if "page" in fact:
                connection.execute(
                    "INSERT INTO met VALUES (?, ?, 'page', ?)", [fact["user"], at, fact["page"]]
                )
            else:
                connection.execute("INSERT INTO buys VALUES (?, ?, ?)", [fact["user"], at, fact["amount"]])
    definitions = directory / "definitions.json"
    definitions.write_text(
        json.dumps([SOURCE, {"kind": "metric", "name": "Amount", **AMOUNT, "source": "shop"}])
    )
    body = directory / "experiment.json"
    body.write_text(json.dumps(experiment({"metric": "amount"})))
    given = ("--experiment", body, "--definitions", definitions, "--as-of", "2026-01-12T08:00:00Z", "--json")
    return said(run(*given, EQUIPOISE_SOURCE_SHOP_URL=f"duckdb://{path}"))


def said(result: Any) -> dict[str, Any]:
    assert result.exit_code == 0, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    assert verify_readout(found) == []
    return found


def missing(readout: dict[str, Any]) -> dict[str, Any]:
    check: dict[str, Any] = readout["health"]["missing_exposures"]
    return check


@pytest.mark.parametrize("way", ["plan", "options", "warehouse"])
def test_a_day_without_exposures_is_missing_where_people_went_on(tmp_path: Path, way: str) -> None:
    def read(*silent: int, **more: Any) -> dict[str, Any]:
        directory = tmp_path / f"{silent}{more}"
        directory.mkdir()
        if way == "warehouse":
            return of_warehouse(directory, *silent, **more)
        return (of_plan if way == "plan" else of_options)(file_of(directory, *silent, **more), "--time", "at")

    check = missing(read(SILENT))
    assert (check["status"], check["missing"], check["paused"]) == ("warning", [DAY], None)
    assert DAY in check["reason"]
    # The first and the last day are not whole.
    assert [each["day"] for each in check["days"]] == [f"2026-01-{day:02}" for day in range(2, 12)]
    assert {each["exposures"] for each in check["days"] if each["day"] != DAY} == {A_DAY}
    assert {each["events"] for each in check["days"]} == {A_DAY}
    whole = missing(read())
    assert (whole["status"], whole["missing"]) == ("ok", [])
    # Where nobody came at all, nothing is missing.
    assert missing(read(SILENT, buyers_too=True))["missing"] == []
    # That they end is no gap: everybody has come.
    assert missing(read(9, 10, 11))["missing"] == []


@pytest.mark.parametrize("way", [of_plan, of_options])
def test_of_rows_without_times_it_says_why_nothing_is_asked(tmp_path: Path, way: Any) -> None:
    readout = way(file_of(tmp_path, SILENT))
    check = missing(readout)
    assert (check["status"], check["number"], check["reason"]) == (
        "unavailable",
        "not known",
        "The rows have no times.",
    )
    assert (check["days"], check["missing"], check["action"]) == ([], [], None)
    assert readout["health"]["late_exposures"]["reason"] == NOT_ARRIVED
    assert "exposures" not in json.dumps(readout["recommendation"]["reasons"])


@pytest.mark.parametrize("way", ["file", "warehouse"])
def test_what_only_a_service_knows_is_said_to_be_unknown(tmp_path: Path, way: str) -> None:
    readout = of_warehouse(tmp_path) if way == "warehouse" else of_plan(file_of(tmp_path), "--time", "at")
    late, dropped = (readout["health"][name] for name in ("late_exposures", "dropped_items"))
    assert (late["status"], late["late"], late["share"]) == ("unavailable", None, None)
    assert (late["exposures"], late["reason"]) == (11 * A_DAY + A_DAY, NOT_ARRIVED)
    assert (dropped["status"], dropped["items"], dropped["reasons"]) == ("unavailable", None, {})
    assert dropped["reason"].startswith("Senders report to a service")
    # It neither blocks a decision nor is it told as a loss.
    assert readout["recommendation"]["outcome"] != "investigate"
    assert "gave up" not in readout["summary"]


def test_readouts_from_before_it_was_said_agree(tmp_path: Path) -> None:
    older = of_plan(file_of(tmp_path))
    for name in ("late_exposures", "missing_exposures", "dropped_items"):
        older["health"][name] = None
    seal(older)
    assert verify_readout(older) == []
    assert converted((100, 1_000), (110, 1_000))["health"]["dropped_items"] is None
