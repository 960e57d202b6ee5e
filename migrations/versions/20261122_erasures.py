"""Erasures of units, and how units are kept

Revision: 20261122_erasures
Follows: 20261122_plans_and_looks
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_erasures"
down_revision = "20261122_plans_and_looks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "erasure",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("unit_type", sa.String(), nullable=False),
        sa.Column("unit_hash", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(), nullable=False),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.Column("deleted", sa.JSON(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_erasure_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_erasure"),
        sa.UniqueConstraint("public_id", name="uq_erasure_public_id"),
    )
    op.create_index("ix_erasure_project_id", "erasure", ["project_id"])
    op.create_table(
        "unit_keeping",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("proof_key", sa.LargeBinary(), nullable=False),
        sa.Column("unit_key_check", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unit_keeping"),
    )


def downgrade() -> None:
    """Drop what was added. What proves erasures goes with it."""
    op.drop_table("unit_keeping")
    op.drop_table("erasure")
