"""Sending batches to the service until it has answered for each item."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses
from time import monotonic
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

# The service is released with the SDK of the same version: its connection is ours, too.
from equipoise.transport import Answer, Transport, TransportError
from equipoise_service.cli.failures import Failure
from equipoise_service.cli.importing.items import Batch, Event, Exposure, Refusal

_REQUEST_SECONDS: Final = 30.0
_FIRST_WAIT_SECONDS: Final = 0.2
_LONGEST_WAIT_SECONDS: Final = 5.0
_PASSING: Final = frozenset((429, 500, 502, 503, 504))

Item = tuple[int, Exposure | Event]


class Stopped(Exception):
    """The import ends, so the batch was not sent to its end; some of it may have arrived."""


class _ItemAnswer(msgspec.Struct, gc=False):
    status: Literal["accepted", "duplicate", "refused"]
    pointer: str | None = None
    reason: str | None = None


class _BatchAnswer(msgspec.Struct):
    exposures: list[_ItemAnswer]
    events: list[_ItemAnswer]


class _Problem(msgspec.Struct):
    detail: str
    limit_items: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: every item of it is in one of the three.

    Attributes:
        accepted: How many items of each kind were stored now.
        duplicate: How many items of each kind had been stored before.
        refusals: What was not stored.
    """

    accepted: Counter[str] = field(default_factory=Counter)
    duplicate: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)


class Delivery:
    """Sends batches to one service; any number of threads may use it, each over a connection of its own.

    As a context manager it closes the connections at the end; no thread may use it any more then.

    Args:
        url: Where the service is.
        key: A key with the scope `ingest`.
        patience: For how many seconds a service that does not take a batch is tried again.
        notice: Told, in words, that the service does not answer, once each time it stops answering.
    """

    def __init__(self, url: str, key: str, patience: float, notice: Callable[[str], None]) -> None:
        self._url = url
        self._key = key
        self._patience = patience
        self._notice = notice
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._waiting = False
        self._local = threading.local()
        self._transports: list[Transport] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for transport in self._transports:
            transport.close()

    def stop(self) -> None:
        """Let every `send` that waits end with `Stopped`."""
        self._stopped.set()

    def send(self, batch: Batch) -> Outcome:
        """Send a batch until the service has answered for all of it.

        Raises:
            Failure: The service will never take it as things are, or did not take it in time.
            Stopped: `stop` was called.
        """
        outcome = Outcome(refusals=list(batch.refusals))
        self._send([*batch.exposures, *batch.events], outcome)
        return outcome

    def _send(self, items: Sequence[Item], outcome: Outcome) -> None:
        if not items:
            return
        answer = self._answer(_body(items))
        if answer.status == HTTPStatus.OK:
            self._settle(items, answer, outcome)
        elif len(items) == 1:
            row, item = items[0]
            outcome.refusals.append(Refusal(row, _title(item), "larger than the service takes"))
        else:
            middle = len(items) // 2
            self._send(items[:middle], outcome)
            self._send(items[middle:], outcome)

    def _settle(self, items: Sequence[Item], answer: Answer, outcome: Outcome) -> None:
        """Count what the service says about each item."""
        try:
            found = msgspec.json.decode(answer.body, type=_BatchAnswer)
            pairs = list(zip(items, [*found.exposures, *found.events], strict=True))
        except (msgspec.DecodeError, ValueError):
            raise Failure(
                f"What answers at {self._url} does not answer as Equipoise does. "
                "Is --url the service's address?"
            ) from None
        for (row, item), verdict in pairs:
            if verdict.status == "refused":
                outcome.refusals.append(Refusal(row, _title(item), _reason(verdict)))
            else:
                counter = outcome.accepted if verdict.status == "accepted" else outcome.duplicate
                counter["exposures" if isinstance(item, Exposure) else "events"] += 1

    def _answer(self, body: bytes) -> Answer:
        """The service's answer to a body: it is taken, or too large."""
        since: float | None = None
        failures = 0
        while not self._stopped.is_set():
            retry_after = 0.0
            try:
                answer = self._transport().post_json("/v1/events", body, _REQUEST_SECONDS)
            except TransportError as error:
                trouble = f"it cannot be reached ({error})"
            else:
                if answer.status not in _PASSING:
                    self._recovered()
                    self._require_readable(answer)
                    return answer
                retry_after = answer.retry_after or 0.0
                trouble = f"it answers {answer.status} ({_detail(answer)})"
            since = monotonic() if since is None else since
            remaining = since + self._patience - monotonic()
            if remaining <= 0:
                raise Failure(f"{self._url} took nothing for {self._patience:g} seconds: {trouble}.")
            self._troubled(trouble)
            failures += 1
            self._stopped.wait(min(remaining, _wait(failures, retry_after)))
        raise Stopped

    def _require_readable(self, answer: Answer) -> None:
        if answer.status == HTTPStatus.OK or _is_too_large(answer):
            return
        advice = {
            401: "The key is not valid. Give one in EQUIPOISE_KEY or with --key; "
            "`equipoise key create NAME --scope ingest` makes one.",
            403: "The key has not the scope ingest; `equipoise key create NAME --scope ingest` makes one.",
            404: "There is no /v1/events. Is --url the service's address?",
        }.get(answer.status, f"The service does not take the items: {_detail(answer)}")
        raise Failure(f"{self._url} answers {answer.status}. {advice}")

    def _transport(self) -> Transport:
        if not hasattr(self._local, "transport"):
            self._local.transport = Transport(self._url, self._key)
            self._transports.append(self._local.transport)
        transport: Transport = self._local.transport
        return transport

    def _troubled(self, trouble: str) -> None:
        with self._lock:
            first, self._waiting = not self._waiting, True
        if first:
            self._notice(f"{self._url} takes nothing now: {trouble}. Trying for {self._patience:g} seconds.")

    def _recovered(self) -> None:
        with self._lock:
            again, self._waiting = self._waiting, False
        if again:
            self._notice(f"{self._url} answers again.")


def _body(items: Iterable[Item]) -> bytes:
    exposures: list[Exposure] = []
    events: list[Event] = []
    for _, item in items:
        if isinstance(item, Exposure):
            exposures.append(item)
        else:
            events.append(item)
    return msgspec.json.encode({"exposures": exposures, "events": events})


def _title(item: Exposure | Event) -> str:
    return "exposure" if isinstance(item, Exposure) else f"event {item.name}"


def _reason(verdict: _ItemAnswer) -> str:
    """The field and what is wrong with it, without the item's place in its batch."""
    name = (verdict.pointer or "").split("/", 3)[3:]
    return ": ".join([*name, verdict.reason or "no reason given"])


def _is_too_large(answer: Answer) -> bool:
    """Whether half of the batch could be taken: it has too many bytes, or too many items."""
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return True
    problem = _problem(answer)
    return answer.status == HTTPStatus.UNPROCESSABLE_ENTITY and bool(problem and problem.limit_items)


def _detail(answer: Answer) -> str:
    problem = _problem(answer)
    return problem.detail if problem else responses.get(answer.status, "without a reason")


def _problem(answer: Answer) -> _Problem | None:
    try:
        return msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # not the service, but something on the way to it, answers so


def _wait(failures: int, retry_after: float) -> float:
    """Seconds to wait: doubling, spread so that senders do not return together, as long as was asked for."""
    ceiling = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** (failures - 1))
    return max(retry_after, ceiling) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
