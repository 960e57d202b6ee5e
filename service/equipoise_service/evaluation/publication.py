"""Publication: the definitions of an environment become one immutable, versioned document.

It runs at the end of every write transaction, inside it, so that definitions and document never disagree.
A document that says the same as the one before is not published again.
"""

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlmodel import Session

from equipoise.configuration import SCHEMA
from equipoise_service.accounts import repository as accounts
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

KEPT_VERSIONS = 20
"""Published versions that are kept of an environment, for people who ask what was served; older ones go."""


def publish(session: Session) -> None:
    """Publish the configuration of every environment where it differs from the present one.

    Raises:
        ConfigurationError: A document would be unreadable. That is a defect, and nothing may be stored: no
            process could take up any later change, nor start again.
    """
    with _no_collection():
        _publish(session)
    session.flush()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let the garbage collector wait: documents have no cycles, and it took longer than making them."""
    waits = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if waits:
            gc.enable()


def _publish(session: Session) -> None:
    defined: dict[int, ProjectExperiments] = {}
    for environment, project in accounts.environments(session):
        if environment.id is None or project.id is None:
            continue
        if project.id not in defined:
            defined[project.id] = project_experiments(session, project.id)
        content = _content(session, defined[project.id], environment.id)
        digest = hashlib.sha256(msgspec.json.encode(content)).hexdigest()
        before = repository.latest(session, environment.id)
        if before is not None and before.content_digest == digest:
            continue
        version = before.version + 1 if before else 1
        document = {
            "schema": SCHEMA,
            "project": project.key,
            "environment": environment.key,
            "version": version,
            **content,
        }
        encoded = msgspec.json.encode(document)
        compiled(encoded)
        session.add(
            PublishedConfiguration(
                environment_id=environment.id,
                version=version,
                content_digest=digest,
                document=encoded,
                published_at=datetime.now(UTC),
            )
        )
        repository.forget(session, environment.id, before_version=version - KEPT_VERSIONS)


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
