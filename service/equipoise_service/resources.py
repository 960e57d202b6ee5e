"""What a service holds open while it runs."""

import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from equipoise_service.accounts.principals import Principals
from equipoise_service.accounts.service import make_first_key
from equipoise_service.database import Database
from equipoise_service.evaluation.changes import Changes
from equipoise_service.evaluation.configurations import Configurations
from equipoise_service.evaluation.publication import Publisher
from equipoise_service.events.stores.store import EventStore, open_event_store
from equipoise_service.interpreter import shared_interpreter
from equipoise_service.privacy.erased import ErasedUnits
from equipoise_service.privacy.keeping import settle_keeping
from equipoise_service.readouts.storage import StoredReadouts
from equipoise_service.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resources:
    """The databases of a service, and what it keeps of them in memory."""

    database: Database
    publisher: Publisher
    event_store: EventStore
    changes: Changes
    configurations: Configurations
    principals: Principals
    erased_units: ErasedUnits
    stored_readouts: StoredReadouts

    def refresh(self) -> None:
        """Take up what changed in the metadata database."""
        try:
            # Configurations first: a new key may open a new environment.
            self.configurations.refresh()
        finally:
            self.principals.refresh()
            self.erased_units.refresh()
            self.stored_readouts.refresh()


@contextmanager
def open_resources(settings: Settings) -> Iterator[Resources]:
    """Open the databases, and close them at the end.

    The first start of a new database makes its admin key and shows it.

    Raises:
        EventStoreError: The event store cannot be used, or another service has it open.
        SchemaTooNew: A newer release migrated the metadata database.
        UnitKeyChanged: The stored unit ids were hashed with another key.
    """
    # The event store first: its lock keeps a second service from migrating under the one that runs.
    with (
        open_event_store(settings) as event_store,
        _published(settings) as (database, publisher),
        shared_interpreter(),
    ):
        settle_keeping(database, event_store.has_facts, settings.unit_key)
        # Until then every other process that shares the metadata has looked for changes, too.
        delay = 2 * settings.refresh_seconds if settings.is_shared else 0.0
        changes = Changes(settings.stream_subscribers, delay)
        configurations = Configurations(database, changes)
        resources = Resources(
            database,
            publisher,
            event_store,
            changes,
            configurations,
            Principals(database),
            ErasedUnits(database),
            StoredReadouts(database),
        )
        database.after_commit.append(resources.refresh)
        _show_first_key(database)
        resources.refresh()
        yield resources


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The metadata database, at this release's schema, publishing what is written; closed at the end.

    Raises:
        SchemaTooNew: A newer release migrated it.
    """
    with _published(settings) as (database, _):
        yield database


@contextmanager
def _published(settings: Settings) -> Iterator[tuple[Database, Publisher]]:
    with closing(Database(settings.metadata_url, settings.database_connections)) as database:
        before, after = database.migrate()
        if before != after:
            _log.info("migrated the metadata database from %s to %s", before or "nothing", after)
        publisher = Publisher(database)
        database.before_commit.append(publisher.publish)
        yield database, publisher


def _show_first_key(database: Database) -> None:
    with database.write() as session:
        made = make_first_key(session)
    if made is not None:
        # To the terminal, never to the log: it is shown this once.
        print(
            f"\nFirst start: this admin key is shown once, so keep it now.\n\n    {made.key}\n",
            file=sys.stderr,
            flush=True,
        )
