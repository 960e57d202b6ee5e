"""All queries on layers."""

from sqlmodel import Session, select

from equipoise_service.layers.models import Layer


def salts(session: Session, project_id: int) -> dict[int, str]:
    """The salt of each layer of a project, by the layer's id."""
    layers = session.exec(select(Layer).where(Layer.project_id == project_id))
    return {layer.id: layer.salt for layer in layers if layer.id is not None}
