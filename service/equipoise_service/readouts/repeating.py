"""Readouts that are repeated on a holdback: planned at the ship, due days after it, made once, and read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, or_, select

from equipoise_service.accounts.principals import Principal
from equipoise_service.canonical import canonical_json
from equipoise_service.errors import NotFound
from equipoise_service.experiments import repository, service
from equipoise_service.experiments.models import Revision
from equipoise_service.plans.models import RepeatedReadout
from equipoise_service.plans.repeats import REPEATED_AFTER_DAYS
from equipoise_service.readouts.lasting import RepeatOf, decided_on
from equipoise_service.readouts.repeat import Decided, RepeatOut


@dataclass(frozen=True, slots=True)
class Due:
    """A repeat that is to be made.

    Attributes:
        repeat: What it repeats.
        at: When it was due: what it counts ends then, whenever it is made.
    """

    repeat: RepeatOf
    at: datetime


def plan_repeats(session: Session, holdback: Revision, readout: Mapping[str, Any], variant: str) -> None:
    """Plan the repeats of a readout on a holdback that begins.

    Args:
        session: A session that writes.
        holdback: The holdback's revision.
        readout: The readout that was decided on, as its JSON parses.
        variant: What was shipped.
    """
    decided = decided_on(readout, variant, holdback.control).model_dump(mode="json")
    for days in REPEATED_AFTER_DAYS:
        due = holdback.started_at + timedelta(days=days)
        session.add(
            RepeatedReadout(revision_id=holdback.id or 0, days=days, decided=decided, due_at=due, next_at=due)
        )
    session.flush()


def lasted() -> ColumnElement[bool]:
    """The condition that people were held back until a repeat was due; of a repeat and its revision."""
    return or_(col(Revision.ended_at).is_(None), col(Revision.ended_at) >= col(RepeatedReadout.due_at))


def claim(session: Session, revision_id: int, days: int, next_at: datetime, later: datetime) -> bool:
    """Move the time of a repeat forward, unless another process did it; whether it was this one."""
    moved = (
        update(RepeatedReadout)
        .where(
            col(RepeatedReadout.revision_id) == revision_id,
            col(RepeatedReadout.days) == days,
            col(RepeatedReadout.next_at) == next_at,
        )
        .values(next_at=later)
    )
    return session.connection().execute(moved).rowcount == 1


def due_of(session: Session, revision_id: int, now: datetime) -> list[Due]:
    """The repeats on a holdback that are to be made by now, the earliest first."""
    statement = (
        select(RepeatedReadout)
        .join(Revision, col(Revision.id) == col(RepeatedReadout.revision_id))
        .where(
            RepeatedReadout.revision_id == revision_id,
            col(RepeatedReadout.digest).is_(None),
            col(RepeatedReadout.due_at) <= now,
            lasted(),
        )
        .order_by(col(RepeatedReadout.days))
    )
    return [
        Due(RepeatOf(each.days, Decided.model_validate(each.decided)), each.due_at)
        for each in session.exec(statement)
    ]


def store_repeat(
    session: Session, revision_id: int, readout: Mapping[str, Any], generated_at: datetime
) -> None:
    """Keep a repeated readout for good. The transaction must end the job that made it."""
    made = session.get_one(RepeatedReadout, (revision_id, readout["repeat"]["days"]))
    made.next_at, made.generated_at = None, generated_at
    made.digest, made.body = readout["digest"], canonical_json(readout).encode()
    session.add(made)


def made_on(session: Session, revision_id: int) -> Sequence[tuple[int, datetime, str]]:
    """The repeats that were made on a holdback: after how many days, when, and the digest of each."""
    found = session.exec(
        select(RepeatedReadout.days, RepeatedReadout.generated_at, RepeatedReadout.digest)
        .where(RepeatedReadout.revision_id == revision_id)
        .order_by(col(RepeatedReadout.days))
    )
    return [(days, at, digest) for days, at, digest in found if at is not None and digest is not None]


def repeats_of(session: Session, principal: Principal, key: str) -> list[RepeatOut]:
    """The repeats of what was shipped in the principal's environment: made, and to come.

    Raises:
        NotFound: There is no such experiment.
    """
    return [
        RepeatOut(
            days=each.days,
            revision=holdback.number,
            due_at=each.due_at,
            generated_at=each.generated_at,
            digest=each.digest,
            text=None if each.body is None else msgspec.json.decode(each.body)["repeat"]["text"],
        )
        for holdback, each in _planned(session, principal, key)
    ]


def repeat_after(session: Session, principal: Principal, key: str, days: int) -> bytes:
    """The readout that was repeated so many days after the ship, as canonical JSON.

    Raises:
        NotFound: There is no such experiment, or no such readout, or not yet.
    """
    planned = [each for _, each in _planned(session, principal, key)]
    for each in planned:
        if each.days == days and each.body is not None:
            return each.body
        if each.days == days:
            raise NotFound(
                f"The readout of {key} is repeated {days} days after the ship: {each.due_at:%Y-%m-%d}."
            )
    known = " and ".join(str(each.days) for each in planned)
    usual = " and ".join(map(str, REPEATED_AFTER_DAYS))
    raise NotFound(
        f"The readout of {key} is not repeated {days} days after a ship in {principal.environment}. It is "
        f"repeated after {known or usual} days" + (" there." if known else " where units are held back.")
    )


def _planned(session: Session, principal: Principal, key: str) -> Sequence[tuple[Revision, RepeatedReadout]]:
    """What was made, and what is to come as long as people are held back."""
    experiment = service.find(session, principal, key)
    run = repository.run_of(session, experiment.id or 0, principal.environment_id)
    if run is None:
        return []
    statement = (
        select(Revision, RepeatedReadout)
        .join(RepeatedReadout, col(RepeatedReadout.revision_id) == col(Revision.id))
        .where(Revision.run_id == run.id, lasted())
        .order_by(col(Revision.id), col(RepeatedReadout.days))
    )
    return session.exec(statement).all()
