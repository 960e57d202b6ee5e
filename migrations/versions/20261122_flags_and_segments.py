"""Flags of their own, their state by environment, segments, progressive rollouts

Revision: 20261122_flags_and_segments
Follows: 20261122_layers_and_holdouts
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_flags_and_segments"
down_revision = "20261122_layers_and_holdouts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give flags what those made with an experiment did not need, and make the tables beside them."""
    with op.batch_alter_table("flag") as flag:
        flag.add_column(sa.Column("name", sa.String(), nullable=False, server_default=""))
        flag.add_column(sa.Column("description", sa.String(), nullable=False, server_default=""))
        flag.add_column(sa.Column("unit_type", sa.String(), nullable=True))
        flag.add_column(sa.Column("updated_at", sa.DateTime(), nullable=True))
        flag.add_column(sa.Column("archived_at", sa.DateTime(), nullable=True))
    op.execute("UPDATE flag SET updated_at = created_at")
    with op.batch_alter_table("flag") as flag:
        flag.alter_column("updated_at", existing_type=sa.DateTime(), nullable=False)

    op.create_table(
        "flag_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("flag_id", sa.Integer(), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("prerequisites", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["environment_id"], ["environment.id"], name="fk_flag_state_environment_id"),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name="fk_flag_state_flag_id"),
        sa.PrimaryKeyConstraint("id", name="pk_flag_state"),
        sa.UniqueConstraint("flag_id", "environment_id", name="uq_flag_state_flag_id_environment_id"),
    )
    op.create_index("ix_flag_state_environment_id", "flag_state", ["environment_id"])

    op.create_table(
        "segment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("condition", sa.JSON(), nullable=True),
        sa.Column("attribute", sa.String(), nullable=True),
        sa.Column("ids_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_segment_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_segment"),
        sa.UniqueConstraint("project_id", "key", name="uq_segment_project_id_key"),
    )
    op.create_table(
        "segment_ids",
        sa.Column("segment_id", sa.Integer(), nullable=False),
        sa.Column("ids", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name="fk_segment_ids_segment_id"),
        sa.PrimaryKeyConstraint("segment_id", name="pk_segment_ids"),
    )

    op.create_table(
        "progressive_rollout",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("flag_id", sa.Integer(), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("from_variant", sa.String(), nullable=False),
        sa.Column("to_variant", sa.String(), nullable=False),
        sa.Column("audience", sa.JSON(), nullable=True),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("guardrails", sa.JSON(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("seconds_left", sa.Float(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name="fk_progressive_rollout_environment_id"
        ),
        sa.ForeignKeyConstraint(["flag_id"], ["flag.id"], name="fk_progressive_rollout_flag_id"),
        sa.PrimaryKeyConstraint("id", name="pk_progressive_rollout"),
        sa.UniqueConstraint(
            "flag_id", "environment_id", "key", name="uq_progressive_rollout_flag_id_environment_id_key"
        ),
    )
    op.create_index("ix_progressive_rollout_due_at", "progressive_rollout", ["due_at"])
    op.create_index("ix_progressive_rollout_environment_id", "progressive_rollout", ["environment_id"])


def downgrade() -> None:
    """Drop the tables and what flags got."""
    op.drop_index("ix_progressive_rollout_environment_id", "progressive_rollout")
    op.drop_index("ix_progressive_rollout_due_at", "progressive_rollout")
    op.drop_table("progressive_rollout")
    op.drop_table("segment_ids")
    op.drop_table("segment")
    op.drop_index("ix_flag_state_environment_id", "flag_state")
    op.drop_table("flag_state")
    with op.batch_alter_table("flag") as flag:
        for column in ("archived_at", "updated_at", "unit_type", "description", "name"):
            flag.drop_column(column)
