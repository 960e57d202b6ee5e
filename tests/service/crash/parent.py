"""A process that has the service imported already and forks one whenever it is told: starts are quick.

It reads a line of JSON for each command: `{"start": ...}` forks a service and answers its process id,
`{"reap": PID}` waits for one that was killed and answers its status. When its input ends, so do its services.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any


def main() -> None:
    """Do what the lines say."""
    import ibis  # noqa: F401 - what a service imports at its first readout
    import pyarrow.csv  # noqa: F401
    from tests.service.crash.checks import with_checks

    import equipoise_service.aggregates.service
    import equipoise_service.events.stores.postgres.engine  # noqa: F401
    from equipoise_service import app

    app.create_app = with_checks(app.create_app)
    living: set[int] = set()
    for line in sys.stdin:
        told = json.loads(line)
        if "start" in told:
            answer = os.fork()
            if not answer:
                _live(**told["start"])
            living.add(answer)
        else:
            answer = os.waitpid(told["reap"], 0)[1]
            living.discard(told["reap"])
        print(answer, flush=True)
    for process in living:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _live(settings: dict[str, str], port: int, log: str, chdb: str | None) -> None:
    """Be the service until the end; never returns."""
    status = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(written, 1)
        os.dup2(written, 2)
        os.environ.update(settings)
        _make_busier()
        if chdb is not None:
            _use_chdb(chdb)
        from equipoise_service.cli.serve import serve

        serve("127.0.0.1", port)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def _make_busier() -> None:
    """Checkpoints are among the moments to be killed at."""
    from equipoise_service.events.stores.duckdb import engine, file

    file.CHECKPOINT_THRESHOLD = "1MiB"
    engine.CHECKPOINT_BETWEEN = 256 << 10


def _use_chdb(path: str) -> None:
    """ClickHouse's engine in this process in the place of a server, with its data in a directory.

    Imported here: it does not survive a fork.
    """
    from datetime import timedelta

    import clickhouse_connect
    from tests.service.crash.checks import CLICKHOUSE_SETTLES_SECONDS

    from equipoise_service.events.stores.clickhouse import engine, workspace

    clickhouse_connect.get_client(interface="chdb", path=path).command("CREATE DATABASE IF NOT EXISTS crash")

    def connect(url: str, seconds: int) -> Any:
        return clickhouse_connect.get_client(
            interface="chdb", path=path, database="crash", settings=engine.SETTINGS
        )

    engine._client = connect
    workspace.SETTLES_AFTER = timedelta(seconds=CLICKHOUSE_SETTLES_SECONDS)


if __name__ == "__main__":
    main()
