"""Databases of a service: backed up by their servers' tools while batches come, and brought back."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.postgres import _binary
from tests.service.crash.checks import EXPERIMENT
from tests.service.crash.lives import Service
from tests.service.crash.rounds import SENDERS, Rounds

from equipoise_service.readouts.verification import verify_readout

_GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "back-up-and-restore.md"
_READOUT = f"/v1/experiments/{EXPERIMENT}/readout"
_KEPT = ("/v1/config", "/v1/flags", f"/v1/experiments/{EXPERIMENT}", _READOUT)
_FLAG = {
    "key": "kept",
    "name": "Kept",
    "type": "string",
    "variants": [{"key": "old", "value": "solr"}, {"key": "new", "value": "vespa"}],
    "default": "old",
}
_BATCHES = 20
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Taken:
    """What a backup must hold.

    Attributes:
        configuration: What each path of the service answered before it began.
        acknowledged: The batches that were acknowledged before it began.
    """

    configuration: Mapping[str, Any]
    acknowledged: set[int]


def documented(begin: str) -> str:
    """The one line of the guide that begins so, without its prompt and its comment."""
    lines = [line.removeprefix("$ ") for line in _GUIDE.read_text().splitlines()]
    (found,) = [line for line in lines if line.startswith(begin)]
    return found.partition("  #")[0].partition("  --")[0].strip()


def run_documented(program: str, directory: Path, database_url: str) -> None:
    """Run the guide's line of one of PostgreSQL's programs, in a directory, of the server's own release."""
    environ = os.environ | {"EQUIPOISE_DATABASE_URL": database_url}
    environ["PATH"] = os.pathsep.join([str(_binary(program).parent), environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", documented(f"{program} ")],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def back_up_amid_traffic(rounds: Rounds, back_up: Callable[[], None]) -> Taken:
    """Have a running service's databases backed up while batches come and a refresh runs; then kill it."""
    service = rounds.service
    service.start()
    service.ask("POST", "/v1/flags", json.dumps(_FLAG).encode())
    rounds.send_alone(rounds.ledger.new(50, 200))
    with working(service):
        read_out(rounds)
    service.ask("POST", "/crash/refresh?kind=0")
    with rounds.sending(SENDERS, 5, 20):
        _await(lambda: len(rounds.ledger.acknowledged()) > _BATCHES)
        taken = Taken(_configuration(service), rounds.ledger.acknowledged())
        refreshing = service.connected()
        with refreshing as connection:
            connection.request(
                "POST", "/crash/refresh?kind=1", headers={"Authorization": f"Bearer {service.key}"}
            )
            back_up()
            # Batches were under way all the time: however quick it was, more than what there was comes.
            _await(lambda: bool(rounds.ledger.acknowledged() - taken.acknowledged))
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
        service.kill()
    return taken


def examine(rounds: Rounds, taken: Taken, restored: Service) -> None:
    """A service on what was restored has what it must, takes the rest, and reads out exactly that."""
    restored.start()
    try:
        assert _configuration(restored) == taken.configuration
        again = Rounds(restored, rounds.whole, rounds.ledger.looking_back(taken.acknowledged))
        again.check(0)
        with working(restored):
            read_out(again)
    finally:
        restored.stop()


def read_out(rounds: Rounds) -> None:
    """Have the readout computed; it verifies, and shows all that was sent."""
    readout = rounds.service.ask("GET", f"{_READOUT}?wait={_SECONDS}")
    assert verify_readout(readout) == []
    (comparison,) = readout["metrics"][0]["comparisons"]
    statistics = comparison["statistics"]
    found = {
        comparison[arm]: (statistics[arm]["n"], statistics[arm]["successes"])
        for arm in ("baseline", "variant")
    }
    expected = {variant: (units, spent) for variant, (units, spent, *_) in rounds.ledger.arms().items()}
    assert found == expected


@contextmanager
def working(service: Service) -> Iterator[None]:
    """With a worker for a service whose event store is a server's."""
    worker = service.command("worker")
    try:
        yield
    finally:
        os.kill(worker.pid, signal.SIGTERM)
        status, said = worker.ended()
        assert status == 0, said


def _configuration(service: Service) -> dict[str, Any]:
    return {path: service.ask("GET", path) for path in _KEPT}


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
