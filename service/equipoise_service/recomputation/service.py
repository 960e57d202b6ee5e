"""What happens to audits: they are computed from the event store."""

from collections.abc import Iterator
from typing import Any

from equipoise_service.accounts.principals import Principal
from equipoise_service.database import Database
from equipoise_service.errors import Conflict
from equipoise_service.events.stores.store import EventStore
from equipoise_service.experiments import repository, service
from equipoise_service.experiments.models import Revision
from equipoise_service.recomputation.audit import Audit, Logged, Randomisation, audit, logged_variants
from equipoise_service.recomputation.schemas import AuditOut, DisagreementOut

_ROWS_AT_ONCE = 100_000


def audit_experiment(database: Database, store: EventStore, principal: Principal, key: str) -> AuditOut:
    """Audits an experiment in the principal's environment. It takes seconds for millions of exposures.

    Args:
        database: Where the experiment is defined.
        store: Where its exposures are.
        principal: Who asks.
        key: The experiment's key.

    Raises:
        NotFound: There is no such experiment.
        Conflict: The store holds keyed hashes of unit ids, from which no variant can be computed.
    """
    if store.unit_key:
        raise Conflict(
            "Unit ids are stored as keyed hashes here, and a variant is computed from the id itself. Audit "
            "where the ids are: `equipoise sql` prints the query that recomputes assignments.",
            type="unit-ids-hashed",
        )
    with database.read() as session:
        experiment = service.find(session, principal, key)
        run = repository.run_of(session, experiment.id or 0, principal.environment_id)
        revisions = {
            revision.number: randomisation_of(revision)
            for revision in (repository.revisions_of(session, run.id or 0) if run else [])
        }
    with store.ibis() as backend:
        found = audit(_logged(backend, principal.place, key), revisions)
    return _out(found, key, principal.environment)


def randomisation_of(revision: Revision) -> Randomisation:
    """What decides a unit's arm in a revision."""
    return Randomisation(revision.salt, tuple((v, s, e) for v, s, e in revision.ranges))


def _logged(backend: Any, place: str, key: str) -> Iterator[Logged]:
    table = logged_variants(backend.table("exposures"), place, key)
    # Not `to_pyarrow_batches`: Ibis 12.0.0 calls what DuckDB 2.0 no longer has.
    for batch in backend.to_pyarrow(table).to_batches(max_chunksize=_ROWS_AT_ONCE):
        columns = (batch.column(name).to_pylist() for name in ("unit", "revision", "variant", "exposures"))
        yield from map(Logged, *columns)


def _out(found: Audit, key: str, environment: str) -> AuditOut:
    return AuditOut(
        experiment=key,
        environment=environment,
        exposures=found.agree + found.disagree + found.unknown_revision,
        agree=found.agree,
        disagree=found.disagree,
        unknown_revision=found.unknown_revision,
        examples=[
            DisagreementOut(
                unit=each.logged.unit,
                revision=each.logged.revision,
                logged=each.logged.variant,
                recomputed=each.recomputed,
                exposures=each.logged.exposures,
            )
            for each in found.examples
        ],
    )
