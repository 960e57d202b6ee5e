"""Which deletions of facts are under way

Revision: 20261122_deletions_under_way
Follows: 20261122_deletions
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_deletions_under_way"
down_revision = "20261122_deletions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "deletion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deletion"),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("deletion")
