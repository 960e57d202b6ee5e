"""What a client tells the service about the exposures and events it dropped, for readouts to show."""

import json
from collections.abc import Mapping
from time import monotonic
from typing import Final

from equipoise._ledger import DropReason, Ledger
from equipoise.identifiers import uuid7

_NOT_LOST: Final = frozenset({"spooled", "offline"})
_SECONDS_BETWEEN_ATTEMPTS: Final = 60.0


class Losses:
    """The dropped counts of one process, and how much of them the service knows.

    The totals are reported, under an id of their own, not what was added: a report whose answer was lost is
    repeated without counting anything twice.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._client = uuid7()
        self._known: Mapping[DropReason, int] = {}
        self._next = 0.0

    def due(self) -> float:
        """Return the monotonic time at which to report; infinity when the service knows everything."""
        return self._next if self.unreported() else float("inf")

    def unreported(self) -> Mapping[DropReason, int]:
        """Return the totals by reason; nothing when the service knows them."""
        dropped = self._ledger.dropped()
        lost = {reason: count for reason, count in dropped.items() if reason not in _NOT_LOST}
        return {} if lost == self._known else lost

    def member(self, totals: Mapping[DropReason, int]) -> bytes:
        """Return the totals as a member of a batch, with the comma after it; nothing for nothing."""
        if not totals:
            return b""
        report = {"client": self._client, "counts": totals}
        return b'"dropped":%b,' % json.dumps(report, separators=(",", ":")).encode()

    def reported(self, totals: Mapping[DropReason, int]) -> None:
        """Note that the service knows these totals."""
        if totals:
            self._known = totals

    def put_off(self) -> None:
        """Note that the service did not take a report that came alone; it is not urgent."""
        self._next = monotonic() + _SECONDS_BETWEEN_ATTEMPTS
