"""When experiments were paused, and by whom

Revision: 20261122_pauses
Follows: 20261122_holdbacks
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "20261122_pauses"
down_revision = "20261122_holdbacks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, with the pauses that go on: since when is not known, so they are on record from now on."""
    op.create_table(
        "pause",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("started_by", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_pause_revision_id"),
        sa.PrimaryKeyConstraint("revision_id", "number", name="pk_pause"),
    )
    statement = sa.text(
        "INSERT INTO pause (revision_id, number, started_at) "
        "SELECT revision.id, 1, :now FROM revision JOIN run ON run.id = revision.run_id "
        "WHERE run.status = 'paused' AND revision.ended_at IS NULL"
    ).bindparams(sa.bindparam("now", datetime.now(UTC).replace(tzinfo=None), sa.DateTime()))
    op.execute(statement)


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("pause")
