"""Predictions from before the start, and decisions with the readouts that they were made on

Revision: 20261122_decisions
Follows: 20261122_jobs_and_readouts
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_decisions"
down_revision = "20261122_jobs_and_readouts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "prediction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("variant", sa.String(), nullable=True),
        sa.Column("lifts", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name="fk_prediction_experiment_id"),
        sa.ForeignKeyConstraint(["environment_id"], ["environment.id"], name="fk_prediction_environment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_prediction"),
    )
    op.create_index("ix_prediction_experiment_id", "prediction", ["experiment_id"])
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("variant", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("recommended", sa.String(), nullable=True),
        sa.Column("recommended_variant", sa.String(), nullable=True),
        sa.Column("against", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("readout_digest", sa.String(), nullable=False),
        sa.Column("readout", sa.LargeBinary(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("settled_by", sa.String(), nullable=True),
        sa.Column("settled_at", sa.DateTime(), nullable=True),
        sa.Column("settled_reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_decision_revision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_decision"),
        sa.UniqueConstraint("revision_id", "number", name="uq_decision_revision_id_number"),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("decision")
    op.drop_table("prediction")
