"""Ramps: how many slots a revision had, and since when."""

from datetime import datetime

from sqlmodel import Session

from equipoise_service.experiments import repository
from equipoise_service.experiments.models import Ramp, Revision
from equipoise_service.layers.slots import size


def begin(session: Session, revision: Revision) -> None:
    """Note with how many slots a revision begins.

    Args:
        session: A session that writes.
        revision: The revision, which is stored.
    """
    session.add(
        Ramp(revision_id=revision.id or 0, number=1, since=revision.started_at, slots=size(revision.slots))
    )


def follow(session: Session, revision: Revision, now: datetime) -> None:
    """Note that a revision has as many slots as it has from now on, where those are others than before.

    Args:
        session: A session that writes.
        revision: The revision; one whose beginning is not on record stays without ramps.
        now: When.
    """
    noted = repository.ramps_of(session, revision.id or 0)
    slots = size(revision.slots)
    if noted and noted[-1].slots != slots:
        number = 1 + noted[-1].number
        session.add(Ramp(revision_id=revision.id or 0, number=number, since=now, slots=slots))
