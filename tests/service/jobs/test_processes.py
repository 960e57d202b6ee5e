"""`equipoise worker`: real processes on one PostgreSQL, killed and stopped in the middle of a job."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from tests.service.conftest import experiment
from tests.service.readouts.test_endpoint import exposure
from tests.service.sources.warehouses import TABLES, Warehouse, source

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.cli.demo.child import ServiceProcess
from equipoise_service.jobs.leases import LEASE
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings

UNITS = 120
PATH = "/v1/experiments/page"


@contextmanager
def worker(environ: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker process, killed at the end if it lives still."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOISE_")}
    with log.open("ab") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "equipoise_service.cli", "worker"],
            env={**inherited, **environ},
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def until(client: httpx2.Client, job: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """A job when something holds of it."""
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job}").json()
        if holds(found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def is_reading(job: dict[str, Any]) -> bool:
    return bool(job["stage"] == "reading the facts")


def has_ended(job: dict[str, Any]) -> bool:
    return job["ended_at"] is not None


@pytest.mark.slow
def test_a_worker_killed_amid_a_look_is_replaced_once_and_alpha_is_spent_once(
    postgres_url: str, tmp_path: Path
) -> None:
    environ = {
        "EQUIPOISE_DATABASE_URL": postgres_url,
        "EQUIPOISE_EVENT_STORE_URL": postgres_url,
        "EQUIPOISE_SOURCE_SHOP_URL": postgres_url,
    }
    warehouse = Warehouse(postgres_url)
    for statement in TABLES:
        warehouse.execute(statement)
    with ExitStack() as stack:
        service = stack.enter_context(
            ServiceProcess(tmp_path / "data", tmp_path / "service.log", settings=environ)
        )
        with open_database(Settings(database_url=postgres_url)) as database, database.write() as session:
            made = make_key(
                session, name="test", project="default", environment="production", scopes=list(Scope)
            )
        client = stack.enter_context(
            httpx2.Client(
                base_url=service.url,
                headers={"Authorization": f"Bearer {made.key}"},
                timeout=90,
                trust_env=False,
            )
        )
        wait_for_key(client)
        assert client.post("/v1/sources", json=source()).status_code == 201
        metric = {"key": "spent", "type": "mean", "event": "order", "source": "warehouse"}
        plan = {"method": "group-sequential", "horizon": {"units": 400}, "looks": {"count": 4}}
        definition = experiment("page", metrics=[metric], plan=plan)
        assert client.post("/v1/experiments", json=definition).status_code == 201
        assert client.post(f"{PATH}/start").status_code == 200
        arms = ("control", "treatment")
        shown = [exposure(f"u{i}", arms[i % 2], experiment="page") for i in range(UNITS)]
        assert client.post("/v1/events", json={"exposures": shown}).status_code == 200
        warehouse.add_orders(*((f"u{i}", datetime.now(UTC) - timedelta(minutes=1), i) for i in range(UNITS)))
        # Nobody reads the orders until this is let go of.
        lock = stack.enter_context(psycopg.connect(postgres_url))
        lock.execute("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
        look = client.post(f"{PATH}/looks?wait=0")
        assert look.status_code == 202
        first = stack.enter_context(worker(environ, tmp_path / "first.log"))
        running = until(client, look.json()["id"], is_reading)
        assert running["attempts"] == 1
        second = stack.enter_context(worker(environ, tmp_path / "second.log"))
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        killed = time.monotonic()
        taken_up = until(client, running["id"], lambda job: job["attempts"] == 2)
        print(f"taken up {time.monotonic() - killed:.1f} s after the kill, at a lease of {LEASE}")
        lock.commit()
        done = until(client, taken_up["id"], has_ended)
        assert (done["status"], done["attempts"], done["error"]) == ("done", 2, None)
        (spent,) = client.get(f"{PATH}/looks").json()
        assert (spent["number"], spent["fractions"]) == (1, {"spent": UNITS / 400})
        readout = client.get(f"{PATH}/looks/1").json()
        assert readout["metrics"][0]["comparisons"][0]["statistics"]["baseline"]["mean"] == (UNITS - 2) / 2
        # The first readout was due meanwhile, by itself; this one comes behind it.
        assert client.get(f"{PATH}/readout?wait=60").status_code == 200
        # One that is stopped in order gives its job back at once, as if it had not begun.
        lock.execute("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
        refresh = client.post(f"{PATH}/readout/refresh").json()["id"]
        until(client, refresh, is_reading)
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0, (tmp_path / "second.log").read_text()
        given_back = client.get(f"/v1/jobs/{refresh}").json()
        assert (given_back["status"], given_back["attempts"]) == ("queued", 0)
        lock.commit()
        stack.enter_context(worker(environ, tmp_path / "third.log"))
        last = until(client, refresh, has_ended)
        assert (last["status"], last["attempts"]) == ("done", 1)
        assert len(client.get(f"{PATH}/looks").json()) == 1


def wait_for_key(client: httpx2.Client) -> None:
    """Wait until the service has heard of the key."""
    deadline = time.monotonic() + 30
    while client.get("/v1/experiments").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_with_the_embedded_store_there_is_no_worker_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with worker({"EQUIPOISE_DATA_DIR": str(tmp_path / "data")}, log) as process:
        assert process.wait(60) == 2
    assert "belongs to `equipoise serve`" in log.read_text()
