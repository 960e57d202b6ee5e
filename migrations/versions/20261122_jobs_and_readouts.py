"""Jobs, and the readouts that they store

Revision: 20261122_jobs_and_readouts
Follows: 20261122_erasures
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_jobs_and_readouts"
down_revision = "20261122_erasures"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=True),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["environment_id"], ["environment.id"], name="fk_job_environment_id"),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_job_revision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("public_id", name="uq_job_public_id"),
        sa.UniqueConstraint("slot", name="uq_job_slot"),
    )
    op.create_index("ix_job_revision_id", "job", ["revision_id"])
    op.create_index("ix_job_status", "job", ["status"])
    op.create_index("ix_job_ended_at", "job", ["ended_at"])
    running = sa.text("status = 'running'")
    op.create_index(
        "uq_job_running",
        "job",
        ["revision_id"],
        unique=True,
        sqlite_where=running,
        postgresql_where=running,
    )
    op.create_table(
        "stored_readout",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("generated_at", sa.DateTime(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_stored_readout_revision_id"),
        sa.PrimaryKeyConstraint("revision_id", name="pk_stored_readout"),
    )
    op.create_table(
        "readout_schedule",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_readout_schedule_revision_id"),
        sa.PrimaryKeyConstraint("revision_id", name="pk_readout_schedule"),
    )
    op.create_index("ix_readout_schedule_next_at", "readout_schedule", ["next_at"])


def downgrade() -> None:
    """Drop what was added. Readouts are computed again when they are asked for."""
    op.drop_table("readout_schedule")
    op.drop_table("stored_readout")
    op.drop_table("job")
