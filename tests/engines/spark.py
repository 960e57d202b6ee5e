"""A real Spark cluster on this machine: a master and two workers, each a process, from the pyspark wheel."""

import os
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
            [_HOME / "bin" / "spark-class", f"org.apache.spark.deploy.{name}", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the tests
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
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
