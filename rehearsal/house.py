"""The service that a rehearsal runs through: started as a process of its own, asked over HTTP."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from equipoise import Configuration
from equipoise.configuration import load
from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_first_key
from equipoise_service.cli.demo.child import ServiceProcess
from equipoise_service.resources import open_database
from equipoise_service.settings import load_settings
from rehearsal.clock import Clock
from rehearsal.people import Item

BATCH = 2_000
_SENDERS = 2
_SECONDS = 120.0


class Refused(RuntimeError):
    """The service answered otherwise than it has to."""


class House:
    """One environment of a service that runs.

    Args:
        url: The service.
        key: A key of the environment that may do everything.
    """

    def __init__(self, url: str, key: str) -> None:
        self._client = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS, trust_env=False
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def ask(self, method: str, path: str, expected: Sequence[int] = (200, 201), **more: Any) -> Any:
        """Ask the service, which must agree; what it answers.

        Raises:
            Refused: It does not.
        """
        answer = self._client.request(method, path, **more)
        if answer.status_code not in expected:
            raise Refused(f"{method} {path} is answered {answer.status_code}: {answer.text[:2000]}")
        return answer.json() if answer.content else None

    def patch(self, key: str, change: Mapping[str, Any]) -> None:
        """Change an experiment as it stands."""
        etag = self._client.get(f"/v1/experiments/{key}").headers["etag"]
        self.ask("PATCH", f"/v1/experiments/{key}", json=dict(change), headers={"If-Match": etag})

    def configuration(self) -> Configuration:
        """The configuration that the service publishes."""
        answer = self._client.get("/v1/config")
        if answer.status_code != 200:
            raise Refused(f"GET /v1/config is answered {answer.status_code}")
        return load(answer.content)

    def readout(self, key: str) -> dict[str, Any] | None:
        """The readout that is stored, or None before the first one."""
        answer = self._client.get(f"/v1/experiments/{key}/readout")
        if answer.status_code not in (200, 202):
            raise Refused(f"the readout of {key} is answered {answer.status_code}: {answer.text[:2000]}")
        return answer.json() if answer.status_code == 200 else None

    def send(self, items: Sequence[Item]) -> int:
        """Send items, all of which have to be accepted, and each once; how many batches it took."""
        batches = [items[i : i + BATCH] for i in range(0, len(items), BATCH)]
        with ThreadPoolExecutor(_SENDERS) as pool:
            return sum(pool.map(self._send_batch, batches))

    def report(self, sender: str, dropped: int) -> None:
        """Say what a sender gave up since it began, as the SDK does."""
        body = {"dropped": {"client": sender, "counts": {"queue_full": dropped}}}
        self.ask("POST", "/v1/events", json=body)

    def _send_batch(self, items: Sequence[Item]) -> int:
        exposures = ",".join(item.text for item in items if item.is_exposure)
        events = ",".join(item.text for item in items if not item.is_exposure)
        body = f'{{"exposures":[{exposures}],"events":[{events}]}}'.encode()
        while (answer := self._client.post("/v1/events", content=body)).status_code == 503:
            time.sleep(float(answer.headers.get("retry-after", "1")))
        counts = answer.json()
        if answer.status_code != 200 or counts["accepted"] != len(items):
            raise Refused(f"of {len(items)} items not all were accepted: {answer.text[:2000]}")
        return 1


@dataclass(frozen=True, slots=True)
class Houses:
    """The environments of a service that runs.

    Attributes:
        url: The service.
        open: Those that there are, by name; `production` is there from the beginning.
    """

    url: str
    open: dict[str, House]

    def __getitem__(self, name: str) -> House:
        """An environment, which is made where it is not there yet."""
        if name not in self.open:
            wanted = {"name": name, "environment": name, "scopes": [str(scope) for scope in Scope]}
            self.open[name] = House(
                self.url, self.open["production"].ask("POST", "/v1/keys", json=wanted)["key"]
            )
        return self.open[name]


@contextmanager
def open_houses(directory: Path, clock: Clock, settings: Mapping[str, str]) -> Iterator["Houses"]:
    """Start a service that lives by a clock, and stop it at the end.

    Args:
        directory: Where its data and its log are.
        clock: Its clock.
        settings: Its settings, by the names of their environment variables.
    """
    data = directory / "data"
    metadata = open_database(load_settings({"EQUIPOISE_DATA_DIR": str(data)}))
    with metadata as database, database.write() as session:
        made = make_first_key(session)
    if made is None or made.key is None:
        raise Refused(f"{data} holds the data of a service already")
    process = ServiceProcess(data, directory / "service.log", settings={**settings, **clock.environ()})
    with process:
        houses = Houses(process.url, {"production": House(process.url, made.key)})
        try:
            yield houses
        finally:
            for house in houses.open.values():
                house.close()
