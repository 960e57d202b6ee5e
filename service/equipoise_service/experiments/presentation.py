"""How experiments are shown, as they stand in an environment."""

from collections.abc import Sequence

from pydantic import BaseModel, JsonValue, TypeAdapter
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.experiments import repository
from equipoise_service.experiments.lifecycle import NOT_ON_ARCHIVED, Move, Status, allowed_moves
from equipoise_service.experiments.models import Experiment, Run
from equipoise_service.experiments.schemas import ExperimentOut, PauseOut, VariantOut
from equipoise_service.flags import repository as flags
from equipoise_service.flags.models import Flag
from equipoise_service.holdouts import repository as holdouts
from equipoise_service.http.preconditions import etag_of
from equipoise_service.layers import repository as layers
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans.schemas import PlanIn

MOST_PAUSES = 50
"""Of an experiment that was paused more often the last ones are shown."""

_metrics = TypeAdapter(list[PinnedMetric])


def present(session: Session, principal: Principal, experiment: Experiment) -> tuple[ExperimentOut, str]:
    """The experiment's representation in the principal's environment, and its ETag."""
    return present_all(session, principal, [experiment])[0]


def present_all(
    session: Session, principal: Principal, experiments: Sequence[Experiment]
) -> list[tuple[ExperimentOut, str]]:
    """The representations and ETags of several experiments: the same few queries, however many there are."""
    ids = [each.id or 0 for each in experiments]
    by_id = flags.flags_by_id(session, {each.flag_id for each in experiments})
    layer_keys = layers.keys(session, {each.layer_id for each in experiments})
    kept_out = holdouts.keys_by_experiment(session, principal.project_id, ids)
    runs = repository.runs_by_experiment(session, ids, principal.environment_id)
    run_ids = [run.id or 0 for run in runs.values()]
    latest = repository.latest_revisions(session, run_ids)
    pauses = repository.last_pauses(session, run_ids, MOST_PAUSES)
    shown = []
    for experiment in experiments:
        run = runs.get(experiment.id or 0)
        status = Status(run.status) if run else Status.DRAFT
        flag = by_id[experiment.flag_id]
        number, holdback = latest.get((run.id or 0) if run else 0, (None, None))
        out = ExperimentOut(
            key=experiment.key,
            name=experiment.name,
            hypothesis=experiment.hypothesis,
            unit_type=experiment.unit_type,
            flag=flag.key,
            layer=layer_keys[experiment.layer_id],
            variants=[VariantOut(value=flag.values[arm["key"]], **arm) for arm in experiment.arms],
            traffic=experiment.traffic,
            audience=experiment.audience,
            holdouts=kept_out.get(experiment.id or 0, []),
            overrides=experiment.overrides,
            sticky=experiment.sticky,
            metrics=_metrics.validate_python(experiment.metrics),
            plan=PlanIn.model_validate(experiment.plan),
            environment=principal.environment,
            status=status,
            allowed=_allowed(status, flag),
            revision=number,
            started_at=run.started_at if run else None,
            stopped_at=run.stopped_at if run else None,
            pauses=[
                PauseOut.model_validate(each, from_attributes=True)
                for each in pauses.get((run.id or 0) if run else 0, [])
            ],
            shipped=run.shipped if run else None,
            holdback=holdback if status is Status.HOLDING_BACK else None,
            created_at=experiment.created_at,
            updated_at=experiment.updated_at,
        )
        shown.append((out, _etag(experiment, run, flag)))
    return shown


class _Stand(BaseModel):
    """What an experiment's ETag stands for."""

    experiment: int | None
    version: int
    run_version: int
    values: dict[str, JsonValue]
    default: str


def _etag(experiment: Experiment, run: Run | None, flag: Flag) -> str:
    # The flag's part, too: who changes the arms must have seen what was changed through the flag meanwhile.
    return etag_of(
        _Stand(
            experiment=experiment.id,
            version=experiment.version,
            run_version=run.version if run else 0,
            values=flag.values,
            default=flag.default_variant,
        )
    )


def _allowed(status: Status, flag: Flag) -> list[Move]:
    """The moves that are allowed now, also by the flag."""
    archived = flag.archived_at is not None
    return [move for move in allowed_moves(status) if not (archived and move in NOT_ON_ARCHIVED)]
