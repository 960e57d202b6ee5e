"""A queue with revisions that jobs can be of, and no worker but those of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi.testclient import TestClient
from sqlmodel import Session, col, select, update
from tests.service.conftest import experiment

from equipoise_service.accounts.principals import Scope
from equipoise_service.accounts.service import make_key
from equipoise_service.app import create_app
from equipoise_service.database import Database
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.queue import Wanted
from equipoise_service.jobs.schemas import Kind
from equipoise_service.resources import open_database
from equipoise_service.settings import Settings


@contextmanager
def database_with(settings: Settings, *definitions: dict[str, Any]) -> Iterator[Database]:
    """A database in which experiments run, when the service has ended that started them."""
    with TestClient(create_app(settings)) as client:
        with client.app.state.database.write() as session:  # type: ignore[attr-defined]
            made = make_key(
                session, name="test", project="default", environment="production", scopes=tuple(Scope)
            )
        client.headers["Authorization"] = f"Bearer {made.key}"
        for definition in definitions:
            assert client.post("/v1/experiments", json=definition).status_code == 201
            assert client.post(f"/v1/experiments/{definition['key']}/start").status_code == 200
    with open_database(settings) as database:
        yield database


def definitions(count: int) -> list[dict[str, Any]]:
    return [experiment(f"experiment-{number}") for number in range(count)]


def wanted(database: Database, kind: Kind = Kind.REFRESH, number: int = 0) -> Wanted:
    """A job of the experiment of a number."""
    with database.read() as session:
        statement = (
            select(Revision, Run, Experiment)
            .join(Run, col(Run.id) == col(Revision.run_id))
            .join(Experiment, col(Experiment.id) == col(Run.experiment_id))
            .order_by(col(Revision.id))
        )
        revision, run, found = session.exec(statement).all()[number]
    return Wanted(kind, run.environment_id, revision.id or 0, found.key, revision.number, "test")


def silence(database: Database, job: Job) -> None:
    """Let the worker of a job have said nothing for so long that it is taken for dead."""
    with Session(database.engine) as session:
        before = datetime.now(UTC) - timedelta(seconds=1)
        session.connection().execute(update(Job).where(col(Job.id) == job.id).values(lease_until=before))
        session.commit()


def stored(database: Database, job: Job) -> Job:
    """A job as it stands."""
    with Session(database.engine, expire_on_commit=False) as session:
        found = session.get(Job, job.id)
    assert found is not None
    return found
