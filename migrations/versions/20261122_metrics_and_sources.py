"""Stored metrics with their versions, sources, and which experiment names which

Revision: 20261122_metrics_and_sources
Follows: 20261122_flags_and_segments
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_metrics_and_sources"
down_revision = "20261122_flags_and_segments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Metrics of experiments before them are definitions of their own, of the event store."""
    op.create_table(
        "metric",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("archived_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_metric_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_metric"),
        sa.UniqueConstraint("project_id", "key", name="uq_metric_project_id_key"),
    )
    op.create_table(
        "metric_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("metric_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["metric_id"], ["metric.id"], name="fk_metric_version_metric_id"),
        sa.PrimaryKeyConstraint("id", name="pk_metric_version"),
        sa.UniqueConstraint("metric_id", "number", name="uq_metric_version_metric_id_number"),
    )
    op.create_table(
        "metric_use",
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("source", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], name="fk_metric_use_experiment_id"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_metric_use_project_id"),
        sa.PrimaryKeyConstraint("experiment_id", "metric", name="pk_metric_use"),
    )
    op.create_index("ix_metric_use_project_id", "metric_use", ["project_id"])
    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("connection", sa.String(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("exposures", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_source_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
        sa.UniqueConstraint("project_id", "key", name="uq_source_project_id_key"),
    )


def downgrade() -> None:
    """Drop the tables. What experiments pinned stays with them."""
    op.drop_table("source")
    op.drop_index("ix_metric_use_project_id", "metric_use")
    op.drop_table("metric_use")
    op.drop_table("metric_version")
    op.drop_table("metric")
