"""The servers and workers that product backends run under: what they log arrives, once, from every process.

Nothing is sent while they work (the flush interval is a minute), so everything that arrives was sent by the
processes as they ended.
"""

import http.client
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.sdk.fake_service import KEY, FakeService

REQUESTS = 60
USERS = [f"user-{number}" for number in range(REQUESTS)]
SECONDS = 60

CLIENT = f"""
import os, time
from equipoise import Client
client = Client(os.environ["EQUIPOISE_URL"], {KEY!r}, flush_interval=60)
client.wait_ready(10)  # before any fork: the parent's thread runs
client.track("loaded", f"process-{{os.getpid()}}")
"""

WSGI = """
def app(environ, start_response):
    unit = environ["PATH_INFO"].strip("/")
    client.variant("new-landing-page", unit)
    client.track("seen", unit)
    until = time.perf_counter() + 0.02
    while time.perf_counter() < until:
        pass  # so busy that the other processes are asked too; gevent's sleep would not be
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await client.aclose()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    unit = scope["path"].strip("/")
    client.variant("new-landing-page", unit)
    client.track("seen", unit)
    time.sleep(0.05)  # so busy that the other process is asked too
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


@contextmanager
def program(service: FakeService, directory: Path, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python` with arguments in a process group of its own, which is killed at the end."""
    with (directory / "out.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=directory,
            env={**os.environ, "EQUIPOISE_URL": service.url},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(SECONDS)


def write(directory: Path, name: str, *parts: str) -> None:
    (directory / name).write_text("".join(textwrap.dedent(part) for part in parts))


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def ask(port: int, path: str) -> str:
    """Ask once, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def wait_for(port: int, process: "subprocess.Popen[bytes]", directory: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, (directory / "out.log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError((directory / "out.log").read_text())


def serve_and_stop(service: FakeService, directory: Path, *arguments: str, port: int) -> set[str]:
    """Run a server, send it the requests, end it in order; return the processes that answered."""
    with program(service, directory, *arguments) as process:
        wait_for(port, process, directory)
        with ThreadPoolExecutor(8) as callers:
            answered = set(callers.map(lambda user: ask(port, f"/{user}"), USERS))
        assert service.stored("exposures") == [], "something was sent before the end"
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)
    return answered


def check_everything_arrived(service: FakeService, units: Sequence[str]) -> None:
    seen = [event["unit"] for event in service.stored("events") if event["name"] == "seen"]
    assert sorted(seen) == sorted(units)
    assert sorted(exposure["unit"] for exposure in service.stored("exposures")) == sorted(units)
    assert set(service.arrivals.values()) == {1}, "something was sent twice"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "preload"),
    [("sync", True), ("sync", False), ("gthread", True), ("gevent", True), ("gevent", False)],
)
def test_gunicorn(service: FakeService, tmp_path: Path, workers: str, preload: bool) -> None:
    write(tmp_path, "backend.py", CLIENT, WSGI)
    port = free_port()
    answered = serve_and_stop(
        service,
        tmp_path,
        *("-m", "gunicorn", "backend:app", "--bind", f"127.0.0.1:{port}", "--workers", "3"),
        *("--worker-class", workers, *(["--preload"] if preload else [])),
        port=port,
    )
    assert len(answered) > 1, "one worker answered everything, so nothing was shown"
    check_everything_arrived(service, USERS)
    loaded = {event["unit"] for event in service.stored("events") if event["name"] == "loaded"}
    assert len(loaded) == (1 if preload else 3)


@pytest.mark.slow
def test_uvicorn_workers(service: FakeService, tmp_path: Path) -> None:
    """uvicorn ends by raising SIGTERM again, past atexit: the application's lifespan closes the client."""
    write(tmp_path, "backend.py", CLIENT, ASGI)
    port = free_port()
    answered = serve_and_stop(
        service,
        tmp_path,
        *("-m", "uvicorn", "backend:app", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"),
        port=port,
    )
    assert len(answered) == 2
    check_everything_arrived(service, USERS)


@pytest.mark.slow
def test_uvloop_with_subprocesses(service: FakeService, tmp_path: Path) -> None:
    """uvloop starts processes with its own fork, which runs Python's hooks in the child."""
    write(
        tmp_path,
        "script.py",
        CLIENT,
        """
        import asyncio, sys, uvloop

        async def main():
            for number in range(60):
                client.variant("new-landing-page", f"user-{number}")
                client.track("seen", f"user-{number}")
                if number % 10 == 0:
                    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
                    assert await process.wait() == 0
            hooked = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "pass", preexec_fn=lambda: client.track("in the child", "nobody")
            )
            assert await hooked.wait() == 0

        uvloop.run(main())
        """,
    )
    with program(service, tmp_path, "script.py") as process:
        assert process.wait(SECONDS) == 0, (tmp_path / "out.log").read_text()
    check_everything_arrived(service, USERS)


@pytest.mark.slow
def test_celery_prefork(service: FakeService, tmp_path: Path) -> None:
    """Celery's processes leave by `os._exit`; its signal of their shutdown is where the client is closed."""
    (tmp_path / "queue").mkdir()
    write(
        tmp_path,
        "backend.py",
        CLIENT,
        """
        import time
        from glob import glob

        from celery import Celery
        from celery.signals import worker_process_shutdown

        app = Celery("backend", broker="filesystem://")
        app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}
        app.conf.worker_hijack_root_logger = False

        @worker_process_shutdown.connect
        def close(**_):
            client.close()

        @app.task
        def work(unit):
            # The first waits for the other process, which may still start when it could have done everything.
            open(f"done-{os.getpid()}", "a").close()
            until = time.monotonic() + 30
            while len(glob("done-*")) < 2 and time.monotonic() < until:
                time.sleep(0.01)
            client.variant("new-landing-page", unit)
            client.track("seen", unit)
            with open(f"done-{os.getpid()}", "a") as done:
                done.write(unit + "\\n")
        """,
    )
    write(
        tmp_path,
        "send.py",
        """
        from backend import client, work
        for number in range(60):
            work.delay(f"user-{number}")
        """,
    )
    with program(service, tmp_path, "send.py") as sender:
        assert sender.wait(SECONDS) == 0, (tmp_path / "out.log").read_text()
    arguments = ("-m", "celery", "-A", "backend", "worker", "--pool", "prefork", "--concurrency", "2")
    with program(service, tmp_path, *arguments, "--without-mingle", "--without-gossip") as worker:
        deadline = time.monotonic() + SECONDS
        while (found := done(tmp_path)) < REQUESTS:
            assert time.monotonic() < deadline, f"{found} done; {(tmp_path / 'out.log').read_text()}"
            time.sleep(0.1)
        assert service.stored("exposures") == []
        worker.send_signal(signal.SIGTERM)
        worker.wait(SECONDS)
    assert len(list(tmp_path.glob("done-*"))) == 2, "one process did everything, so nothing was shown"
    check_everything_arrived(service, USERS)


def done(directory: Path) -> int:
    return sum(len(file.read_text().splitlines()) for file in directory.glob("done-*"))


@pytest.mark.slow
@pytest.mark.parametrize("patched", ["before", "after"])
def test_gevent(service: FakeService, tmp_path: Path, patched: str) -> None:
    """Greenlets log; the client is made before or after the world is patched."""
    patch = "from gevent import monkey; monkey.patch_all()\n"
    write(
        tmp_path,
        "script.py",
        patch if patched == "before" else "",
        CLIENT,
        patch if patched == "after" else "",
        """
        import gevent
        assert client.wait_ready(10)

        def work(number):
            client.variant("new-landing-page", f"user-{number}")
            gevent.sleep(0.01)
            client.track("seen", f"user-{number}")

        gevent.joinall([gevent.spawn(work, number) for number in range(60)], raise_error=True)
        assert client.close(20).accepted > 0
        """,
    )
    with program(service, tmp_path, "script.py") as process:
        assert process.wait(SECONDS) == 0, (tmp_path / "out.log").read_text()
    check_everything_arrived(service, USERS)
