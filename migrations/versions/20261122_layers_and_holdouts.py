"""Shared layers, holdouts, audiences, overrides, several experiments on a flag, shipping

Revision: 20261122_layers_and_holdouts
Follows: 20261122_first_tables
"""

import sqlalchemy as sa
from alembic import op

revision = "20261122_layers_and_holdouts"
down_revision = "20261122_first_tables"
branch_labels = None
depends_on = None

_FIRST = "1970-01-01 00:00:00.000000"


def upgrade() -> None:
    """Take up what an experiment can be besides one flag and one layer of its own."""
    with op.batch_alter_table("layer") as layer:
        layer.add_column(sa.Column("name", sa.String(), nullable=False, server_default=""))
        layer.add_column(sa.Column("description", sa.String(), nullable=False, server_default=""))
        layer.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        layer.add_column(sa.Column("updated_at", sa.DateTime(), nullable=False, server_default=_FIRST))
    op.execute("UPDATE layer SET name = key, updated_at = created_at")
    op.create_table(
        "slot_holding",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("layer_id", sa.Integer(), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("taken", sa.JSON(), nullable=False),
        sa.Column("former", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environment.id"], name="fk_slot_holding_environment_id"
        ),
        sa.ForeignKeyConstraint(["layer_id"], ["layer.id"], name="fk_slot_holding_layer_id"),
        sa.PrimaryKeyConstraint("id", name="pk_slot_holding"),
        sa.UniqueConstraint(
            "layer_id",
            "environment_id",
            "experiment",
            name="uq_slot_holding_layer_id_environment_id_experiment",
        ),
    )
    with op.batch_alter_table("experiment") as experiment:
        experiment.drop_constraint("uq_experiment_flag_id", type_="unique")
        experiment.add_column(sa.Column("made_flag", sa.Boolean(), nullable=False, server_default=sa.true()))
        experiment.add_column(sa.Column("retired", sa.JSON(), nullable=False, server_default="[]"))
        experiment.add_column(sa.Column("audience", sa.JSON(), nullable=True))
        experiment.add_column(sa.Column("overrides", sa.JSON(), nullable=False, server_default="{}"))
        experiment.add_column(sa.Column("sticky", sa.Boolean(), nullable=False, server_default=sa.false()))
        experiment.create_index("ix_experiment_flag_id", ["flag_id"])
        experiment.create_index("ix_experiment_layer_id", ["layer_id"])
    with op.batch_alter_table("run") as run:
        run.add_column(sa.Column("archived_at", sa.DateTime(), nullable=True))
        run.add_column(sa.Column("shipped", sa.String(), nullable=True))
    op.create_table(
        "overridden_unit",
        sa.Column("revision_id", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["revision_id"], ["revision.id"], name="fk_overridden_unit_revision_id"),
        sa.PrimaryKeyConstraint("revision_id", "unit", name="pk_overridden_unit"),
    )
    op.create_table(
        "holdout",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("unit_type", sa.String(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=False),
        sa.Column("salt", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name="fk_holdout_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_holdout"),
        sa.UniqueConstraint("project_id", "key", name="uq_holdout_project_id_key"),
    )
    op.create_table(
        "held_out_experiment",
        sa.Column("experiment_id", sa.Integer(), nullable=False),
        sa.Column("holdout_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiment.id"], name="fk_held_out_experiment_experiment_id"
        ),
        sa.ForeignKeyConstraint(["holdout_id"], ["holdout.id"], name="fk_held_out_experiment_holdout_id"),
        sa.PrimaryKeyConstraint("experiment_id", "holdout_id", name="pk_held_out_experiment"),
    )
    op.create_index("ix_held_out_experiment_holdout_id", "held_out_experiment", ["holdout_id"])
    _hold_what_runs()
    _retire_what_was_taken_out()


def _hold_what_runs() -> None:
    """What is live owns the slots of its latest revision."""
    op.execute(
        """
        INSERT INTO slot_holding (layer_id, environment_id, experiment, taken, former)
        SELECT experiment.layer_id, run.environment_id, experiment.key, revision.slots, '[]'
        FROM run
        JOIN experiment ON experiment.id = run.experiment_id
        JOIN revision ON revision.run_id = run.id
        WHERE run.status IN ('running', 'paused')
          AND revision.number = (SELECT max(number) FROM revision AS later WHERE later.run_id = run.id)
        """
    )


def _retire_what_was_taken_out() -> None:
    """Variants that the flag knows and the experiment no longer has were taken out after a start."""
    connection = op.get_bind()
    experiment = sa.table(
        "experiment",
        sa.column("id", sa.Integer),
        sa.column("flag_id", sa.Integer),
        sa.column("arms", sa.JSON),
        sa.column("retired", sa.JSON),
    )
    flag = sa.table("flag", sa.column("id", sa.Integer), sa.column("values", sa.JSON))
    both = sa.select(experiment.c.id, experiment.c.arms, flag.c["values"]).join(
        flag, flag.c.id == experiment.c.flag_id
    )
    for id, arms, values in connection.execute(both).all():
        gone = sorted(set(values) - {arm["key"] for arm in arms})
        if gone:
            connection.execute(sa.update(experiment).where(experiment.c.id == id).values(retired=gone))


def downgrade() -> None:
    """Drop what was added. Several experiments on one flag do not go back."""
    op.drop_index("ix_held_out_experiment_holdout_id", "held_out_experiment")
    op.drop_table("held_out_experiment")
    op.drop_table("holdout")
    op.drop_table("overridden_unit")
    with op.batch_alter_table("run") as run:
        run.drop_column("shipped")
        run.drop_column("archived_at")
    with op.batch_alter_table("experiment") as experiment:
        experiment.drop_index("ix_experiment_layer_id")
        experiment.drop_index("ix_experiment_flag_id")
        for name in ("sticky", "overrides", "audience", "retired", "made_flag"):
            experiment.drop_column(name)
        experiment.create_unique_constraint("uq_experiment_flag_id", ["flag_id"])
    op.drop_table("slot_holding")
    with op.batch_alter_table("layer") as layer:
        for name in ("updated_at", "version", "description", "name"):
            layer.drop_column(name)
