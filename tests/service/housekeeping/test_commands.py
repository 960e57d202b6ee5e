"""Housekeeping as people do it: the commands, against a real service that takes events meanwhile."""

import json
import os
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx2
import pytest
from tests.service.conftest import experiment
from tests.service.running import RunningService, command, running_service

from equipoise.identifiers import uuid7

NOW = datetime.now(UTC)


def run(*arguments: str, directory: Path, environ: dict[str, str], status: int = 0) -> tuple[str, str]:
    process = command(*arguments, directory=directory, **environ)
    out, said = process.communicate(timeout=120)
    assert process.returncode == status, f"{process.returncode}: {out}\n{said}"
    return out, said


def of(service: RunningService) -> dict[str, str]:
    return {"EQUIPOISE_URL": service.url, "EQUIPOISE_KEY": service.key}


def event(unit: str, time: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {"id": uuid7(), "time": time.isoformat(), "unit": unit, "name": "converted", **more}


def exposure(unit: str, time: datetime = NOW) -> dict[str, Any]:
    variant = "treatment" if int(unit[1:]) % 2 else "control"
    shown = {"experiment": "new-landing-page", "variant": variant, "revision": 1}
    return {"id": uuid7(), "time": time.isoformat(), "unit": unit, **shown}


def send(service: RunningService, **items: list[dict[str, Any]]) -> int:
    answer = service.request("POST", "/v1/events", json=items)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["accepted"])


def numbers(service: RunningService) -> dict[str, Any]:
    readout: dict[str, Any] = service.request(
        "GET", "/v1/experiments/new-landing-page/readout?wait=60"
    ).json()
    for name in ("generated_at", "watermark", "digests", "digest"):
        assert readout.pop(name)
    for each in readout["traffic_steps"]:
        assert each.pop("seconds") > 0  # until the watermark
    return readout


def test_a_backup_while_events_come_is_restored_to_the_same_numbers(tmp_path: Path) -> None:
    secret = "u77001199"
    with running_service(tmp_path) as service:
        service.start_experiment(experiment())
        units = [f"u{number}" for number in range(400)]
        send(service, exposures=[exposure(each) for each in [*units, secret]])
        send(service, events=[event(each) for each in [*units[::3], secret]])
        assert (
            "there are none"
            in run("erase", "user", secret, "--yes", directory=tmp_path, environ=of(service))[0]
        )
        acknowledged = 0
        ended = threading.Event()

        def keep_sending() -> None:
            nonlocal acknowledged
            while not ended.is_set():
                acknowledged += send(service, events=[event(f"n{number}") for number in range(50)])

        sender = threading.Thread(target=keep_sending)
        sender.start()
        try:
            time.sleep(0.3)
            before = acknowledged
            made = json.loads(run("backup", "--json", directory=tmp_path, environ=of(service))[0])
            after = acknowledged
            while acknowledged < after + 50:
                time.sleep(0.01)
        finally:
            ended.set()
            sender.join()
        expected = numbers(service)
        backup = Path(made["directory"])
        assert not [each for each in backup.parent.iterdir() if each.name.startswith(".")]
        # What was deleted is not in the files, not even as bytes that nothing refers to.
        assert not any(secret.encode() in path.read_bytes() for path in backup.iterdir())
        # Whoever restores into a directory that is in use is stopped.
        data = str(service.process.data_dir)
        _, said = run(
            "restore", str(backup), directory=tmp_path, environ={"EQUIPOISE_DATA_DIR": data}, status=2
        )
        assert "not empty" in said
    with duckdb.connect(str(backup / "events.duckdb"), read_only=True) as connection:
        (count,) = connection.execute("SELECT count(*) FROM events WHERE unit LIKE 'n%'").fetchone() or (0,)
    assert before <= count <= after + 50
    assert count % 50 == 0

    restored = tmp_path / "restored"
    restored.mkdir()
    run("restore", str(backup), directory=tmp_path, environ={"EQUIPOISE_DATA_DIR": str(restored / "data")})
    with running_service(restored) as service:
        assert numbers(service) == expected
        assert len(service.request("GET", "/v1/experiments").json()["items"]) == 1
        # It goes on from there.
        assert send(service, exposures=[exposure("u5000")]) == 1


def test_a_service_killed_in_the_middle_of_a_backup_leaves_none(tmp_path: Path) -> None:
    with running_service(tmp_path) as service:
        for _ in range(20):
            send(service, events=[event(f"u{number}") for number in range(5000)])
        backups = service.process.data_dir / "backups"

        def ask() -> None:
            with suppress(httpx2.HTTPError):
                service.request("POST", "/v1/backups")

        asking = threading.Thread(target=ask)
        asking.start()
        while not list(backups.glob(".partial-*/*")):
            time.sleep(0.001)
        service.process.kill()
        asking.join()
        (half,) = backups.iterdir()
        assert half.name.startswith(".partial-")
        target = {"EQUIPOISE_DATA_DIR": str(tmp_path / "target")}
        assert "interrupted" in run("restore", str(half), directory=tmp_path, environ=target, status=2)[1]
        service.process.start()
        made = service.request("POST", "/v1/backups").json()
        (count,) = service.facts("SELECT count(*) FROM events")[0]
    assert count == 100_000
    with duckdb.connect(str(Path(made["directory"]) / "events.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchall() == [(count,)]


def test_an_export_has_what_the_store_has_and_goes_on(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with running_service(tmp_path, EQUIPOISE_RETENTION_DAYS="3000") as service:
        service.start_experiment(experiment())
        days = [NOW - timedelta(days=day) for day in range(4)]
        send(service, exposures=[exposure(f"u{n}", day) for day in days for n in range(20)])
        hard = {"value": -0.5, "properties": {"a": 'ü "quoted"'}}
        events = [event(f"u{n}", day, **hard) for day in days for n in range(30)]
        send(service, events=events)
        export = ("export", "--parquet", str(lake))
        said, _ = run(*export, directory=tmp_path, environ=of(service))
        assert said == "exposures: 4 of 4 days written, 80 rows.\nevents: 4 of 4 days written, 120 rows.\n"
        files = {path: path.stat().st_mtime_ns for path in lake.rglob("*.parquet")}
        send(service, events=[event("late", days[2])])
        ours, theirs = (next(iter(files)).parent / f".partial-{name}" for name in ("killed", "running"))
        for path in (ours, theirs):
            path.write_bytes(b"PAR1")
        os.utime(ours, (0, 0))
        said, _ = run(*export, directory=tmp_path, environ=of(service))
        assert said == "exposures: 0 of 4 days written, 0 rows.\nevents: 1 of 4 days written, 31 rows.\n"
        (written,) = [path for path, time in files.items() if path.stat().st_mtime_ns != time]
        assert written.parent.name == f"date={days[2]:%Y-%m-%d}"
        others = [path for path in lake.rglob("*") if path.is_file() and path.name != "facts.parquet"]
        assert others == [theirs], "a run beside this one may be writing it"
        theirs.unlink()
        run("erase", "user", "u0", "--yes", directory=tmp_path, environ=of(service))
        said, warned = run(*export, directory=tmp_path, environ=of(service))
        assert "exposures: 0 of 4 days" in said
        assert warned.count("has more rows") == 8
        for path in lake.rglob("*.parquet"):
            path.unlink()
        run(*export, directory=tmp_path, environ=of(service))
        for table, columns in (
            ("exposures", "id, time, unit_type, unit, experiment, variant, revision"),
            ("events", "id, time, unit_type, unit, name, value, properties"),
        ):
            with duckdb.connect() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                exported = connection.execute(
                    f"SELECT id, time::TIMESTAMP, {columns.partition('time, ')[2]}, place, date"
                    f" FROM read_parquet('{lake}/{table}/**/*.parquet', hive_partitioning = true)"
                ).fetchall()
            if table == "exposures":
                found = exported
            else:
                other = exported
    stored = {
        table: service.facts(f"SELECT id::VARCHAR, {columns}, place, time::DATE FROM {table}")
        for table, columns in (
            ("exposures", "time, unit_type, unit, experiment, variant, revision"),
            ("events", "time, unit_type, unit, name, value, properties"),
        )
    }
    assert (len(found), len(other)) == (76, 117)
    assert Counter(found) == Counter(stored["exposures"])
    assert Counter(other) == Counter(stored["events"])


def test_unit_ids_are_stored_as_keyed_hashes(tmp_path: Path) -> None:
    key = "an example of a key that is no secret"
    unit = "u1234567"
    with running_service(tmp_path, EQUIPOISE_UNIT_KEY=key) as service:
        service.start_experiment(experiment(overrides={"u3": "treatment"}))
        send(service, exposures=[exposure(each) for each in (unit, "u2", "u3")])
        send(service, events=[event(each) for each in (unit, "u2")])
        both = {"id": uuid7(), "time": NOW.isoformat(), "name": "a", "units": {"user": unit, "device": "d1"}}
        send(service, events=[both])
        assert send(service, events=[both]) == 0
        assert send(service, events=[{"unit": unit, "name": "no id"}]) == 0
        readout = service.request("GET", "/v1/experiments/new-landing-page/readout?wait=60").json()
        assert sum(arm["units"] for arm in readout["arms"]) == 2  # who has an override is left out
        audit = service.request("GET", "/v1/experiments/new-landing-page/audit")
        assert audit.json()["type"] == "urn:equipoise:problem:unit-ids-hashed"
        proof = service.request("POST", "/v1/units/erase", json={"unit_type": "user", "unit": "u2"}).json()
        assert (proof["deleted"]["exposures"], proof["deleted"]["events"], proof["verified"]) == (1, 1, True)
        stored = service.facts(
            "SELECT unit FROM exposures UNION ALL SELECT unit FROM events UNION ALL SELECT item FROM rejected"
        )
        texts = [text for (text,) in stored]
        assert len(texts) == 6
        assert sum("h_" in text for text in texts) == 6
        # Neither in the file nor in the log that has not been moved into it.
        files = [path.read_bytes() for path in service.process.data_dir.glob("events.duckdb*")]
        assert not any(unit.encode() in content for content in files)
        other = {"EQUIPOISE_DATA_DIR": str(service.process.data_dir)}
        wrongs: list[dict[str, str]] = [{}, {"EQUIPOISE_UNIT_KEY": f"{key}!"}]
        for wrong in wrongs:
            _, said = run("serve", "--port", "0", directory=tmp_path, environ=other | wrong, status=2)
            assert "EQUIPOISE_UNIT_KEY is not the key" in said
            assert key not in said


@pytest.mark.parametrize("wrong", ["short", "x" * 31])
def test_a_weak_unit_key_stops_the_start_and_is_not_repeated(tmp_path: Path, wrong: str) -> None:
    _, said = run("serve", directory=tmp_path, environ={"EQUIPOISE_UNIT_KEY": wrong}, status=2)
    assert "EQUIPOISE_UNIT_KEY" in said
    assert wrong not in said.replace("EQUIPOISE_UNIT_KEY", "")
