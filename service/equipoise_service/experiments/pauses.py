"""Pauses: the stretches of time in which a revision served the control to everybody."""

from datetime import datetime

from sqlmodel import Session

from equipoise_service.experiments import repository
from equipoise_service.experiments.models import Pause, Revision


def begin(session: Session, revision: Revision, now: datetime, by: str) -> None:
    """Note that a revision is paused from now on.

    Args:
        session: A session that writes.
        revision: The revision, which is stored.
        now: When.
        by: Public id of the API key that does it.
    """
    revision_id = revision.id or 0
    number = 1 + repository.last_pause_number(session, revision_id)
    session.add(Pause(revision_id=revision_id, number=number, started_at=now, started_by=by))


def end(session: Session, revision: Revision, now: datetime, by: str) -> None:
    """Note that a revision is paused no more, if it was.

    Args:
        session: A session that writes.
        revision: The revision.
        now: When.
        by: Public id of the API key that does it.
    """
    pause = repository.open_pause(session, revision.id or 0)
    if pause is not None:
        pause.ended_at, pause.ended_by = now, by
        session.add(pause)
