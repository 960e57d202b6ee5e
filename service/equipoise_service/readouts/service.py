"""What happens to readouts of experiments: they are computed from the event store."""

from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import Limits
from equipoise_service.database import Database
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.events.stores.store import EventStore
from equipoise_service.experiments import repository, service
from equipoise_service.experiments.models import Experiment, Revision
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans.documents import Plan, PlannedMetric, PlannedVariant
from equipoise_service.readouts.building import Provenance, build_readout
from equipoise_service.readouts.facts import analyse_plan
from equipoise_service.sources import service as sources

_metrics = TypeAdapter(list[PinnedMetric])


def compute_readout(
    database: Database,
    store: EventStore,
    limits: Limits,
    principal: Principal,
    key: str,
    revision: int | None,
) -> dict[str, Any]:
    """Computes the readout of an experiment in the principal's environment. It may take seconds.

    Args:
        database: Where the experiment is defined.
        store: Where its exposures and events are.
        limits: What reading a source may take.
        principal: Who asks.
        key: The experiment's key.
        revision: Number of the revision; the latest when absent.

    Raises:
        NotFound: There is no such experiment or revision.
        Conflict: The experiment was never started here, or a source cannot be read.
    """
    # The metadata are read first and let go of: a long analysis holds no transaction open in their database.
    with database.read() as session:
        experiment = service.find(session, principal, key)
        found = _find_revision(session, principal, experiment, revision)
        plan = plan_of(experiment, found)
        overridden = tuple(repository.overridden_units(session, found.id or 0))
        named = {metric.source for metric in plan.metrics if metric.source is not None}
        read = {each: sources.definition(sources.find(session, principal, each)) for each in named}
    generated_at = datetime.now(UTC)
    request = StoreRequest(
        principal.place, key, found.number, plan.unit_type, plan.measures, generated_at, left_out=overridden
    )
    statistics = analyse_plan(store, plan, request, read, limits)
    return build_readout(plan, statistics, Provenance(key, found.number, generated_at))


def plan_of(experiment: Experiment, revision: Revision) -> Plan:
    """The plan of a revision: its arms as they were randomised, the metrics as they are now."""
    return Plan(
        unit_type=experiment.unit_type,
        variants=[
            PlannedVariant(key=key, weight=end - start, control=key == revision.control)
            for key, start, end in revision.ranges
        ],
        metrics=[
            PlannedMetric.model_validate(metric.model_dump())
            for metric in _metrics.validate_python(experiment.metrics)
        ],
    )


def _find_revision(
    session: Session, principal: Principal, experiment: Experiment, number: int | None
) -> Revision:
    run = repository.run_of(session, experiment.id or 0, principal.environment_id)
    revisions = repository.revisions_of(session, run.id or 0) if run else []
    if not revisions:
        raise Conflict(
            f"{experiment.key} was never started in {principal.environment}, so there is nothing to read. "
            "Start it first.",
            type="illegal-transition",
        )
    if number is None:
        return revisions[-1]
    for revision in revisions:
        if revision.number == number:
            return revision
    raise NotFound(
        f"{experiment.key} has no revision {number} in {principal.environment}; the latest is "
        f"{revisions[-1].number}."
    )
