"""The account of every exposure and event handed to a client: where each of them ended."""

import threading
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

DropReason = Literal[
    "queue_full",
    "invalid",
    "too_large",
    "rejected",
    "unauthorized",
    "unknown_experiment",
    "closed",
    "spooled",
    "offline",
]
Outcome = Literal["accepted", "duplicate", "refused"]


class Counters(NamedTuple):
    """Where every exposure and event handed to a client has ended, since the client (or the fork) began.

    `logged` equals `sent` plus all of `dropped` plus `pending`, always.

    Attributes:
        logged: exposures and events handed in; an exposure that was logged before is not handed in.
        accepted: the service took them, and has them on disk.
        duplicate: the service already had them.
        refused: the service answered that it does not take them; the first of each reason is in the log.
        dropped: given up by the client, by reason: `queue_full` (the newest or the oldest was dropped, as
            `when_full` says), `invalid` (not an event one could send: no name, a value that is not finite,
            properties that are not JSON, …), `too_large`, `rejected` (the service could not read this item),
            `unauthorized` (the key is wrong or lacks the scope `ingest`), `unknown_experiment` (it left the
            configuration between assignment and exposure), `closed` (handed in after `close`, or left when
            its time ran out), `spooled` (left when the time of `close` ran out, and on disk: the next
            process that uses the spool sends it), `offline` (the client is one of `Client.from_config`).
        unspooled: how many were queued and could not be kept in the spool, because the disk or the spool is
            full; they were sent or dropped like all others, and only a crash would have lost them.
    """

    logged: int
    accepted: int
    duplicate: int
    refused: int
    dropped: Mapping[DropReason, int]
    unspooled: int

    @property
    def sent(self) -> int:
        """What the service has answered for: accepted, duplicate and refused."""
        return self.accepted + self.duplicate + self.refused

    @property
    def pending(self) -> int:
        """What waits in the queue or is under way."""
        return self.logged - self.sent - sum(self.dropped.values())


class DeliveryReport(NamedTuple):
    """What happened during one `flush` or `close`.

    Attributes:
        accepted: taken by the service and on disk.
        duplicate: the service already had them.
        refused: not taken by the service.
        dropped: given up by the client, by reason (see `Counters`).
        pending: still queued or under way when the call returned; a later flush may send them.
    """

    accepted: int
    duplicate: int
    refused: int
    dropped: Mapping[DropReason, int]
    pending: int


def report_between(before: Counters, after: Counters) -> DeliveryReport:
    """Return what happened between two snapshots of one ledger."""
    dropped = {
        reason: count - before.dropped.get(reason, 0)
        for reason, count in after.dropped.items()
        if count > before.dropped.get(reason, 0)
    }
    return DeliveryReport(
        accepted=after.accepted - before.accepted,
        duplicate=after.duplicate - before.duplicate,
        refused=after.refused - before.refused,
        dropped=MappingProxyType(dropped),
        pending=after.pending,
    )


class Ledger:
    """Counts, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may log while its own thread counts
        self._logged = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._dropped: Counter[DropReason] = Counter()
        self._unspooled = 0

    def log(self) -> None:
        """Count one exposure or event handed in."""
        with self._lock:
            self._logged += 1

    def lose(self, reason: DropReason) -> None:
        """Count one exposure or event handed in and given up at once."""
        with self._lock:
            self._logged += 1
            self._dropped[reason] += 1

    def miss(self) -> None:
        """Count one exposure or event that is queued and not in the spool."""
        with self._lock:
            self._unspooled += 1

    def settle(self, outcomes: Mapping[Outcome, int]) -> None:
        """Count what the service answered."""
        with self._lock:
            self._outcomes.update(outcomes)

    def drop(self, reason: DropReason, count: int = 1) -> None:
        """Count what the client gave up."""
        with self._lock:
            self._dropped[reason] += count

    def dropped(self) -> dict[DropReason, int]:
        """Return what the client gave up, by reason."""
        with self._lock:
            return dict(self._dropped)

    def counters(self) -> Counters:
        """Return a snapshot, consistent in itself."""
        with self._lock:
            return Counters(
                logged=self._logged,
                accepted=self._outcomes["accepted"],
                duplicate=self._outcomes["duplicate"],
                refused=self._outcomes["refused"],
                dropped=MappingProxyType(dict(self._dropped)),
                unspooled=self._unspooled,
            )
