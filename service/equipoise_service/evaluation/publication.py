"""Publication: the definitions of an environment become one immutable, versioned document.

It runs at the end of every write transaction, inside it, so that definitions and document do not disagree.
A document that says the same as the one before is not published again.
"""

import gc
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from equipoise.configuration import SCHEMA
from equipoise.errors import ConfigurationError
from equipoise_service.accounts import repository as accounts
from equipoise_service.accounts.models import Environment, Project
from equipoise_service.database import Database
from equipoise_service.errors import Conflict
from equipoise_service.evaluation import repository
from equipoise_service.evaluation.compiling import compiled
from equipoise_service.evaluation.models import PublishedConfiguration
from equipoise_service.experiments.publication import (
    ARCHIVED_FOR,
    ProjectExperiments,
    experiment_documents,
    project_experiments,
)
from equipoise_service.flags.publication import flag_documents

_log = logging.getLogger(__name__)

KEPT_VERSIONS = 20
"""Published versions that are kept of an environment, for people who ask what was served; older ones go."""


class Publisher:
    """Publishes the configuration of every environment where it differs from the present one.

    An environment whose document no client could read keeps the last one that could be, and the log says why.
    It holds up no write elsewhere, nor the start; only the write that breaks an environment is refused.

    Args:
        database: Where they are published.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._failed: Mapping[str, str] = {}

    @property
    def failed(self) -> Sequence[str]:
        """The environments (`project/environment`) that the last write could not publish."""
        return sorted(self._failed)

    def publish(self, session: Session) -> None:
        """Publish what a write transaction changed, in it.

        Raises:
            Conflict: With this write an environment's document would be unreadable, and was not before.
        """
        failed: dict[str, str] = {}
        with _no_collection():
            defined: dict[int, ProjectExperiments] = {}
            for environment, project in accounts.environments(session):
                try:
                    _publish(session, defined, environment, project)
                except SQLAlchemyError:
                    raise
                except Exception as error:
                    name = f"{project.key}/{environment.key}"
                    if not self._was_broken(environment.id):
                        _log.exception("refused a write that would break the configuration of %s", name)
                        raise _refusal(name, error) from error
                    failed[name] = f"{type(error).__name__}: {error}"
        session.flush()
        self._note(failed)

    def _was_broken(self, environment_id: int | None) -> bool:
        """Whether an environment's document was unreadable before the write that goes on."""
        with self._database.read() as before:
            for environment, project in accounts.environments(before):
                if environment.id == environment_id:
                    try:
                        compiled(_document(project, environment, _content_of(before, {}, environment), 0))
                    except SQLAlchemyError:
                        raise
                    except Exception:
                        return True
        return False

    def _note(self, failed: Mapping[str, str]) -> None:
        for name, reason in failed.items():
            if self._failed.get(name) != reason:
                _log.error(
                    "cannot publish the configuration of %s, which keeps its last one; mend this: %s",
                    name,
                    reason,
                )
        for name in self._failed.keys() - failed.keys():
            _log.warning("the configuration of %s can be published again", name)
        self._failed = failed


def _refusal(name: str, error: Exception) -> Conflict:
    """Why a write is refused. What is no mistake of a document's reader says nothing to a client."""
    reason = str(error) if isinstance(error, ConfigurationError) else "the service's log says why"
    return Conflict(
        f"With this change no client could read the configuration of {name}: {reason}. Nothing was stored. "
        "An earlier check should have named the place: that is a defect of the service, please report it.",
        type="unpublishable",
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let the garbage collector wait: it took longer than making the documents, and would find little.

    A document has no cycles. Of what is compiled from it only patterns have: small ones, between a pattern
    and the states that it remembers, which the collector finds later.
    """
    waits = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if waits:
            gc.enable()


def _publish(
    session: Session, defined: dict[int, ProjectExperiments], environment: Environment, project: Project
) -> None:
    content = _content_of(session, defined, environment)
    digest = hashlib.sha256(msgspec.json.encode(content)).hexdigest()
    environment_id = _id(environment.id)
    before = repository.latest(session, environment_id)
    if before is not None and before.content_digest == digest:
        return
    version = before.version + 1 if before else 1
    encoded = _document(project, environment, content, version)
    compiled(encoded)
    session.add(
        PublishedConfiguration(
            environment_id=environment_id,
            version=version,
            content_digest=digest,
            document=encoded,
            published_at=datetime.now(UTC),
        )
    )
    repository.forget(session, environment_id, before_version=version - KEPT_VERSIONS)


def _document(project: Project, environment: Environment, content: Mapping[str, Any], version: int) -> bytes:
    members = {"schema": SCHEMA, "project": project.key, "environment": environment.key, "version": version}
    return msgspec.json.encode({**members, **content})


def _content_of(
    session: Session, defined: dict[int, ProjectExperiments], environment: Environment
) -> dict[str, Any]:
    """What an environment's document says; `defined` keeps what the environments of a project share."""
    project_id = environment.project_id
    if project_id not in defined:
        defined[project_id] = project_experiments(session, project_id)
    return _content(session, defined[project_id], _id(environment.id))


def _content(session: Session, defined: ProjectExperiments, environment_id: int) -> dict[str, Any]:
    experiments = experiment_documents(session, defined, environment_id)
    # Of an archived flag, those experiments stay of which an exposure may still arrive.
    ran = {each["flag"] for each in experiments.documents.values() if each["revision"] is not None}
    since = datetime.now(UTC) - ARCHIVED_FOR
    members = flag_documents(session, defined.project_id, environment_id, experiments.rules, ran, since)
    shown = {key: each for key, each in experiments.documents.items() if each["flag"] in members["flags"]}
    content = {**members, "experiments": shown}
    if experiments.holdouts:
        content["holdouts"] = experiments.holdouts
    return content


def _id(value: int | None) -> int:
    if value is None:
        raise RuntimeError("the row was not stored yet")
    return value
