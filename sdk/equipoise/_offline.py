"""What stands in for the worker in a client of `Client.from_config`: no thread, no I/O, nothing is sent."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

from equipoise._exposures import Exposures, Meet
from equipoise._items import Item
from equipoise._ledger import Counters, DropReason, Ledger
from equipoise._notices import Notices
from equipoise._snapshot import Snapshot, View
from equipoise.configuration import Configuration, load, parse


class Offline:
    """A configuration that stays, and counts of what would have been sent; the members are a worker's."""

    name = "offline"

    def __init__(self, configuration: Configuration, met: Meet | None = None) -> None:
        self.exposures = Exposures(met)
        self._view = View(configuration, self.exposures)
        self.snapshot = Snapshot(self._view)
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

    def refuse(self, reason: DropReason, problem: str) -> None:
        """Count an exposure or event that could not have been sent; say so once a reason."""
        self.ledger.lose(reason)
        self.notices.warning(reason, "An exposure or event was dropped (%s): %s", reason, problem)

    def counters(self) -> Counters:
        """Return a snapshot; exposures and events went nowhere."""
        exposed = self.exposures.count()
        counters = self.ledger.counters()
        dropped = dict(counters.dropped)
        if exposed:
            dropped["offline"] = dropped.get("offline", 0) + exposed
        return counters._replace(logged=counters.logged + exposed, dropped=MappingProxyType(dropped))

    def offer(self, item: Item) -> bool:  # noqa: ARG002 - as a worker
        """Count an item."""
        self.ledger.lose("offline")
        return True

    def flush(self, *_: object) -> None:
        """Do nothing: nothing waits."""

    def close(self, *_: object) -> None:
        """Do nothing: nothing is open."""

    def retire(self, *_: object) -> None:
        """Do nothing: nothing is open."""


def read_configuration(given: str | PathLike[str] | Mapping[str, Any]) -> Configuration:
    """Read a configuration from a document, or from the file at a path.

    Raises:
        OSError: the file cannot be read.
        ConfigurationError: it is no configuration; the error names the place.
    """
    return parse(given) if isinstance(given, Mapping) else load(Path(given).read_bytes())
