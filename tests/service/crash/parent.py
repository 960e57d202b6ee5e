"""A process that has the service imported already and forks one whenever it is told: starts are quick.

It reads a line of JSON for each command: `{"start": ...}` forks a service and answers its process id,
`{"run": ...}` forks a command of the command line and answers its process id, `{"reap": PID}` waits until one
of them has ended and answers its status. When its input ends, so does what it forked.
"""

import gc
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn


def main() -> None:
    """Do what the lines say."""
    _warm_up()
    living: set[int] = set()
    for line in sys.stdin:
        told = json.loads(line)
        if "start" in told:
            answer = _forked(_live, **told["start"])
            living.add(answer)
        elif "run" in told:
            answer = _forked(_run, **told["run"])
            living.add(answer)
        else:
            answer = os.waitpid(told["reap"], 0)[1]
            living.discard(told["reap"])
        print(answer, flush=True)
    for process in living:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _warm_up() -> None:
    """Once, what each service would do at its start and first readout, but for what begins threads."""
    import ibis
    import pandas  # type: ignore[import-untyped]  # noqa: F401 - pyarrow imports it
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401
    import uvicorn
    from tests.service.crash.checks import with_checks

    import equipoise_service.aggregates.service
    import equipoise_service.cli.definitions.api
    import equipoise_service.cli.lakehouse
    import equipoise_service.events.stores.postgres.engine  # noqa: F401
    from equipoise_service import app
    from equipoise_service.resources import open_database
    from equipoise_service.settings import load_settings

    app.create_app = with_checks(app.create_app)
    for engine in ("duckdb", "postgres", "clickhouse"):
        table = ibis.table({"unit": "string", "time": "timestamp", "value": "float64"}, name="events")
        ibis.to_sql(table.group_by("unit").agg(value=table.value.sum()), dialect=engine)
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings({"EQUIPOISE_DATA_DIR": directory})
        with open_database(settings):
            made = app.create_app(settings)
        made.openapi()
        uvicorn.Config(made, log_config=None).load()
    # A collection writes to every object, which would copy all of them into each process.
    gc.collect()
    gc.freeze()


def _forked(work: Callable[..., None], *, log: str, environ: Mapping[str, str], **arguments: Any) -> int:
    """Fork a process that does some work and writes to a log; its id."""
    process = os.fork()
    if not process:
        _be(work, log, environ, arguments)
    return process


def _be(
    work: Callable[..., None], log: str, environ: Mapping[str, str], arguments: Mapping[str, Any]
) -> NoReturn:
    status = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(written, 1)
        os.dup2(written, 2)
        os.environ.update(environ)
        work(**arguments)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _live(port: int, chdb: str | None) -> None:
    """Be a service until its end."""
    _make_busier()
    if chdb is not None:
        _use_chdb(chdb)
    if os.environ.get("EQUIPOISE_EVENT_STORE_URL", "").startswith("clickhouse"):
        _settle_sooner()
    from equipoise_service.cli.serve import serve

    serve("127.0.0.1", port)


def _run(arguments: list[str]) -> None:
    """Be the command `equipoise` with some arguments."""
    from equipoise_service.cli import main as equipoise

    sys.argv = ["equipoise", *arguments]
    equipoise()


def _make_busier() -> None:
    """Checkpoints are among the moments to be killed at."""
    from equipoise_service.events.stores.duckdb import engine, file

    file.CHECKPOINT_THRESHOLD = "1MiB"
    engine.CHECKPOINT_BETWEEN = 256 << 10


def _use_chdb(path: str) -> None:
    """ClickHouse's engine in this process in the place of a server, with its data in a directory.

    Imported here: it does not survive a fork.
    """
    import clickhouse_connect

    from equipoise_service.connections import CLICKHOUSE_SETTINGS
    from equipoise_service.events.stores.clickhouse import engine

    clickhouse_connect.get_client(interface="chdb", path=path).command("CREATE DATABASE IF NOT EXISTS crash")

    def connect(url: str, seconds: int) -> Any:
        return clickhouse_connect.get_client(
            interface="chdb", path=path, database="crash", settings=CLICKHOUSE_SETTINGS
        )

    engine._client = connect


def _settle_sooner() -> None:
    """Bases hold what came up to some seconds before them, not up to a minute."""
    from datetime import timedelta

    from tests.service.crash.checks import CLICKHOUSE_SETTLES_SECONDS

    from equipoise_service.events.stores.clickhouse import workspace

    workspace.SETTLES_AFTER = timedelta(seconds=CLICKHOUSE_SETTLES_SECONDS)


if __name__ == "__main__":
    main()
