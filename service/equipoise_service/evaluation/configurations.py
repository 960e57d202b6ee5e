"""The present configuration of every environment, in memory: evaluation and ingestion work from it."""

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from equipoise.configuration import Configuration
from equipoise.errors import ConfigurationError
from equipoise_service.database import Database
from equipoise_service.errors import Unavailable
from equipoise_service.evaluation import repository
from equipoise_service.evaluation.changes import Changes
from equipoise_service.evaluation.compiling import compiled
from equipoise_service.evaluation.models import PublishedConfiguration

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 30

_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Served:
    """One version of an environment's configuration, ready to be served and evaluated.

    Attributes:
        version: The document's version.
        document: The document's bytes.
        etag: Its strong ETag.
        configuration: The same, compiled.
    """

    version: int
    document: bytes
    etag: str
    configuration: Configuration

    @property
    def digest(self) -> str:
        """The ETag without its quotes."""
        return self.etag.strip('"')


class Configurations:
    """The present configurations; `refresh` swaps in a new table at once.

    Args:
        database: Where they are published.
        changes: Told of every environment whose configuration was swapped.
    """

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes
        self._by_environment: Mapping[int, Served] = {}
        self._unreadable: dict[int, int] = {}
        # One refresh at a time, or what one read earlier could replace what another read later.
        self._refreshing = threading.Lock()
        self._not_before = 0.0

    def refresh(self) -> None:
        """Read the configurations that have a new version."""
        with self._refreshing:
            present = dict(self._by_environment)
            swapped = []
            with self._database.read() as session:
                for environment_id, version in repository.latest_versions(session):
                    if environment_id in present and present[environment_id].version == version:
                        continue
                    latest = repository.latest(session, environment_id)
                    if latest is not None and self._take_up(present, latest):
                        swapped.append(environment_id)
            self._by_environment = present
        self._changes.announce(swapped)

    def catch_up(self) -> None:
        """Refresh at once, for who met something unknown: another process may have published it just now.

        When the database cannot be asked, what is in memory stays, and nobody waits for it again for a while.
        """
        if time.monotonic() < self._not_before:
            return
        try:
            self.refresh()
        except SQLAlchemyError as error:
            self._not_before = time.monotonic() + _PATIENCE_SECONDS
            _log.warning("cannot look for a newer configuration: %s", error)

    def served(self, environment_id: int) -> Served:
        """An environment's configuration, with its bytes.

        Raises:
            Unavailable: It has none that this release can read.
        """
        served = self._by_environment.get(environment_id)
        if served is None:
            raise Unavailable(
                "This release cannot read the configuration of the key's environment; its log says why.",
                retry_after=_RETRY_SECONDS,
            )
        return served

    def of(self, environment_id: int) -> Configuration:
        """An environment's configuration, compiled.

        Raises:
            Unavailable: It has none that this release can read.
        """
        return self.served(environment_id).configuration

    def _take_up(self, present: dict[int, Served], latest: PublishedConfiguration) -> bool:
        """Serve a version, if it can be read: another release may have published it."""
        try:
            present[latest.environment_id] = _serve(latest.version, latest.document)
        except ConfigurationError:
            if self._unreadable.get(latest.environment_id) != latest.version:
                _log.exception(
                    "cannot read version %d of the configuration of environment %d; what was served before, "
                    "if anything, stays in force",
                    latest.version,
                    latest.environment_id,
                )
            self._unreadable[latest.environment_id] = latest.version
            return False
        self._unreadable.pop(latest.environment_id, None)
        return True


def _serve(version: int, document: bytes) -> Served:
    etag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    return Served(version, document, etag, compiled(document))
