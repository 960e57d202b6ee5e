"""The present configuration of every environment, in memory: evaluation and ingestion work from it."""

import hashlib
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from equipoise.configuration import Configuration
from equipoise_service.database import Database
from equipoise_service.evaluation import repository
from equipoise_service.evaluation.changes import Changes
from equipoise_service.evaluation.compiling import compiled

_log = logging.getLogger(__name__)


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
        # One refresh at a time, or what one read earlier could replace what another read later.
        self._refreshing = threading.Lock()

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
                    if latest is not None:
                        present[environment_id] = _serve(latest.version, latest.document)
                        swapped.append(environment_id)
            self._by_environment = present
        self._changes.announce(swapped)

    def catch_up(self) -> None:
        """Refresh at once, for who met something unknown: another process may have published it just now.

        When the database cannot be asked, what is in memory stays.
        """
        try:
            self.refresh()
        except SQLAlchemyError as error:
            _log.warning("cannot look for a newer configuration: %s", error)

    def served(self, environment_id: int) -> Served:
        """An environment's configuration, with its bytes."""
        return self._by_environment[environment_id]

    def of(self, environment_id: int) -> Configuration:
        """An environment's configuration, compiled."""
        return self._by_environment[environment_id].configuration


def _serve(version: int, document: bytes) -> Served:
    etag = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
    return Served(version, document, etag, compiled(document))
