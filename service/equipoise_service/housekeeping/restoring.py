"""A backup becomes a data directory, whole or not at all."""

import shutil
import uuid
from pathlib import Path

from equipoise_service.housekeeping.manifests import Manifest, NoBackup, copy_verified, read_manifest, sync
from equipoise_service.settings import Settings


def restore(backup: Path, settings: Settings) -> Manifest:
    """Make the data directory from a backup.

    Args:
        backup: The backup's directory.
        settings: Where the data directory is: it must not be there, or be empty.

    Raises:
        NoBackup: It is no whole backup, or was changed; or the data directory is in use.
    """
    if settings.is_shared or settings.event_store_url or settings.database_url:
        raise NoBackup(
            "EQUIPOISE_DATABASE_URL and EQUIPOISE_EVENT_STORE_URL have to be unset: a backup is restored to "
            "the embedded databases, in EQUIPOISE_DATA_DIR."
        )
    target = settings.data_dir.absolute()
    if target.exists() and any(target.iterdir()):
        raise NoBackup(
            f"{target} is not empty: a service runs there, or did. Stop it, and move the directory away or "
            "name another one in EQUIPOISE_DATA_DIR."
        )
    manifest = read_manifest(backup)
    target.parent.mkdir(parents=True, exist_ok=True)
    making = target.with_name(f".{target.name}.restoring-{uuid.uuid4().hex[:8]}")
    making.mkdir(mode=0o700)
    try:
        for name, described in manifest.files.items():
            copy_verified(backup / name, making / name, described)
        sync(making)
        # Fails when something came into the directory meanwhile.
        making.rename(target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return manifest
