"""Requests at fixed moments, whatever became of those before: nobody's wait hides another's."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field

Body = Callable[[], bytes | None]


@dataclass
class Requests:
    """A thread that asks the same thing again and again.

    Attributes:
        port: Of the service.
        key: Its key.
        every: Seconds between two requests. One that is late is measured from when it was due.
        method: As in HTTP.
        path: As in HTTP.
        body: Makes the body of each request.
        latencies: Seconds of each answer.
        accepted: Items that were acknowledged.
        failures: Answers that were none, or not 2xx.
    """

    port: int
    key: str
    every: float
    method: str
    path: str
    body: Body = lambda: None
    latencies: list[float] = field(default_factory=list)
    accepted: int = 0
    failures: list[str] = field(default_factory=list)

    def run(self, ended: threading.Event) -> None:
        """Ask until the end."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            due = time.monotonic()
            while not ended.wait(max(0.0, due - time.monotonic())):
                self._ask(connection, due)
                due += self.every

    def quantile(self, share: float) -> float:
        """Of the latencies, in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def _ask(self, connection: http.client.HTTPConnection, due: float) -> None:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            connection.request(self.method, self.path, self.body(), headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(repr(error))
            with suppress(OSError):
                connection.close()
            return
        if answer.status != 200:
            self.failures.append(f"{answer.status} {content[:200]!r}")
            return
        self.latencies.append(time.monotonic() - due)
        if self.path == "/v1/events":
            self.accepted += json.loads(content)["accepted"]
