"""Retention: what is older than the settings say goes, in small steps; what a live experiment needs stays."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from equipoise_service.accounts import repository as accounts
from equipoise_service.database import Database
from equipoise_service.events.stores.deletions import Old
from equipoise_service.events.stores.store import EventStore
from equipoise_service.experiments.lifecycle import OPEN
from equipoise_service.experiments.models import Experiment, Run
from equipoise_service.housekeeping.deleting import deleting
from equipoise_service.settings import Settings

# Of facts at a time, and how long others have the store for themselves in between.
_STEP_ROWS = 20_000
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted because it is old.

    Attributes:
        rows: How many rows of each table.
        finished: Whether nothing old is left.
    """

    rows: dict[str, int]
    finished: bool


def what_is_old(session: Session, settings: Settings, now: datetime) -> list[Old]:
    """What is to be deleted at a time.

    Whole days (UTC) go. Exposures to experiments that run, are paused or hold back stay, and so do events in
    an environment from when the first of these was started, less the days before it that its metrics look at.

    Args:
        session: Reads the metadata database.
        settings: How long what is kept.
        now: The time.
    """
    found: list[Old] = []
    places = {each.id: f"{project.key}/{each.key}" for each, project in accounts.environments(session)}
    if settings.retention_days:
        before = _midnight(now - timedelta(days=settings.retention_days))
        kept: dict[str, list[str]] = defaultdict(list)
        events_before = dict.fromkeys(places.values(), before)
        for run, experiment in _live(session):
            place = places[run.environment_id]
            kept[place].append(experiment.key)
            days = max(map(_days_before, experiment.metrics), default=0)
            needed = _midnight((run.started_at or now) - timedelta(days=days))
            events_before[place] = min(events_before[place], needed)
        found.append(Old("exposures", dict.fromkeys(places.values(), before), kept))
        found.append(Old("events", events_before))
    if settings.rejected_retention_days:
        before = _midnight(now - timedelta(days=settings.rejected_retention_days))
        found.append(Old("rejected", dict.fromkeys(places.values(), before)))
    return found


def delete_old(
    database: Database,
    store: EventStore,
    settings: Settings,
    *,
    seconds: float,
    ended: Callable[[], bool] = lambda: False,
) -> Deleted:
    """Delete what is old, step by step.

    Args:
        database: Says what is needed still.
        store: Where it is deleted.
        settings: How long what is kept.
        seconds: It stops after so long, wherever it is.
        ended: Asked between steps whether to stop.
    """
    with database.read() as session:
        wanted = what_is_old(session, settings, datetime.now(UTC))
    deadline = time.monotonic() + seconds
    finished = True
    with deleting(database, store) as rows:
        for old in wanted:
            rows[old.table] = 0
            while finished and (count := store.delete_old(old, _STEP_ROWS)):
                rows[old.table] += count
                finished = time.monotonic() < deadline and not ended()
                time.sleep(_PAUSE_SECONDS)
    return Deleted(rows, finished)


def _live(session: Session) -> Sequence[tuple[Run, Experiment]]:
    statement = (
        select(Run, Experiment)
        .join(Experiment, col(Run.experiment_id) == col(Experiment.id))
        .where(col(Run.status).in_(OPEN))
    )
    return session.exec(statement).all()


def _days_before(metric: Mapping[str, Any]) -> int:
    """How many days before a unit's first exposure a metric looks at."""
    days: int | None = (metric.get("covariate") or metric).get("pre_period_days")
    return days or 0


def _midnight(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
