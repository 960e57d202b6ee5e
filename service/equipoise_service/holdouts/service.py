"""What happens to holdouts: they are made, grow, and are deleted while no experiment names them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.holdouts import repository
from equipoise_service.holdouts.models import Holdout
from equipoise_service.holdouts.schemas import HoldoutIn, HoldoutOut, HoldoutPatch
from equipoise_service.layers.service import make_salt

_NAMED = 20
"""How many experiments a refusal names."""


def make(session: Session, principal: Principal, payload: HoldoutIn) -> Holdout:
    """Make a holdout with a salt of its own.

    Raises:
        Conflict: The project has a holdout of that key.
    """
    if repository.holdout_by_key(session, principal.project_id, payload.key) is not None:
        raise Conflict(f"There is a holdout {payload.key} already. Choose another key.")
    now = datetime.now(UTC)
    holdout = Holdout(
        project_id=principal.project_id,
        salt=make_salt(),
        created_at=now,
        updated_at=now,
        **payload.model_dump(),
    )
    session.add(holdout)
    session.flush()
    return holdout


def find(session: Session, principal: Principal, key: str) -> Holdout:
    """The holdout of a key in the principal's project.

    Raises:
        NotFound: There is none.
    """
    holdout = repository.holdout_by_key(session, principal.project_id, key)
    if holdout is None:
        raise NotFound(f"There is no holdout {key} in the project {principal.project}.")
    return holdout


def change(session: Session, holdout: Holdout, payload: HoldoutPatch) -> None:
    """Change a holdout. Its share only grows, which keeps every unit in it.

    Raises:
        Conflict: The share would shrink.
    """
    if payload.share is not None and payload.share < holdout.share:
        raise Conflict(
            f"The share of {holdout.key} is {holdout.share} and cannot shrink to {payload.share}: units that "
            "were held out would enter experiments as if they had never been. Make another holdout.",
            type="frozen-field",
        )
    for name in payload.model_fields_set:
        setattr(holdout, name, getattr(payload, name))
    holdout.version += 1
    holdout.updated_at = datetime.now(UTC)
    session.add(holdout)


def delete(session: Session, holdout: Holdout) -> None:
    """Delete a holdout.

    Raises:
        Conflict: An experiment names it.
    """
    users = repository.experiments_by_holdout(session, [holdout.id or 0]).get(holdout.id or 0, [])
    if users:
        raise Conflict(
            f"{', '.join(users[:_NAMED])} keep out the holdout {holdout.key}. Take it out of theirs first.",
            type="in-use",
            used_by=users,
        )
    session.delete(holdout)


def present(session: Session, holdouts: Sequence[Holdout]) -> list[HoldoutOut]:
    """The representations of holdouts."""
    users = repository.experiments_by_holdout(session, [each.id or 0 for each in holdouts])
    return [
        HoldoutOut(
            key=each.key,
            name=each.name,
            description=each.description,
            unit_type=each.unit_type,
            share=each.share,
            salt=each.salt,
            experiments=users.get(each.id or 0, []),
            created_at=each.created_at,
            updated_at=each.updated_at,
        )
        for each in holdouts
    ]


def etag(holdout: Holdout) -> str:
    """The ETag of a holdout, which changes with what can be changed of it."""
    return f'"{holdout.id}-{holdout.version}"'
