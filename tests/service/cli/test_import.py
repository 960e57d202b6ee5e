"""`equipoise import` into a real service process: counts are exact whatever happens on the way."""

import csv
import gzip
import json
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.cli.conftest import Ended, Import, wait
from tests.service.running import RunningService, command, running_service

from equipoise_service.accounts.principals import Scope

RunImport = Callable[..., Ended]
MAPPING = ("--unit", "user", "--variant", "arm", "--time", "at", "--event", "bought: bought")
DATA = Path(__file__).parents[4] / "shared" / "data" / "ab_data.csv.gz"
ROWS = 60_000


def definition(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "name": key,
        "variants": [{"key": "control", "control": True}, {"key": "treatment"}],
        "metrics": [{"key": "bought", "type": "proportion", "event": "bought"}],
    }


def write(path: Path, rows: Iterable[tuple[object, ...]]) -> Path:
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user", "arm", "at", "bought"))
        writer.writerows(rows)
    return path


def rows(count: int, first: int = 0) -> Iterator[tuple[object, ...]]:
    """Rows of which each is one unit; every fifth one buys. Other first units make another file."""
    for index in range(first, first + count):
        yield f"{index:05}", ("control", "treatment")[index % 2], "2026-01-02 03:04:05", int(index % 5 == 0)


def stored(service: RunningService) -> tuple[int, int, int, int]:
    """How many exposures and events the service has on disk, and how many different ones."""
    (found,) = service.facts(
        "SELECT * FROM (SELECT count(*), count(DISTINCT unit) FROM exposures), "
        "(SELECT count(*), count(DISTINCT unit) FROM events)"
    )
    return found[0], found[1], found[2], found[3]


def checkpoint(directory: Path) -> dict[str, Any] | None:
    """The only checkpoint of an import that runs in a directory."""
    for path in (directory / "state" / "equipoise" / "imports").glob("*.json"):
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    return None


def await_checkpoint(directory: Path) -> int:
    """Wait until an import has got somewhere; how many rows it has done."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = checkpoint(directory)
        if found and found["tally"]["rows"]:
            return int(found["tally"]["rows"])
        time.sleep(0.01)
    raise AssertionError("the import did not get anywhere")


def test_a_file_is_imported_and_again_changes_nothing(
    shared_service: RunningService, run_import: RunImport, tmp_path: Path
) -> None:
    shared_service.start_experiment(definition("twice"))
    path = write(tmp_path / "rows.csv.gz", rows(5_000))
    first = run_import(shared_service, str(path), "--experiment", "twice", *MAPPING)
    assert first.status == 0, first.errors
    assert first.summary["rows"] == first.summary["rows_read_now"] == 5_000
    assert first.summary["accepted"] == {"exposures": 5_000, "events": 1_000}
    readout = shared_service.request("GET", "/v1/experiments/twice/readout?wait=60").json()
    assert first.summary["readout"] == f"{shared_service.url}/v1/experiments/twice/readout"
    assert [arm["units"] for arm in readout["arms"]] == [2_500, 2_500]
    comparison = readout["metrics"][0]["comparisons"][0]["statistics"]
    assert [comparison[side] for side in ("baseline", "variant")] == [
        {"n": 2_500, "immature": 0, "successes": 500}
    ] * 2

    again = run_import(shared_service, str(path), "--experiment", "twice", *MAPPING)
    assert again.status == 0
    assert again.summary["accepted"] == {"exposures": 0, "events": 0}
    assert again.summary["duplicate"] == {"exposures": 5_000, "events": 1_000}
    unchanged = shared_service.request("GET", "/v1/experiments/twice/readout?wait=60").json()
    assert unchanged["metrics"] == readout["metrics"]

    appended = write(tmp_path / "rows.csv.gz", rows(5_100))
    more = run_import(shared_service, str(appended), "--experiment", "twice", *MAPPING)
    assert more.summary["accepted"] == {"exposures": 100, "events": 20}
    assert more.summary["duplicate"] == {"exposures": 5_000, "events": 1_000}
    assert checkpoint(tmp_path) is None


@pytest.mark.slow
def test_a_killed_import_goes_on_where_it_stopped(
    own_service: RunningService, start_import: Import, run_import: RunImport, tmp_path: Path
) -> None:
    own_service.start_experiment(definition("killed"))
    path = write(tmp_path / "rows.csv", rows(ROWS))
    arguments = (str(path), "--experiment", "killed", *MAPPING)
    running = start_import(own_service, *arguments)
    done = await_checkpoint(tmp_path)
    running.kill()
    running.communicate()
    assert 0 < done < ROWS
    resumed = run_import(own_service, *arguments)
    assert resumed.status == 0, resumed.errors
    assert "Going on after row" in resumed.errors
    assert resumed.summary["rows"] == ROWS
    assert resumed.summary["rows_read_now"] <= ROWS - done
    both = [
        resumed.summary["accepted"][kind] + resumed.summary["duplicate"][kind]
        for kind in ("exposures", "events")
    ]
    assert both == [ROWS, ROWS // 5]
    assert stored(own_service) == (ROWS, ROWS, ROWS // 5, ROWS // 5)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_and_restart_begins_anew(
    own_service: RunningService, start_import: Import, run_import: RunImport, tmp_path: Path
) -> None:
    own_service.start_experiment(definition("stopped"))
    path = write(tmp_path / "rows.csv", rows(ROWS))
    arguments = (str(path), "--experiment", "stopped", *MAPPING)
    running = start_import(own_service, *arguments)
    await_checkpoint(tmp_path)
    running.send_signal(signal.SIGINT)
    ended = wait(running)
    assert ended.status == 130, ended.errors
    found = re.search(r"Stopped\. ([\d,]+) rows are done\. The same command goes on after them", ended.errors)
    assert found, ended.errors
    assert "Traceback" not in ended.errors
    kept = checkpoint(tmp_path)
    assert kept
    assert kept["tally"]["rows"] == int(found[1].replace(",", ""))
    assert own_service.key not in json.dumps(kept)
    anew = run_import(own_service, *arguments, "--restart")
    assert anew.summary["rows_read_now"] == ROWS
    assert anew.summary["duplicate"]["exposures"] >= kept["tally"]["rows"]
    assert stored(own_service) == (ROWS, ROWS, ROWS // 5, ROWS // 5)


@pytest.mark.slow
def test_the_service_is_killed_and_comes_back_during_an_import(
    own_service: RunningService, start_import: Import, tmp_path: Path
) -> None:
    own_service.start_experiment(definition("service-killed"))
    path = write(tmp_path / "rows.csv", rows(ROWS))
    running = start_import(own_service, str(path), "--experiment", "service-killed", *MAPPING)
    done = await_checkpoint(tmp_path)
    own_service.process.kill()
    time.sleep(0.5)
    assert running.poll() is None, "the import is patient"
    own_service.process.start()
    ended = wait(running)
    assert ended.status == 0, ended.errors
    assert 0 < done < ROWS
    assert "takes nothing now" in ended.errors
    assert "answers again" in ended.errors
    assert ended.summary["rows"] == ROWS
    assert stored(own_service) == (ROWS, ROWS, ROWS // 5, ROWS // 5)


@pytest.mark.slow
def test_patience_ends_and_the_import_goes_on_later(
    own_service: RunningService, start_import: Import, run_import: RunImport, tmp_path: Path
) -> None:
    own_service.start_experiment(definition("impatient"))
    path = write(tmp_path / "rows.csv", rows(ROWS))
    arguments = (str(path), "--experiment", "impatient", *MAPPING, "--patience", "0.5")
    running = start_import(own_service, *arguments)
    await_checkpoint(tmp_path)
    own_service.process.kill()
    ended = wait(running)
    assert ended.status == 2
    assert "took nothing for 0.5 seconds" in ended.errors
    assert "The same command goes on after them" in ended.errors
    own_service.process.start()
    assert run_import(own_service, *arguments).status == 0
    assert stored(own_service) == (ROWS, ROWS, ROWS // 5, ROWS // 5)


def test_refused_items_are_counted_named_and_written(
    shared_service: RunningService, run_import: RunImport, tmp_path: Path
) -> None:
    shared_service.start_experiment(definition("refusing"))
    table = [*rows(20, first=10_000)]
    table[3] = ("", *table[3][1:])
    table[5] = (table[5][0], "tretment", *table[5][2:])
    table[7] = (*table[7][:2], "1999-12-31", 1)
    table[9] = (*table[9][:3], "perhaps")
    path = write(tmp_path / "rows.csv", table)
    refused = tmp_path / "refused.csv"
    arguments = (str(path), "--experiment", "refusing", *MAPPING, "--refused", str(refused))
    for expected in ("accepted", "duplicate"):
        ended = run_import(shared_service, *arguments)
        assert ended.status == 1, ended.errors
        assert ended.summary[expected] == {"exposures": 17, "events": 4}
        found = {(each["item"], *each["rows"]) for each in ended.summary["refused"]}
        assert found == {
            ("row", 4),
            ("exposure", 6),
            ("exposure", 8),
            ("event bought", 8),
            ("event bought", 10),
        }
        with refused.open(newline="") as file:
            written = list(csv.DictReader(file))
        assert sorted(int(line["row"]) for line in written) == [4, 6, 8, 8, 10]
        assert any("'tretment'" in line["reason"] and "variant" in line["reason"] for line in written)


def test_events_alone_need_no_experiment(
    shared_service: RunningService, run_import: RunImport, tmp_path: Path
) -> None:
    path = write(tmp_path / "rows.csv", rows(100, first=30_000))
    arguments = (str(path), "--unit", "user", "--time", "at", "--event", "alone: value(bought)")
    ended = run_import(shared_service, *arguments)
    assert ended.summary["accepted"] == {"exposures": 0, "events": 100}
    assert ended.summary["readout"] is None


@pytest.mark.slow
def test_an_unknown_experiment_stops_the_import_early(
    shared_service: RunningService, run_import: RunImport, tmp_path: Path
) -> None:
    path = write(tmp_path / "rows.csv", rows(ROWS))
    arguments = (str(path), "--experiment", "not-yet", "--unit", "user", "--variant", "arm", "--time", "at")
    ended = run_import(shared_service, *arguments)
    assert ended.status == 2
    assert "there is no experiment 'not-yet'" in ended.errors
    # Once it exists, the same command begins with the first row.
    shared_service.start_experiment(definition("not-yet"))
    again = run_import(shared_service, *arguments)
    assert again.status == 0, again.errors
    assert again.summary["accepted"]["exposures"] == again.summary["rows_read_now"] == ROWS


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("eq_no_such_key", "answers 401"),
        ("two words", "printable ASCII"),
        (Scope.READ, "answers 403"),
    ],
)
def test_wrong_keys(
    shared_service: RunningService, run_import: RunImport, tmp_path: Path, key: str, message: str
) -> None:
    if isinstance(key, Scope):
        key = shared_service.make_key(key)
    path = write(tmp_path / "rows.csv", rows(10))
    ended = run_import(shared_service, str(path), "--experiment", "e", *MAPPING, key=key)
    assert ended.status == 2
    assert message in ended.errors
    assert key not in ended.errors + ended.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rows.csv", "--unit", "usr", "--at", "2026-01-01", "--event", "a: bought"), "Did you mean 'user'?"),
        (("none.csv", "--unit", "user", "--at", "2026-01-01", "--event", "a: bought"), "none.csv"),
        (("rows.csv", "--unit", "user", "--event", "a: bought"), "--time COLUMN"),
        (("rows.csv", "--unit", "user", "--at", "2026-01-01", "--event", "a"), "is not understood"),
        (
            (
                "rows.csv",
                "--unit",
                "user",
                "--at",
                "2026-01-01",
                "--event",
                "a: bought",
                "--url",
                "localhost:1",
            ),
            "not the address of a service",
        ),
    ],
)
def test_what_is_typed_wrong_is_said(
    shared_service: RunningService,
    run_import: RunImport,
    tmp_path: Path,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    write(tmp_path / "rows.csv", rows(10))
    ended = run_import(shared_service, *arguments)
    assert ended.status == 2
    assert message in ended.errors
    assert "Traceback" not in ended.errors


def test_a_missing_key_is_said(tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", rows(1))
    ended = wait(command("import", "rows.csv", "--experiment", "e", *MAPPING, directory=tmp_path))
    assert ended.status == 2
    assert "EQUIPOISE_KEY" in ended.errors


def test_a_service_of_small_limits_gets_smaller_batches(start_import: Import, tmp_path: Path) -> None:
    directory = tmp_path / "small"
    directory.mkdir()
    limits = {"EQUIPOISE_MAX_BATCH_ITEMS": "500", "EQUIPOISE_MAX_BODY_BYTES": "40000"}
    with running_service(directory, **limits) as service:
        service.start_experiment(definition("small"))
        path = write(tmp_path / "rows.csv", rows(6_000))
        ended = wait(start_import(service, str(path), "--experiment", "small", *MAPPING))
        assert ended.status == 0, ended.errors
        assert stored(service) == (6_000, 6_000, 1_200, 1_200)


def test_the_summary_for_people(shared_service: RunningService, tmp_path: Path) -> None:
    shared_service.start_experiment(definition("people"))
    path = write(tmp_path / "rows.csv", [*rows(30, first=20_000), ("", "control", "2026-01-01", 0)])
    environ = {"EQUIPOISE_URL": shared_service.url, "EQUIPOISE_KEY": shared_service.key}
    ended = wait(
        command("import", str(path), "--experiment", "people", *MAPPING, directory=tmp_path, **environ)
    )
    assert ended.status == 1
    assert re.search(r"31 rows in", ended.output)
    assert re.search(r"exposures +30 +0 +0", ended.output)
    assert re.search(r"events +6 +0 +0", ended.output)
    assert "1 × the unit is empty (row 31)" in ended.output
    assert f"{shared_service.url}/v1/experiments/people/readout" in ended.output
    assert shared_service.key not in ended.output + ended.errors


def test_without_a_place_for_checkpoints_the_import_says_so(
    shared_service: RunningService, run_import: RunImport, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    path = write(tmp_path / "rows.csv", rows(10, first=40_000))
    arguments = (str(path), "--unit", "user", "--at", "2026-01-01", "--event", "x: bought")
    ended = run_import(shared_service, *arguments)
    assert ended.status == 0
    assert "No checkpoint can be written" in ended.errors
    assert ended.summary["accepted"]["events"] == 2


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason=f"the real experiment is not there: {DATA}")
def test_the_real_experiment(shared_service: RunningService, run_import: RunImport) -> None:
    experiment = {**definition("new-landing-page")}
    experiment["metrics"] = [{"key": "converted", "type": "proportion", "event": "converted"}]
    shared_service.start_experiment(experiment)
    mapping = (
        "--experiment",
        "new-landing-page",
        "--unit",
        "user_id",
        "--time",
        "timestamp",
        "--variant",
        "group",
    )
    arguments = (str(DATA), *mapping, "--event", "converted: converted")
    for kind in ("accepted", "duplicate"):
        ended = run_import(shared_service, *arguments)
        assert ended.status == 0, ended.errors
        assert ended.summary[kind] == {"exposures": 294_478, "events": 35_237}
        readout = shared_service.request("GET", "/v1/experiments/new-landing-page/readout?wait=60").json()
        assert [arm["units"] for arm in readout["arms"]] == [144_300, 144_389]
        assert readout["health"]["crossovers"]["units"] == 1_895
        statistics = readout["metrics"][0]["comparisons"][0]["statistics"]
        assert statistics["baseline"]["successes"] == 17_468
        assert statistics["variant"]["successes"] == 17_268
