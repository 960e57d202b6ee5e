"""The demonstration from its first step to its last."""

import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console

from equipoise.transport import Answer, Transport, TransportError
from equipoise_service.accounts.service import make_first_key
from equipoise_service.cli.demo import audit, display
from equipoise_service.cli.demo.child import ServiceProcess
from equipoise_service.cli.demo.processes import PROCESSES, simulate_in_processes
from equipoise_service.cli.demo.simulation import EXPERIMENT, definition
from equipoise_service.cli.failures import Failure
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.terminal import pretty_json
from equipoise_service.readouts.verification import verify_readout
from equipoise_service.resources import open_database
from equipoise_service.settings import load_settings

_REQUEST_SECONDS = 60.0


def run_demo(users: int, keep: Path | None) -> None:
    """Run the demonstration and print it.

    Args:
        users: How many users to simulate.
        keep: Where to keep its data; absent: nowhere.

    Raises:
        Failure: Something did not work or does not add up; the message ends with the service's log.
    """
    console = Console(highlight=False)
    display.introduce(console)
    with _ended_in_order(), _directory(keep) as directory:
        key = _first_key(directory)
        service = ServiceProcess(directory, directory / "service.log")
        with service:
            place = f"data in {keep}" if keep else "data in a temporary directory"
            display.step(console, "Service", f"started at {service.url}, {place}")
            try:
                readout = _experiment(console, service, key, users)
            except Failure as error:
                raise Failure(f"{error}\n\nThe service's log ends with:\n{service.log_tail()}") from None
        _verify(console, readout, directory / "readout.json")
        display.show_readout(console, Readout.model_validate(readout))
        display.show_next(console, keep, key)


def _experiment(console: Console, service: ServiceProcess, key: str, users: int) -> Any:
    """From registering the experiment to its readout."""
    api = Transport(service.url, key)
    # With no horizon its intervals hold at any moment, so nobody has to wait for a look.
    _call(api, "POST", "/v1/experiments", definition())
    _call(api, "POST", f"/v1/experiments/{EXPERIMENT}/start")
    display.step(console, "Experiment", f"{EXPERIMENT} registered and started, over HTTP")
    began = monotonic()
    with display.users_bar(console, users) as bar:
        reports = simulate_in_processes(service.url, key, users, bar.show, service.require_running)
    seconds = monotonic() - began
    items = sum(report.counters["accepted"] for report in reports)
    display.step(
        console,
        "Users",
        f"{users:,} in {PROCESSES} processes: {items:,} exposures and events in {seconds:.1f} s",
    )
    _require_none(audit.delivery_problems(reports))
    display.step(console, "Delivery", "the SDK counts all of them accepted, none lost, none twice")
    document = _call(api, "GET", f"/v1/experiments/{EXPERIMENT}/readout?wait=60")
    api.close()
    _require_none(audit.readout_problems(audit.total(reports), Readout.model_validate(document)))
    display.step(console, "Readout", "it counts every user, buyer and amount, to the last one")
    return document


def _verify(console: Console, document: Any, path: Path) -> None:
    path.write_text(pretty_json(document), encoding="utf-8")
    _require_none(
        [
            f"{each.pointer}: the readout says {each.found!r}, recomputed {each.expected!r}"
            for each in verify_readout(document)
        ]
    )
    display.step(console, "Verified", "every number in it follows from the statistics in it")


def _require_none(problems: list[str]) -> None:
    if problems:
        raise Failure("The demonstration does not add up:\n" + "\n".join(f"  {each}" for each in problems))


def _call(api: Transport, method: str, path: str, payload: Any = None) -> Any:
    """Ask the service, which must agree."""
    try:
        if method == "GET":
            answer: Answer = api.get(path, {}, _REQUEST_SECONDS)
        else:
            body = b"" if payload is None else json.dumps(payload).encode()
            answer = api.post_json(path, body, _REQUEST_SECONDS)
    except TransportError as error:
        raise Failure(f"{method} {path}: the service cannot be reached ({error}).") from None
    if answer.status not in (200, 201):
        raise Failure(f"{method} {path} is answered {answer.status}: {answer.body.decode(errors='replace')}")
    return json.loads(answer.body)


def _first_key(directory: Path) -> str:
    """Make the admin key before the service's first start, as that would show it to nobody."""
    settings = load_settings({"EQUIPOISE_DATA_DIR": str(directory)})
    with open_database(settings) as database, database.write() as session:
        made = make_first_key(session)
    if made is None or made.key is None:
        raise Failure(f"{directory} holds the data of a service already.")
    return made.key


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="equipoise-demo-") as directory:
            yield Path(directory)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise Failure(f"--keep {keep}: the directory is not empty. Name a new one.")
    except OSError as error:
        raise Failure(f"--keep {keep}: {error.strerror or error}.") from None
    yield keep


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """While it lasts, a request to end (SIGTERM) ends the program as an exception, so that all is stopped."""

    def end(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
