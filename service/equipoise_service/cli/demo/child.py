"""The service as a child process, on its embedded defaults and a loopback port."""

import os
import re
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from equipoise.transport import Transport, TransportError
from equipoise_service.cli.failures import Failure
from equipoise_service.settings import PREFIX

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_SERVES: Final = re.compile(rb"^Equipoise serves (http://\S+) from", re.MULTILINE)


class ServiceProcess:
    """A service that is started, asked whether it is ready, and stopped, by its process id.

    As a context manager it is started at the beginning and stopped at the end, whatever happens.

    Args:
        data_dir: Its data directory.
        log: The file that its output is appended to.
        port: Its port; 0 takes a free one, and keeps it when it is started again.
        settings: Further settings, by the names of their environment variables.
    """

    def __init__(
        self, data_dir: Path, log: Path, *, port: int = 0, settings: dict[str, str] | None = None
    ) -> None:
        self.data_dir = data_dir
        self.log = log
        self.port = port
        self.url = ""
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it is ready; `url` says where.

        Raises:
            Failure: It did not become ready; the message ends with what it logged last.
        """
        # None of the caller's own settings: a demonstration must not write into somebody's data.
        environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environ |= {f"{PREFIX}DATA_DIR": str(self.data_dir.resolve()), **self._settings}
        command = [sys.executable, "-m", "equipoise_service.cli", "serve"]
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches us alone; we stop it in order.
                start_new_session=True,
            )
        self._await_ready(begin)

    def stop(self) -> None:
        """Stop it in order, or by force when that takes too long; harmless when it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def require_running(self) -> None:
        """Check that it has not ended by itself.

        Raises:
            Failure: It has; the message says with which status.
        """
        if self._process is not None and self._process.poll() is not None:
            raise Failure(f"The service ended by itself, with status {self._process.returncode}.")

    def log_tail(self, lines: int = 20) -> str:
        """What it logged last."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _await_ready(self, begin: int) -> None:
        deadline = monotonic() + _START_SECONDS
        while monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise Failure(f"The service ended at its start. Its log says:\n{self.log_tail()}")
            found = _SERVES.search(self.log.read_bytes()[begin:])
            if found and _ready(found[1].decode()):
                self.url = found[1].decode()
                # Started again, it is to be found where it was.
                self.port = urlsplit(self.url).port or 0
                return
            sleep(0.05)
        raise Failure(
            f"The service was not ready after {_START_SECONDS:g} seconds. Its log says:\n{self.log_tail()}"
        )


def _ready(url: str) -> bool:
    transport = Transport(url, "none-needed")
    try:
        return transport.get("/readyz", {}, timeout=2.0).status == 200
    except TransportError:
        return False  # it does not listen yet: we ask again
    finally:
        transport.close()
