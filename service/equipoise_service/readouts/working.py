"""What a worker does for a readout: it analyses, takes the look if it is to, and stores what it found."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from equipoise_service.accounts import repository as accounts
from equipoise_service.accounts.principals import Principal, Scope
from equipoise_service.analysis.sources import Limits
from equipoise_service.database import Database
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.events.stores.store import EventStore
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Kind
from equipoise_service.jobs.worker import Finish, Tell
from equipoise_service.plans.models import TakenLook
from equipoise_service.readouts import repeating, scheduling, storage
from equipoise_service.readouts.service import Analysis, analyse, readout_now, readout_of_due_look, take
from equipoise_service.texts.saying import say


@dataclass(frozen=True, slots=True)
class Workplace:
    """What readouts are made with.

    Attributes:
        database: Where experiments are defined, and readouts stored.
        event_store: Where exposures and events are.
        limits: What reading a source may take.
        every: How old the readout of a live experiment becomes until it is computed again by itself.
    """

    database: Database
    event_store: EventStore
    limits: Limits
    every: timedelta

    def work(self, job: Job, tell: Tell, finish: Finish) -> None:
        """Do a job.

        Raises:
            ServiceError: It cannot be done; the message says why.
        """
        tell(say("job.reading"), 5, 80)
        principal = _for_whom(self.database, job.environment_id)
        if job.kind == Kind.REPEAT:
            self._repeat(job, principal, tell, finish)
            return
        found = analyse(self.database, self.event_store, self.limits, principal, job.experiment, job.revision)
        tell(say("job.computing"), 80)
        readout, look = _readout(Kind(job.kind), found)
        tell(say("job.storing"), 95)
        moment = found.provenance.generated_at
        with self.database.write(publishes=False) as session:
            if look is not None:
                take(session, found, look)
            storage.store(session, job.revision_id, moment, readout)
            if job.kind != Kind.REFRESH:
                scheduling.plan_next(session, found, look, self.every)
            finish(session)

    def _repeat(self, job: Job, principal: Principal, tell: Tell, finish: Finish) -> None:
        """Make the readouts that are due on a holdback: one, but for a service that was away for long."""
        with self.database.read() as session:
            due = repeating.due_of(session, job.revision_id, datetime.now(UTC))
        made = [
            analyse(
                self.database,
                self.event_store,
                self.limits,
                principal,
                job.experiment,
                job.revision,
                again=each,
            )
            for each in due
        ]
        tell(say("job.computing"), 80)
        readouts = [(readout_now(found), found.provenance.generated_at) for found in made]
        tell(say("job.storing"), 95)
        with self.database.write(publishes=False) as session:
            for readout, moment in readouts:
                repeating.store_repeat(session, job.revision_id, readout, moment)
            finish(session)


def _readout(kind: Kind, found: Analysis) -> tuple[dict[str, Any], TakenLook | None]:
    """The readout, and the look that it is if it is one."""
    if kind is Kind.LOOK:
        return readout_of_due_look(found)
    if kind is Kind.SCHEDULED and scheduling.may_look(found):
        try:
            return readout_of_due_look(found)
        except Conflict as error:
            if error.type != scheduling.NO_LOOK_DUE:
                raise
    return readout_now(found), None


def _for_whom(database: Database, environment_id: int) -> Principal:
    """Who works in an environment: a principal without a key."""
    with database.read() as session:
        for environment, project in accounts.environments(session):
            if environment.id == environment_id:
                return Principal(
                    "worker",
                    environment.project_id,
                    environment_id,
                    project.key,
                    environment.key,
                    frozenset({Scope.READ, Scope.WRITE}),
                    float("inf"),
                    b"",
                )
    raise NotFound("The job's environment is gone.")
