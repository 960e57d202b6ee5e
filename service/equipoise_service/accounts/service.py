"""What happens to keys: they are made, listed, revoked."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlmodel import Session

from equipoise_service.accounts import repository, secrets
from equipoise_service.accounts.models import ApiKey, Environment, Project
from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.schemas import KeyOut, NewKeyOut
from equipoise_service.errors import NotFound

DEFAULT_PROJECT = "default"
DEFAULT_ENVIRONMENT = "production"


def make_key(
    session: Session,
    *,
    name: str,
    project: str,
    environment: str,
    scopes: Collection[Scope],
    expires_at: datetime | None = None,
) -> NewKeyOut:
    """Make a key; its project and environment are made too when they do not exist.

    Returns:
        The key with its text, which is stored nowhere and cannot be shown again.
    """
    owner = _project(session, project)
    place = _environment(session, owner, environment)
    secret = secrets.make_secret()
    assert place.id is not None, "it was flushed"  # noqa: S101 - for the type checker
    row = ApiKey(
        public_id=secret.public_id,
        secret_hash=secret.secret_hash,
        name=name,
        environment_id=place.id,
        scopes=" ".join(sorted(scopes)),
        created_at=datetime.now(UTC),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return NewKeyOut(key=secret.text, **key_out(row, place, owner).model_dump())


def make_first_key(session: Session) -> NewKeyOut | None:
    """Make the admin key of a new database; nothing when a key was ever made."""
    if repository.any_key(session):
        return None
    return make_key(
        session,
        name="first admin key",
        project=DEFAULT_PROJECT,
        environment=DEFAULT_ENVIRONMENT,
        scopes=list(Scope),
    )


def revoke_key(session: Session, public_id: str, project_id: int | None = None) -> KeyOut:
    """Revoke a key; a revoked one stays revoked.

    Raises:
        NotFound: No key has that id (in the project).
    """
    found = repository.key_by_public_id(session, public_id, project_id)
    if found is None:
        raise NotFound(f"There is no key {public_id}.")
    row, environment, project = found
    row.revoked_at = row.revoked_at or datetime.now(UTC)
    session.add(row)
    return key_out(row, environment, project)


def key_out(row: ApiKey, environment: Environment, project: Project) -> KeyOut:
    """A key's representation."""
    return KeyOut(
        id=row.public_id,
        name=row.name,
        project=project.key,
        environment=environment.key,
        scopes=[Scope(scope) for scope in row.scopes.split()],
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _project(session: Session, key: str) -> Project:
    found = repository.project_by_key(session, key)
    if found is None:
        found = Project(key=key, created_at=datetime.now(UTC))
        session.add(found)
        session.flush()
    return found


def _environment(session: Session, project: Project, key: str) -> Environment:
    assert project.id is not None, "it was flushed"  # noqa: S101 - for the type checker
    found = repository.environment_by_key(session, project.id, key)
    if found is None:
        found = Environment(project_id=project.id, key=key, created_at=datetime.now(UTC))
        session.add(found)
        session.flush()
    return found
