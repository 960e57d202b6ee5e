"""What happens to experiments: they are registered, changed, started, stopped."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.experiments import repository
from equipoise_service.experiments.allocation import ranges_for, slots_for
from equipoise_service.experiments.lifecycle import Move, Status, allowed_moves, status_after
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.experiments.schemas import (
    ExperimentIn,
    ExperimentOut,
    ExperimentPatch,
    VariantIn,
    VariantOut,
)
from equipoise_service.flags import repository as flags
from equipoise_service.flags.models import Flag
from equipoise_service.flags.values import common_type, exact_values
from equipoise_service.layers.models import Layer
from equipoise_service.layers.service import make_layer, make_salt
from equipoise_service.metrics.schemas import Metric

_LIVE = (Status.RUNNING, Status.PAUSED)
_metrics = TypeAdapter(list[Metric])


def register(session: Session, principal: Principal, payload: ExperimentIn) -> Experiment:
    """Register an experiment as a draft, with the flag of the same key and a layer of its own.

    Raises:
        Conflict: The project has an experiment or a flag of that key.
    """
    project_id = principal.project_id
    if repository.experiment_by_key(session, project_id, payload.key) is not None:
        raise Conflict(f"There is an experiment {payload.key} already. Choose another key.")
    if flags.flag_by_key(session, project_id, payload.key) is not None:
        raise Conflict(f"There is a flag {payload.key} already. Choose another key.")
    now = datetime.now(UTC)
    layer = make_layer(session, project_id, payload.key)
    flag = Flag(project_id=project_id, key=payload.key, created_at=now, **_flag_fields(payload.variants))
    session.add(flag)
    session.flush()
    experiment = Experiment(
        project_id=project_id,
        flag_id=_id(flag.id),
        layer_id=_id(layer.id),
        key=payload.key,
        name=payload.name,
        hypothesis=payload.hypothesis,
        unit_type=payload.unit_type,
        traffic=payload.traffic,
        arms=_arms(payload.variants),
        metrics=_metrics.dump_python(payload.metrics, mode="json"),
        created_at=now,
        updated_at=now,
    )
    session.add(experiment)
    session.flush()
    return experiment


def find(session: Session, principal: Principal, key: str) -> Experiment:
    """The experiment of a key in the principal's project.

    Raises:
        NotFound: There is none.
    """
    experiment = repository.experiment_by_key(session, principal.project_id, key)
    if experiment is None:
        raise NotFound(f"There is no experiment {key} in the project {principal.project}.")
    return experiment


def change(session: Session, principal: Principal, experiment: Experiment, payload: ExperimentPatch) -> None:
    """Change an experiment's definition, in every environment.

    Where it runs or is paused, other traffic moves the slots and leaves every unit in its arm; other
    variants begin a new revision.

    Raises:
        Conflict: The experiment's status does not allow the change.
    """
    runs = repository.runs_of_experiment(session, _id(experiment.id))
    _check_change(principal, runs, payload)
    fields = payload.model_fields_set
    for name in fields & {"name", "hypothesis", "unit_type", "traffic"}:
        setattr(experiment, name, getattr(payload, name))
    if payload.metrics is not None:
        experiment.metrics = _metrics.dump_python(payload.metrics, mode="json")
    new_revision = payload.variants is not None and _change_variants(
        session, experiment, payload.variants, started=bool(runs)
    )
    live = [run for run in runs if run.status in _LIVE]
    for run in live:
        if new_revision:
            _begin_revision(session, experiment, run)
        elif "traffic" in fields:
            _change_slots(session, experiment, run)
    experiment.version += 1
    experiment.updated_at = datetime.now(UTC)
    session.add(experiment)


def move(session: Session, principal: Principal, experiment: Experiment, move: Move) -> None:
    """Move an experiment to another status in the principal's environment.

    A start begins a new revision; a pause and a resume keep it.

    Raises:
        Conflict: The present status does not allow the move.
    """
    now = datetime.now(UTC)
    run = repository.run_of(session, _id(experiment.id), principal.environment_id)
    before = Status(run.status) if run else Status.DRAFT
    after = status_after(move, before)
    if run is None:
        run = Run(experiment_id=_id(experiment.id), environment_id=principal.environment_id, status=after)
        session.add(run)
        session.flush()
    run.status = after
    run.version += 1
    if move is Move.START:
        run.started_at, run.stopped_at = now, None
        _begin_revision(session, experiment, run)
    if move is Move.STOP:
        run.stopped_at = now
        _end_revision(session, run, now)
    session.add(run)


def present(session: Session, principal: Principal, experiment: Experiment) -> tuple[ExperimentOut, str]:
    """The experiment's representation in the principal's environment, and its ETag."""
    flag = session.get_one(Flag, experiment.flag_id)
    layer = session.get_one(Layer, experiment.layer_id)
    run = repository.run_of(session, _id(experiment.id), principal.environment_id)
    status = Status(run.status) if run else Status.DRAFT
    revisions = repository.revisions_of(session, _id(run.id)) if run else []
    shown = ExperimentOut(
        key=experiment.key,
        name=experiment.name,
        hypothesis=experiment.hypothesis,
        unit_type=experiment.unit_type,
        flag=flag.key,
        layer=layer.key,
        variants=[VariantOut(value=flag.values[arm["key"]], **arm) for arm in experiment.arms],
        traffic=experiment.traffic,
        metrics=_metrics.validate_python(experiment.metrics),
        environment=principal.environment,
        status=status,
        allowed=allowed_moves(status),
        revision=revisions[-1].number if revisions else None,
        started_at=run.started_at if run else None,
        stopped_at=run.stopped_at if run else None,
        created_at=experiment.created_at,
        updated_at=experiment.updated_at,
    )
    return shown, f'"{experiment.id}-{experiment.version}-{run.version if run else 0}"'


def _check_change(principal: Principal, runs: Sequence[Run], payload: ExperimentPatch) -> None:
    here = next((run for run in runs if run.environment_id == principal.environment_id), None)
    if here is not None and here.status == Status.ARCHIVED:
        raise Conflict("An archived experiment cannot be changed.", type="frozen-field")
    if payload.unit_type is not None and runs:
        raise Conflict(
            "The unit type cannot be changed after the first start: units would be counted twice. "
            "Register another experiment.",
            type="frozen-field",
        )


def _change_variants(
    session: Session, experiment: Experiment, variants: list[VariantIn], *, started: bool
) -> bool:
    """Take over other variants; whether they differ at all.

    Once started, the flag keeps the values of variants that are taken out: their exposures still arrive.
    """
    flag = session.get_one(Flag, experiment.flag_id)
    fields = _flag_fields(variants)
    if started and fields["type"] != flag.type:
        raise Conflict(
            f"The flag's type is {flag.type} and code asks for it; after the first start it cannot become "
            f"{fields['type']}. Register another experiment.",
            type="frozen-field",
        )
    if started:
        fields["values"] = {**flag.values, **fields["values"]}
    arms = _arms(variants)
    same_flag = all(getattr(flag, name) == value for name, value in fields.items())
    if same_flag and experiment.arms == arms:
        return False
    for name, value in fields.items():
        setattr(flag, name, value)
    experiment.arms = arms
    session.add(flag)
    return True


def _begin_revision(session: Session, experiment: Experiment, run: Run) -> None:
    now = datetime.now(UTC)
    before = _end_revision(session, run, now)
    session.add(
        Revision(
            run_id=_id(run.id),
            number=before + 1,
            salt=make_salt(),
            slots=slots_for(experiment.traffic),
            ranges=ranges_for([(arm["key"], arm["weight"]) for arm in experiment.arms]),
            control=next(arm["key"] for arm in experiment.arms if arm["control"]),
            started_at=now,
        )
    )
    run.version += 1
    session.add(run)
    session.flush()


def _end_revision(session: Session, run: Run, now: datetime) -> int:
    """End the latest revision; its number, or 0 when there is none."""
    revisions = repository.revisions_of(session, _id(run.id))
    if not revisions:
        return 0
    latest = revisions[-1]
    latest.ended_at = latest.ended_at or now
    session.add(latest)
    return latest.number


def _change_slots(session: Session, experiment: Experiment, run: Run) -> None:
    latest = repository.revisions_of(session, _id(run.id))[-1]
    latest.slots = slots_for(experiment.traffic)
    session.add(latest)


def _flag_fields(variants: list[VariantIn]) -> dict[str, Any]:
    values = {variant.key: variant.value for variant in variants}
    flag_type = common_type(values.values())
    return {
        "type": flag_type.value,
        "values": exact_values(values, flag_type),
        "default_variant": next(variant.key for variant in variants if variant.control),
    }


def _arms(variants: list[VariantIn]) -> list[dict[str, Any]]:
    return [
        {"key": variant.key, "weight": variant.weight, "control": variant.control} for variant in variants
    ]


def _id(value: int | None) -> int:
    if value is None:
        raise RuntimeError("the row was not stored yet")
    return value
