"""Stored readouts: kept as bytes in the metadata database, and served from memory."""

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.canonical import canonical_json
from equipoise_service.database import Database
from equipoise_service.experiments import service
from equipoise_service.readouts.models import StoredReadout
from equipoise_service.readouts.service import find_revision

_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Served:
    """A stored readout, ready to be served.

    Attributes:
        body: Its canonical JSON (RFC 8785).
        etag: Its strong ETag, which is its digest.
    """

    body: bytes
    etag: str


class Asked(NamedTuple):
    """Whose readout is asked for.

    Attributes:
        environment_id: Internal id of the environment.
        experiment: The experiment's key.
        revision: Number of the revision; None for the latest.
    """

    environment_id: int
    experiment: str
    revision: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """A revision, and its stored readout if there is one."""

    revision_id: int
    number: int
    served: Served | None


class StoredReadouts:
    """The readouts that were asked for lately, in memory until anything in the metadata changes.

    Args:
        database: Where they are kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: dict[Asked, Served] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def in_memory(self, asked: Asked) -> Served | None:
        """A readout that was read since the last change."""
        return self._kept.get(asked)

    def read(self, principal: Principal, asked: Asked) -> Found:
        """Find a revision in the database, and its readout.

        Raises:
            NotFound: There is no such experiment or revision.
            Conflict: The experiment was never started here.
        """
        kept = self._kept
        with self._database.read() as session:
            experiment = service.find(session, principal, asked.experiment)
            revision = find_revision(session, principal, experiment, asked.revision)
            stored = session.get(StoredReadout, revision.id)
        served = None if stored is None else Served(stored.body, etag_of(stored.digest))
        if served is not None:
            self._keep(kept, asked, served)
        return Found(revision.id or 0, revision.number, served)

    def refresh(self) -> None:
        """Forget what may have changed."""
        with self._lock:
            self._kept, self._bytes = {}, 0

    def _keep(self, kept: dict[Asked, Served], asked: Asked, served: Served) -> None:
        with self._lock:
            # What was read before a change must not be kept after it.
            if kept is not self._kept or self._bytes + len(served.body) > _MOST_BYTES:
                kept.pop(asked, None)
                return
            kept[asked] = served
            self._bytes += len(served.body)


def etag_of(digest: str) -> str:
    """The strong ETag of a readout with a digest."""
    return f'"{digest.removeprefix("sha256:")}"'


def store(session: Session, revision_id: int, generated_at: datetime, readout: dict[str, Any]) -> None:
    """Keep a readout as the latest one of a revision.

    The transaction must end the job that made it: of a revision one runs at a time, so what is there was made
    before, whatever the clocks of the two workers say.
    """
    body = canonical_json(readout).encode()
    present = session.get(StoredReadout, revision_id)
    if present is None:
        present = StoredReadout(revision_id=revision_id, generated_at=generated_at, digest="", body=b"")
    present.generated_at, present.digest, present.body = generated_at, readout["digest"], body
    session.add(present)
