"""A backup of the embedded databases, made while the service runs."""

import logging
import secrets
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import make_url

from equipoise_service.errors import Conflict, ServiceError, Unavailable
from equipoise_service.events.stores.store import EventStore
from equipoise_service.housekeeping.manifests import METADATA, sync, write_manifest
from equipoise_service.housekeeping.schemas import BackupFile, BackupOut
from equipoise_service.settings import Settings

_log = logging.getLogger(__name__)

# What begins so was interrupted, or is being made.
PARTIAL = ".partial-"


def make_backup(store: EventStore, settings: Settings) -> BackupOut:
    """Copy both databases into a new directory, which has its name when it is whole.

    Each file is as its database was at one moment; that of the facts comes first, so that whatever they name
    is defined in the other one.

    Args:
        store: The event store.
        settings: Where the metadata database and the backups are.

    Raises:
        Conflict: One of them is a server's.
        Unavailable: It could not be made; nothing of it is left.
    """
    if settings.is_shared or settings.event_store_url:
        raise Conflict(
            "Backups are made of embedded databases, and these are not: back up PostgreSQL and ClickHouse "
            "with their own tools, or take the facts away with `equipoise export --parquet`.",
            type="not-embedded",
        )
    now = datetime.now(UTC)
    name = f"equipoise-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    parent = settings.backup_path
    partial = parent / f"{PARTIAL}{name}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        # API keys are in it, as hashes, and whatever the facts say.
        partial.mkdir(mode=0o700)
        events = store.copy_to(partial)
        if events is None:
            raise RuntimeError("the embedded event store makes a copy")
        manifest = write_manifest(partial, [events, _copy_metadata(settings, partial)], now)
        partial.rename(parent / name)
        sync(parent)
    except ServiceError:
        raise
    except Exception as error:
        # Each database has errors of its own.
        _log.exception("could not make a backup in %s", parent)
        shutil.rmtree(partial, ignore_errors=True)
        raise Unavailable(
            "The backup could not be made; the service's log says why. Is there room for it?",
            retry_after=60,
        ) from error
    return BackupOut(
        format="equipoise.backup/1",
        created_at=manifest.created_at,
        release=manifest.release,
        files={
            name: BackupFile(bytes=each.bytes, sha256=each.sha256) for name, each in manifest.files.items()
        },
        directory=str((parent / name).absolute()),
    )


def _copy_metadata(settings: Settings, directory: Path) -> Path:
    path = directory / METADATA
    with closing(sqlite3.connect(str(make_url(settings.metadata_url).database))) as connection:
        # As it is at one moment, whoever writes meanwhile; without what was deleted.
        connection.execute("VACUUM INTO ?", [str(path)])
    return path
