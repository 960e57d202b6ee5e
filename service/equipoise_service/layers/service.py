"""What happens to layers: they are made."""

import secrets
from datetime import UTC, datetime

from sqlmodel import Session

from equipoise_service.layers.models import Layer


def make_salt() -> str:
    """A salt: 16 random lower-case hex characters, never derived from a name."""
    return secrets.token_hex(8)


def make_layer(session: Session, project_id: int, key: str) -> Layer:
    """Make a layer with a salt of its own."""
    layer = Layer(project_id=project_id, key=key, salt=make_salt(), created_at=datetime.now(UTC))
    session.add(layer)
    session.flush()
    return layer
