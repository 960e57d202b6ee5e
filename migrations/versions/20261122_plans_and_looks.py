"""Plans, locked at the start, with their deviations, and the looks that were taken

Revision: 20261122_plans_and_looks
Follows: 20261122_metrics_and_sources
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_plans_and_looks"
down_revision = "20261122_metrics_and_sources"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. What runs keeps running without a locked plan, and its readouts say so."""
    with op.batch_alter_table("experiment") as experiment:
        experiment.add_column(sa.Column("plan", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "locked_plan",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("locked_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_locked_plan_revision_id"),
        sa.PrimaryKeyConstraint("revision_id", name="pk_locked_plan"),
    )
    op.create_table(
        "plan_deviation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("changed", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_plan_deviation_revision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_plan_deviation"),
        sa.UniqueConstraint("revision_id", "number", name="uq_plan_deviation_revision_id_number"),
    )
    op.create_table(
        "look",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("look", sa.JSON(), nullable=False),
        sa.Column("readout", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_look_revision_id"),
        sa.PrimaryKeyConstraint("id", name="pk_look"),
        sa.UniqueConstraint("revision_id", "number", name="uq_look_revision_id_number"),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("look")
    op.drop_table("plan_deviation")
    op.drop_table("locked_plan")
    with op.batch_alter_table("experiment") as experiment:
        experiment.drop_column("plan")
