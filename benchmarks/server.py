"""The service in a process of its own, with bare routes beside its own to compare with."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from fastapi import FastAPI, Response
from pydantic import BaseModel

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.app import create_app
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings

KEY = "new-landing-page"
PAYLOAD = {
    "key": KEY,
    "name": "New landing page",
    "variants": [
        {"key": "control", "value": "old_page", "control": True},
        {"key": "treatment", "value": "new_page"},
    ],
    "metrics": [{"key": "converted", "type": "proportion", "event": "converted"}],
}


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    host: str
    port: int
    key: str

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.port}"

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """A whole HTTP request, as bytes."""
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.host}:{self.port}",
            f"Authorization: Bearer {self.key}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body


class Asked(BaseModel):
    """What the bare JSON route takes."""

    flag: str
    unit: str


class Answered(BaseModel):
    """What the bare JSON route answers."""

    flag: str
    unit: str


def application() -> FastAPI:
    """The service with bare routes: fixed bytes of the configuration's size, and a JSON echo."""
    app = create_app()
    fixed = b"{" + b" " * int(os.environ["EQUIPOISE_TEST_BARE_BYTES"]) + b"}"

    @app.get("/bare/bytes")
    async def bare_bytes() -> Response:
        return Response(fixed, media_type="application/json")

    @app.post("/bare/echo")
    async def bare_echo(asked: Asked) -> Answered:
        return Answered(flag=asked.flag, unit=asked.unit)

    # First, so that what they are compared with does not pay for the routes before it.
    app.router.routes[:] = [*app.router.routes[-2:], *app.router.routes[:-2]]
    return app


@contextmanager
def running_service(bare_bytes: int = 0) -> Iterator[Running]:
    """Start the service on a free loopback port, with a started experiment; stop it at the end."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data_dir=Path(directory))
        with open_database(settings) as database, database.write() as session:
            made = make_key(
                session, name="bench", project="default", environment="production", scopes=list(Scope)
            )
        port = _free_port()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "uvicorn",
                "--factory",
                "benchmarks.server:application",
                "--port",
                str(port),
                "--no-access-log",
                "--log-level",
                "warning",
            ],
            env={
                **os.environ,
                "EQUIPOISE_DATA_DIR": directory,
                "EQUIPOISE_TEST_BARE_BYTES": str(bare_bytes),
            },
        )
        running = Running("127.0.0.1", port, made.key or "")
        try:
            _start_experiment(running)
            yield running
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_experiment(running: Running) -> None:
    with httpx2.Client(base_url=running.url, headers={"Authorization": f"Bearer {running.key}"}) as client:
        for _ in range(200):
            try:
                client.get("/readyz").raise_for_status()
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        client.post("/v1/experiments", json=PAYLOAD).raise_for_status()
        client.post(f"/v1/experiments/{KEY}/start").raise_for_status()
