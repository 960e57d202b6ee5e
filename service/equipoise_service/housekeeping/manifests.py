"""What makes a directory a backup: a manifest with the digest of each file, written last."""

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

MANIFEST = "manifest.json"
FORMAT = "equipoise.backup/1"
METADATA = "metadata.db"
EVENTS = "events.duckdb"

_CHUNK = 1 << 20


class NoBackup(Exception):
    """A directory is not a whole backup; the message says why."""


class File(BaseModel):
    """A file of a backup: its size and SHA-256."""

    bytes: int
    sha256: str


class Manifest(BaseModel):
    """The manifest."""

    format: str
    created_at: datetime
    release: str
    files: dict[str, File] = Field(min_length=1)


def write_manifest(directory: Path, files: list[Path], created_at: datetime) -> Manifest:
    """Make everything in a directory durable, and then the manifest that says what it is."""
    described: dict[str, File] = {}
    for path in files:
        digest = hashlib.sha256()
        for chunk in chunks(path):
            digest.update(chunk)
        sync(path)
        described[path.name] = File(bytes=path.stat().st_size, sha256=digest.hexdigest())
    manifest = Manifest(
        format=FORMAT, created_at=created_at, release=version("equipoise-service"), files=described
    )
    path = directory / MANIFEST
    path.write_text(manifest.model_dump_json(indent=2) + "\n")
    sync(path)
    sync(directory)
    return manifest


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup.

    Raises:
        NoBackup: There is none, or this release does not know it.
    """
    try:
        manifest = Manifest.model_validate(json.loads((directory / MANIFEST).read_bytes()))
    except FileNotFoundError:
        raise NoBackup(
            f"{directory} has no {MANIFEST}, so it is no backup, or one that was interrupted."
        ) from None
    except (ValueError, ValidationError):
        raise NoBackup(f"{directory / MANIFEST} cannot be read as a backup's manifest.") from None
    if manifest.format != FORMAT or not manifest.files.keys() <= {METADATA, EVENTS}:
        raise NoBackup(
            f"{directory} is a backup of the format {manifest.format}, made by release {manifest.release}; "
            f"this release reads {FORMAT}. Restore it with that release."
        )
    return manifest


def copy_verified(source: Path, target: Path, expected: File) -> None:
    """Copy a file of a backup, and hold what was copied against its digest.

    Raises:
        NoBackup: It is not the file that the manifest describes.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with target.open("xb") as copy:
            for chunk in chunks(source):
                digest.update(chunk)
                size += len(chunk)
                copy.write(chunk)
    except FileNotFoundError:
        raise NoBackup(f"{source} is missing, although the manifest names it.") from None
    if (size, digest.hexdigest()) != (expected.bytes, expected.sha256):
        raise NoBackup(
            f"{source} is not the file that was backed up: its digest differs. Take another backup."
        )
    sync(target)


def chunks(path: Path) -> Iterator[bytes]:
    """The content of a file, piece by piece."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, durable."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
