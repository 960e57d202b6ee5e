"""All queries on layers and on the slots held in them."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete
from sqlmodel import Session, col, select

from equipoise_service.layers.models import Holding, Layer


def layer_by_key(session: Session, project_id: int, key: str) -> Layer | None:
    """A project's layer of a key."""
    return session.exec(select(Layer).where(Layer.project_id == project_id, Layer.key == key)).first()


def layers_page(session: Session, project_id: int, after: int, limit: int) -> Sequence[Layer]:
    """A project's layers with an id above `after`, oldest first, at most `limit`."""
    statement = (
        select(Layer)
        .where(Layer.project_id == project_id, col(Layer.id) > after)
        .order_by(col(Layer.id))
        .limit(limit)
    )
    return session.exec(statement).all()


def salts(session: Session, project_id: int) -> dict[int, str]:
    """The salt of each layer of a project, by the layer's id."""
    rows = session.exec(select(Layer.id, Layer.salt).where(Layer.project_id == project_id))
    return {id: salt for id, salt in rows if id is not None}


def keys(session: Session, layer_ids: Collection[int]) -> dict[int, str]:
    """The keys of some layers, by id."""
    rows = session.exec(select(Layer.id, Layer.key).where(col(Layer.id).in_(layer_ids)))
    return {id: key for id, key in rows if id is not None}


def holdings(session: Session, layer_ids: Collection[int], environment_id: int) -> Sequence[Holding]:
    """Who holds slots of some layers in an environment, in the order they began to."""
    statement = (
        select(Holding)
        .where(col(Holding.layer_id).in_(layer_ids), Holding.environment_id == environment_id)
        .order_by(col(Holding.id))
    )
    return session.exec(statement).all()


def release(session: Session, layer_id: int, environment_id: int, experiment: str) -> None:
    """Free the slots that an experiment holds of a layer in an environment, if any."""
    session.connection().execute(
        delete(Holding).where(
            col(Holding.layer_id) == layer_id,
            col(Holding.environment_id) == environment_id,
            col(Holding.experiment) == experiment,
        )
    )
