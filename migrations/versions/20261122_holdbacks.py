"""Holdbacks of shipped experiments, and the readouts that are repeated on them

Revision: 20261122_holdbacks
Follows: 20261122_deletions_under_way
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_holdbacks"
down_revision = "20261122_deletions_under_way"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("revision", sa.Column("holdback", sa.Integer(), nullable=True))
    op.add_column("decision", sa.Column("holdback", sa.Integer(), nullable=True))
    op.create_table(
        "repeated_readout",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("decided", sa.JSON(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=True),
        sa.Column("generated_at", sa.DateTime(), nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_repeated_readout_revision_id"),
        sa.PrimaryKeyConstraint("revision_id", "days", name="pk_repeated_readout"),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("repeated_readout")
    op.drop_column("decision", "holdback")
    op.drop_column("revision", "holdback")
