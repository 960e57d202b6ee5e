"""The holdouts' part of the configuration document."""

from collections.abc import Collection
from typing import Any

from sqlmodel import Session

from equipoise_service.holdouts import repository


def holdout_documents(session: Session, project_id: int, keys: Collection[str]) -> dict[str, dict[str, Any]]:
    """The holdouts of some keys as the document shows them, by key."""
    if not keys:
        return {}
    return {
        holdout.key: {
            "unit_type": holdout.unit_type,
            "salt": holdout.salt,
            # A prefix, so that a larger share only adds units.
            "slots": [[0, holdout.share]],
        }
        for holdout in repository.holdouts(session, project_id)
        if holdout.key in keys
    }
