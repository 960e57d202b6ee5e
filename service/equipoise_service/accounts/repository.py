"""All queries on projects, environments and API keys."""

from collections.abc import Iterator, Sequence

from sqlmodel import Session, col, select

from equipoise_service.accounts.models import ApiKey, Environment, Project


def project_by_key(session: Session, key: str) -> Project | None:
    """The project of a key."""
    return session.exec(select(Project).where(Project.key == key)).first()


def environment_by_key(session: Session, project_id: int, key: str) -> Environment | None:
    """A project's environment of a key."""
    return session.exec(
        select(Environment).where(Environment.project_id == project_id, Environment.key == key)
    ).first()


def environments(session: Session) -> Sequence[tuple[Environment, Project]]:
    """All environments, each with its project."""
    statement = select(Environment, Project).join(Project).order_by(col(Environment.id))
    return session.exec(statement).all()


def valid_keys(session: Session) -> Iterator[tuple[ApiKey, Environment, Project]]:
    """The keys that are not revoked, each with where it belongs."""
    statement = (
        select(ApiKey, Environment, Project)
        .join(Environment, col(ApiKey.environment_id) == col(Environment.id))
        .join(Project, col(Environment.project_id) == col(Project.id))
        .where(col(ApiKey.revoked_at).is_(None))
    )
    yield from session.exec(statement)


def any_key(session: Session) -> bool:
    """Whether a key was ever made."""
    return session.exec(select(ApiKey.id).limit(1)).first() is not None


def keys_page(
    session: Session, project_id: int | None, after: int, limit: int
) -> Sequence[tuple[ApiKey, Environment, Project]]:
    """Keys with an id above `after`, oldest first, at most `limit`; of all projects when none is named."""
    statement = (
        select(ApiKey, Environment, Project)
        .join(Environment, col(ApiKey.environment_id) == col(Environment.id))
        .join(Project, col(Environment.project_id) == col(Project.id))
        .where(col(ApiKey.id) > after)
        .order_by(col(ApiKey.id))
        .limit(limit)
    )
    if project_id is not None:
        statement = statement.where(Environment.project_id == project_id)
    return session.exec(statement).all()


def key_by_public_id(
    session: Session, public_id: str, project_id: int | None = None
) -> tuple[ApiKey, Environment, Project] | None:
    """The key of a public id, within one project when it is given."""
    statement = (
        select(ApiKey, Environment, Project)
        .join(Environment, col(ApiKey.environment_id) == col(Environment.id))
        .join(Project, col(Environment.project_id) == col(Project.id))
        .where(ApiKey.public_id == public_id)
    )
    if project_id is not None:
        statement = statement.where(Environment.project_id == project_id)
    return session.exec(statement).first()
