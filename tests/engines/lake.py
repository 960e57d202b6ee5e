"""docs/how-to/analyse-on-spark.md as the tests run it: its own commands and its own Python."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

from tests.service.analysis.metric_reference import PLACE, Event, Exposure
from tests.service.events.contract import append, batch

from equipoise.identifiers import uuid7
from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.cli.demo.child import ServiceProcess
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.events.stores.store import open_event_store
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "analyse-on-spark.md").read_text()
_LAKE = "/lake"
# Generating and compiling code for a few rows takes longer than doing without.
_FEW_ROWS = """\
spark.sql.shuffle.partitions 2
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
"""


def blocks(language: str) -> list[str]:
    """The page's blocks of code; of a console, what is typed."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return [re.sub(r"^\$ ", "", each, flags=re.MULTILINE) for each in found]


def at(lake: Path, code: str) -> str:
    """The page's code, with a lake of the test's own."""
    assert _LAKE in code
    return re.sub(rf"(?<!\w){_LAKE}\b", str(lake), code)


def reading(lake: Path) -> str:
    """The lines that make the exported files the tables of a `spark`."""
    (analysing,) = blocks("python")
    (found,) = re.findall(r"^for table in .*\n(?: +.*\n)+", analysing, re.MULTILINE)[:1]
    return at(lake, found)


def export(environment: Mapping[str, str], lake: Path) -> str:
    """Run the page's export; what it said."""
    _, exporting, *_ = blocks("console")
    return run(at(lake, exporting), environment, lake.parent, 120)


def run(script: str, environment: Mapping[str, str], directory: Path, seconds: int) -> str:
    """Run commands in a shell that has this environment's commands and the service's address; their output.

    Args:
        script: The commands.
        environment: Where `equipoise` finds the service.
        directory: Where they are run and where Spark has its files.
        seconds: After so long they and all that they started are killed.
    """
    (directory / "conf").mkdir(exist_ok=True)
    (directory / "conf" / "spark-defaults.conf").write_text(_FEW_ROWS)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOISE_")}
    stopping = "set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n"
    log = directory / "script.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            ["bash", "-c", stopping + script],
            cwd=directory,
            env=inherited
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "SPARK_CONF_DIR": str(directory / "conf"),
                "SPARK_LOCAL_DIRS": str(directory),
                "SPARK_WORKER_DIR": str(directory / "workers"),
                "SPARK_DAEMON_MEMORY": "512m",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=seconds)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    assert process.returncode == 0, said + log.read_text()
    return said


@contextmanager
def filled_service(
    directory: Path, exposures: Sequence[Exposure], events: Sequence[Event]
) -> Iterator[dict[str, str]]:
    """A service that runs, whose event store has these facts: the environment of who talks to it."""
    shown = [
        ExposureIn(
            uuid7(),
            e.time.replace(tzinfo=UTC),
            e.experiment,
            e.variant,
            e.unit,
            e.unit_type,
            None,
            e.revision,
        )
        for e in exposures
    ]
    happened = [
        EventIn(uuid7(), e.time.replace(tzinfo=UTC), e.name, e.unit, e.unit_type, None, e.value)
        for e in events
    ]
    assert {each.place for each in exposures} | {each.place for each in events} == {PLACE}
    data = directory / "data"
    with open_event_store(Settings(data_dir=data)) as store:
        append(store, batch(shown, happened, PLACE, [each.properties for each in events]))
    project, environment = PLACE.split("/")
    with open_database(Settings(data_dir=data)) as database, database.write() as session:
        made = make_key(session, name="lake", project=project, environment=environment, scopes=[Scope.ADMIN])
    # What is stored is as old as it likes.
    settings = {"EQUIPOISE_RETENTION_DAYS": "36500"}
    with ServiceProcess(data, directory / "service.log", settings=settings) as process:
        yield {"EQUIPOISE_URL": process.url, "EQUIPOISE_KEY": made.key or ""}
