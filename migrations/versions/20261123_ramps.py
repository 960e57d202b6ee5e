"""How many slots revisions had, and since when

Revision: 20261123_ramps
Follows: 20261122_pauses
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op

revision = "20261123_ramps"
down_revision = "20261122_pauses"
branch_labels = None
depends_on = None

_SLOTS = 10_000


class _Step(NamedTuple):
    since: datetime
    slots: int


class _Version(NamedTuple):
    """A published configuration: for each experiment its revision and how many slots that had."""

    version: int
    published_at: datetime
    experiments: Mapping[str, tuple[int, int]]


def upgrade() -> None:
    """Add the table, with what the kept configurations and the stored readouts tell of revisions until now.

    A revision whose beginning they do not tell gets none: its traffic stays unknown.
    """
    ramp = op.create_table(
        "ramp",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_ramp_revision_id"),
        sa.PrimaryKeyConstraint("revision_id", "number", name="pk_ramp"),
    )
    rows = list(_ramps(op.get_bind(), datetime.now(UTC).replace(tzinfo=None)))
    if rows:
        op.bulk_insert(ramp, rows)


def _ramps(connection: sa.Connection, now: datetime) -> Iterator[dict[str, Any]]:
    revisions = sa.text(
        "SELECT revision.id, revision.number, revision.slots, revision.holdback, revision.started_at, "
        "run.environment_id, experiment.key FROM revision JOIN run ON run.id = revision.run_id "
        "JOIN experiment ON experiment.id = run.experiment_id ORDER BY revision.id"
    ).columns(
        sa.column("id", sa.Integer()),
        sa.column("number", sa.Integer()),
        sa.column("slots", sa.JSON()),
        sa.column("holdback", sa.Integer()),
        sa.column("started_at", sa.DateTime()),
        sa.column("environment_id", sa.Integer()),
        sa.column("key", sa.String()),
    )
    published: dict[int, list[_Version]] = {}
    for each in connection.execute(revisions).all():
        if each.environment_id not in published:
            published[each.environment_id] = list(_published(connection, each.environment_id))
        slots = _size(each.slots)
        if each.holdback is not None:
            # No ramp moves its slots.
            steps = [_Step(each.started_at, slots)]
        else:
            steps, whole = _told(published[each.environment_id], each.key, each.number)
            if not whole:
                steps = _continued(connection, each.id, steps or [_Step(now, slots)])
        if steps:
            steps[0] = _Step(each.started_at, steps[0].slots)
        kept = [step for i, step in enumerate(steps) if i == 0 or step.slots != steps[i - 1].slots]
        for number, step in enumerate(kept, 1):
            yield {"revision_id": each.id, "number": number, "since": step.since, "slots": step.slots}


def _published(connection: sa.Connection, environment_id: int) -> Iterator[_Version]:
    """The versions that are kept of an environment, oldest first."""
    table = sa.table(
        "published_configuration",
        sa.column("environment_id", sa.Integer()),
        sa.column("version", sa.Integer()),
        sa.column("published_at", sa.DateTime()),
        sa.column("document", sa.LargeBinary()),
    )
    statement = sa.select(table).where(table.c.environment_id == environment_id).order_by(table.c.version)
    for row in connection.execute(statement):
        found = json.loads(row.document).get("experiments", {})
        experiments = {
            key: (each["revision"], _size(each.get("slots") or []))
            for key, each in found.items()
            if each.get("revision") is not None
        }
        yield _Version(row.version, row.published_at, experiments)


def _told(versions: list[_Version], key: str, number: int) -> tuple[list[_Step], bool]:
    """What the versions tell of a revision, and whether its beginning is in them."""
    of_it = [each for each in versions if each.experiments.get(key, (None, 0))[0] == number]
    steps = [_Step(each.published_at, each.experiments[key][1]) for each in of_it]
    begins = bool(of_it) and (versions[0].version == 1 or versions[0] is not of_it[0])
    return steps, begins


def _continued(connection: sa.Connection, revision_id: int, newer: list[_Step]) -> list[_Step]:
    """The steps that the stored readout has, and newer ones; none where anything between is not known."""
    table = sa.table(
        "stored_readout",
        sa.column("revision_id", sa.Integer()),
        sa.column("generated_at", sa.DateTime()),
        sa.column("body", sa.LargeBinary()),
    )
    stored = connection.execute(sa.select(table).where(table.c.revision_id == revision_id)).first()
    shown = None if stored is None else json.loads(stored.body).get("traffic_steps")
    if stored is None or not shown:
        return []
    steps = [_Step(_naive(each["since"]), round(each["traffic"] * _SLOTS)) for each in shown]
    if newer[0].since > stored.generated_at and newer[0].slots != steps[-1].slots:
        return []
    return [*steps, *(each for each in newer if each.since > steps[-1].since)]


def _size(slots: list[list[int]]) -> int:
    return sum(end - start for start, end in slots)


def _naive(moment: str) -> datetime:
    return datetime.fromisoformat(moment).astimezone(UTC).replace(tzinfo=None)


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("ramp")
