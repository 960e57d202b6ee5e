"""What stands in for the worker in a client of `Client.from_config`: no thread, no I/O, nothing is sent."""

from equipoise._exposures import Exposures
from equipoise._ledger import Ledger
from equipoise._notices import Notices
from equipoise._snapshot import Snapshot, View
from equipoise.configuration import Configuration


class Offline:
    """A configuration that stays, and counts of what would have been sent; the members are a worker's."""

    name = "offline"

    def __init__(self, configuration: Configuration) -> None:
        self._view = View(configuration)
        self.snapshot = Snapshot(self._view)
        self.exposures = Exposures()
        self.ledger = Ledger()
        self.notices = Notices()

    def successor(self) -> "Offline":
        """Return what a forked child goes on with."""
        return type(self)(self._view.configuration)

    def start(self) -> View:
        """Return the view; there is nothing to start."""
        return self._view

    def wait_ready(self, *_: object) -> bool:
        """Return True: the configuration was there from the beginning."""
        return True

    def expose(self, *_: object) -> bool:
        """Count an exposure."""
        self.ledger.lose("offline")
        return True

    def offer(self, *_: object) -> bool:
        """Count an item."""
        self.ledger.lose("offline")
        return True

    def flush(self, *_: object) -> None:
        """Do nothing: nothing waits."""

    def close(self, *_: object) -> None:
        """Do nothing: nothing is open."""

    def retire(self, *_: object) -> None:
        """Do nothing: nothing is open."""
