"""How often facts were deleted

Revision: 20261122_deletions
Follows: 20261122_decisions
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_deletions"
down_revision = "20261122_decisions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("unit_keeping") as keeping:
        keeping.add_column(sa.Column("deletions", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop what was added."""
    with op.batch_alter_table("unit_keeping") as keeping:
        keeping.drop_column("deletions")
