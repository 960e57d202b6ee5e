"""A real Spark cluster on this machine: a master and two workers, each a process, from the pyspark wheel."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

_HOME = Path(pyspark.__path__[0])
_START_SECONDS = 60
_STOP_SECONDS = 30

# A process ends with the test process, however that ends: then the pipe that `cat` reads closes.
_ATTENDED = '"$@" < /dev/null & daemon=$!; cat > /dev/null; kill -TERM $daemon 2> /dev/null; wait $daemon'


@contextmanager
def cluster(directory: Path, workers: int = 2) -> Iterator[str]:
    """Starts a cluster, yields its master's URL when all workers have joined, and stops it.

    Args:
        directory: Where its processes write their logs and files.
        workers: How many workers, with one core each.
    """
    host, port = "127.0.0.1", _free_port()
    url = f"spark://{host}:{port}"
    with ExitStack() as stack:
        log = directory / "master.log"
        stack.enter_context(
            _process(
                log, directory, "master.Master", "--host", host, "--port", str(port), "--webui-port", "0"
            )
        )
        _wait_for(log, "New state: ALIVE", 1)
        for number in range(workers):
            stack.enter_context(
                _process(
                    directory / f"worker-{number}.log", directory, "worker.Worker",
                    "--host", host, "--webui-port", "0", "--cores", "1", "--memory", "1g",
                    "--work-dir", str(directory / f"worker-{number}"), url,
                )
            )  # fmt: skip
        _wait_for(log, "Registering worker", workers)
        yield url


@contextmanager
def _process(log: Path, directory: Path, name: str, *arguments: str) -> Iterator[None]:
    environment = os.environ | {
        "SPARK_HOME": str(_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_LOCAL_DIRS": str(directory),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *("sh", "-c", _ATTENDED, "sh"),
                *(str(_HOME / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments),
            ],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the tests
        )
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its session holds what it started as well
            process.wait()


def _wait_for(log: Path, text: str, times: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while log.read_text().count(text) < times:
        if time.monotonic() > deadline:
            raise RuntimeError(f"Spark does not start:\n{log.read_text()}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
