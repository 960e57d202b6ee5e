"""Sends batches of exposures and events until the service has answered for each of them."""

import json
from collections import Counter, deque
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from equipoise import _backoff
from equipoise._items import Item, timestamp
from equipoise._ledger import DropReason, Ledger, Outcome
from equipoise._losses import Losses
from equipoise._notices import Notices
from equipoise._queue import Queue
from equipoise._settings import Settings
from equipoise.transport import Answer, Transport, TransportError

_TOPIC: Final = "delivery"
_UNREADABLE: Final = {400: "rejected", 413: "too_large", 422: "rejected"}


class Delivery:
    """Takes batches from the queue and sends them; used by the worker alone.

    A batch stays, with the same ids, until the service has answered for it, so that a lost answer costs a
    duplicate that the service recognises, never a loss.
    """

    def __init__(
        self, settings: Settings, transport: Transport, queue: Queue, ledger: Ledger, notices: Notices
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._queue = queue
        self._ledger = ledger
        self._notices = notices
        self._losses = Losses(ledger)
        self._batches: deque[list[Item]] = deque()
        self._failures = 0
        self._retry_at = 0.0
        self._asked_to_wait = False

    def due(self) -> float:
        """Return the monotonic time at which `step` has something to do; infinity when there is nothing."""
        if self._batches:
            return self._retry_at
        return max(self._retry_at, min(self._queue.due(), self._losses.due()))

    def hurry(self) -> None:
        """Try again at once, unless the service itself asked to wait: someone waits for a flush."""
        if not self._asked_to_wait:
            self._retry_at = 0.0

    def step(self, timeout: float) -> None:
        """Send the oldest batch once; without one, tell the service what was dropped."""
        if not self._batches:
            batch = self._queue.take()
            if batch:
                self._batches.append(batch)
        batch = self._batches[0] if self._batches else []
        losses = self._losses.unreported()
        if not batch and not losses:
            return
        try:
            answer = self._transport.post_json(
                "/v1/events", _body(batch, self._losses.member(losses)), timeout
            )
        except TransportError as error:
            if batch:
                self._retry(None, f"the service cannot be reached ({error})")
            else:
                self._losses.put_off()
            return
        if answer.status == 200:
            self._losses.reported(losses)
        elif not batch:
            self._losses.put_off()
        if batch:
            self._judge(batch, answer)

    def abandon(self, kept: int) -> None:
        """Give up everything queued, of which `kept` items are in the spool."""
        while batch := self._queue.take():
            self._batches.append(batch)
        left = sum(len(batch) for batch in self._batches)
        if kept:
            self._ledger.drop("spooled", kept)
        if left > kept:
            self._ledger.drop("closed", left - kept)
        self._batches.clear()
        self._queue.finish(left)

    def _judge(self, batch: list[Item], answer: Answer) -> None:
        if answer.status == 200:
            outcomes = _outcomes(batch, answer.body)
            if outcomes is None:
                self._retry(answer.retry_after, "the answer cannot be read; is the url the service's?")
            else:
                self._settle(batch, outcomes)
        elif answer.status in _UNREADABLE:
            self._split(batch, answer)
        elif answer.status in (401, 403):
            self._notices.error(
                "key",
                "%s refuses the key (%d): exposures and events are dropped. "
                "Give a key with the scope ingest.",
                self._settings.url,
                answer.status,
            )
            self._drop(batch, "unauthorized")
        else:
            self._retry(answer.retry_after, f"the service answered {answer.status}")

    def _settle(self, batch: list[Item], outcomes: dict[str, tuple[Outcome, str]]) -> None:
        for outcome, reason in outcomes.values():
            if outcome == "refused":
                self._notices.warning(
                    f"refused: {reason:.200}", "The service refused an item: %.500s", reason
                )
        self._ledger.settle(Counter(outcome for outcome, _ in outcomes.values()))
        self._notices.settle(_TOPIC, "Exposures and events are delivered again.")
        self._notices.settle("key", "The key is accepted again.")
        self._end(batch)

    def _split(self, batch: list[Item], answer: Answer) -> None:
        """Halve a batch that the service could not take as a whole; alone, an item is the culprit."""
        self._recover()
        if len(batch) > 1:
            middle = len(batch) // 2
            self._batches.popleft()
            self._batches.extendleft((batch[middle:], batch[:middle]))
            return
        reason: DropReason = "too_large" if answer.status == 413 else "rejected"
        self._notices.warning(
            f"unreadable: {answer.status}",
            "The service cannot take the item %s (%d): it is dropped. %.500s",
            batch[0].id,
            answer.status,
            answer.body.decode(errors="replace"),
        )
        self._drop(batch, reason)

    def _retry(self, retry_after: float | None, problem: str) -> None:
        self._failures += 1
        self._asked_to_wait = retry_after is not None
        self._retry_at = monotonic() + _backoff.delay(self._failures, retry_after)
        self._notices.warning(
            _TOPIC,
            "Exposures and events wait for %s: %s. They are kept and sent again.",
            self._settings.url,
            problem,
        )

    def _drop(self, batch: list[Item], reason: DropReason) -> None:
        self._ledger.drop(reason, len(batch))
        self._end(batch)

    def _end(self, batch: list[Item]) -> None:
        self._recover()
        self._batches.popleft()
        self._queue.finish(len(batch))

    def _recover(self) -> None:
        self._failures = 0
        self._retry_at = 0.0
        self._asked_to_wait = False


def _body(batch: list[Item], losses: bytes) -> bytes:
    exposures = b",".join(item.body for item in batch if item.kind == "exposures")
    events = b",".join(item.body for item in batch if item.kind == "events")
    sent_at = timestamp(datetime.now(UTC)).encode()
    return b'{"sent_at":"%b",%b"exposures":[%b],"events":[%b]}' % (sent_at, losses, exposures, events)


def _outcomes(batch: list[Item], body: bytes) -> dict[str, tuple[Outcome, str]] | None:
    """Return (outcome, reason) by id, or None where the answer does not speak of every item sent."""
    try:
        answer = json.loads(body)
        items: list[Any] = [*answer["exposures"], *answer["events"]]
        found: dict[str, Any] = {item["id"]: item for item in items}
        outcomes: dict[str, tuple[Outcome, str]] = {}
        for sent in batch:
            item = found[sent.id]
            if item["status"] not in ("accepted", "duplicate", "refused"):
                return None
            outcomes[sent.id] = (item["status"], str(item.get("reason")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return outcomes
