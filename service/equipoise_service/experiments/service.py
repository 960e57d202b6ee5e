"""What happens to the definition of an experiment: it is registered and changed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlmodel import Session

from equipoise_service.accounts import repository as accounts
from equipoise_service.accounts.models import Environment
from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.exact import is_same
from equipoise_service.experiments import repository
from equipoise_service.experiments.lifecycle import LIVE, OPEN, Status
from equipoise_service.experiments.models import Experiment, Run
from equipoise_service.experiments.planning import check_plan, deviation_of, follow_plan
from equipoise_service.experiments.runs import begin_revision, follow_traffic, note_overrides
from equipoise_service.experiments.schemas import ExperimentIn, ExperimentPatch, VariantIn
from equipoise_service.experiments.variants import (
    arms_of,
    check_attached,
    check_overrides,
    flag_fields,
    followed_fields,
    invalid,
)
from equipoise_service.flags import repository as flags
from equipoise_service.flags.checking import check_readable
from equipoise_service.flags.models import Flag
from equipoise_service.flags.uses import check_not_archived, check_unreferenced
from equipoise_service.holdouts import repository as holdouts
from equipoise_service.layers import repository as layers
from equipoise_service.layers.models import Layer
from equipoise_service.layers.schemas import LayerIn
from equipoise_service.layers.service import make_layer
from equipoise_service.metrics.service import note_uses, pin
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.segments.checking import check_audience

_OF_LIVE_RUNS = {"overrides", "traffic"}
"""Fields that nothing on record about a run that ended is made of."""

_metrics = TypeAdapter(list[PinnedMetric])


def register(session: Session, principal: Principal, payload: ExperimentIn) -> Experiment:
    """Register an experiment as a draft.

    Without a flag or a layer, those of the same key are made for it.

    Raises:
        Conflict: The project has an experiment of that key, or a flag or layer that would have to be made.
        InvalidPayload: It names what does not exist, or its arms do not fit the flag.
    """
    project_id = principal.project_id
    if repository.experiment_by_key(session, project_id, payload.key) is not None:
        raise Conflict(f"There is an experiment {payload.key} already. Choose another key.")
    if payload.audience is not None:
        check_audience(session, project_id, payload.audience, "/audience")
    metrics = pin(session, project_id, payload.metrics)
    flag = _flag_for(session, project_id, payload)
    now = datetime.now(UTC)
    experiment = Experiment(
        project_id=project_id,
        flag_id=_id(flag.id),
        made_flag=payload.flag is None,
        layer_id=_layer_for(session, project_id, payload),
        key=payload.key,
        name=payload.name,
        hypothesis=payload.hypothesis,
        unit_type=_unit_type(session, flag, payload),
        traffic=payload.traffic,
        arms=arms_of(payload.variants),
        audience=payload.audience,
        overrides=payload.overrides,
        sticky=payload.sticky,
        metrics=_metrics.dump_python(metrics, mode="json"),
        plan=payload.plan.model_dump(mode="json"),
        created_at=now,
        updated_at=now,
    )
    check_overrides(experiment, "/overrides")
    check_plan(experiment)
    _check_unit_type(session, experiment, "/layer")
    session.add(experiment)
    session.flush()
    _name_holdouts(session, experiment, payload.holdouts)
    note_uses(session, project_id, _id(experiment.id), experiment.key, metrics)
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
    variants, another audience and other holdouts begin a new revision, because who is compared changes.
    Metrics and plan change there with a reason only, whether or not a new revision begins with them.

    Raises:
        Conflict: The experiment's status does not allow the change, or the layer has not enough free slots.
        InvalidPayload: It names what does not exist, or does not fit the flag.
    """
    runs = repository.runs_of_experiment(session, _id(experiment.id))
    _check_change(session, principal, runs, payload)
    fields = payload.model_fields_set
    for name in fields & {"name", "hypothesis", "unit_type", "traffic", "sticky", "overrides"}:
        setattr(experiment, name, getattr(payload, name))
    if payload.metrics is not None:
        metrics = pin(session, principal.project_id, payload.metrics)
        experiment.metrics = _metrics.dump_python(metrics, mode="json")
        note_uses(session, principal.project_id, _id(experiment.id), experiment.key, metrics)
    if payload.plan is not None:
        experiment.plan = payload.plan.model_dump(mode="json")
    if fields & {"metrics", "plan"}:
        check_plan(experiment)
    if payload.layer is not None:
        experiment.layer_id = _existing_layer(session, principal.project_id, payload.layer)
    if fields & {"unit_type", "layer"}:
        _check_unit_type(session, experiment, "/unit_type" if "unit_type" in fields else "/layer")
        _check_flag_readable(session, experiment)
    new_revision = _change_who_is_compared(session, experiment, payload, started=bool(runs))
    if fields & {"overrides", "variants"}:
        check_overrides(experiment, "/overrides" if "overrides" in fields else "/variants")
    if new_revision:
        _check_nobody_is_held_back(session, runs)
    by, reason = principal.public_id, payload.deviation
    for run in (run for run in runs if run.status in LIVE):
        planned = repository.latest_revision(session, _id(run.id)) if fields & {"metrics", "plan"} else None
        if new_revision:
            changed = deviation_of(session, experiment, planned, reason=reason, by=by) if planned else None
            begin_revision(session, experiment, run, by, changed)
            continue
        if "traffic" in fields:
            follow_traffic(session, experiment, run)
        if planned is not None:
            follow_plan(session, experiment, planned, reason=reason, by=by)
    if "overrides" in fields:
        for run in (run for run in runs if run.status in OPEN):
            note_overrides(session, experiment, run)
    experiment.version += 1
    experiment.updated_at = datetime.now(UTC)
    session.add(experiment)


def _flag_for(session: Session, project_id: int, payload: ExperimentIn) -> Flag:
    flag = flags.flag_by_key(session, project_id, payload.flag or payload.key)
    if payload.flag is not None:
        if flag is None:
            raise invalid("/flag", f"there is no flag {payload.flag}")
        check_not_archived(flag)
        if payload.type is not None and payload.type != flag.type:
            raise invalid("/type", f"the flag {flag.key} is of type {flag.type}; leave it out")
        check_attached(flag, payload.variants)
        return flag
    if flag is not None:
        raise Conflict(
            f"There is a flag {payload.key} already. Name it as the experiment's flag, or choose another key."
        )
    made = Flag(
        project_id=project_id,
        key=payload.key,
        created_at=datetime.now(UTC),
        **flag_fields(payload.variants, payload.type),
    )
    session.add(made)
    session.flush()
    return made


def _unit_type(session: Session, flag: Flag, payload: ExperimentIn) -> str:
    """The unit type that the payload names, else what the flag is asked for."""
    if "unit_type" in payload.model_fields_set:
        return payload.unit_type
    if flag.unit_type is not None:
        return flag.unit_type
    return flags.unit_types(session, flag.project_id).get(_id(flag.id), payload.unit_type)


def _layer_for(session: Session, project_id: int, payload: ExperimentIn) -> int:
    if payload.layer is not None:
        return _existing_layer(session, project_id, payload.layer)
    return _id(make_layer(session, project_id, LayerIn(key=payload.key, name=payload.name)).id)


def _existing_layer(session: Session, project_id: int, key: str) -> int:
    layer = layers.layer_by_key(session, project_id, key)
    if layer is None:
        raise invalid("/layer", f"there is no layer {key}")
    return _id(layer.id)


def _check_unit_type(session: Session, experiment: Experiment, pointer: str) -> None:
    other = repository.other_unit_type_in_layer(
        session, experiment.layer_id, experiment.unit_type, besides=experiment.id
    )
    if other is not None:
        layer = session.get_one(Layer, experiment.layer_id)
        raise invalid(
            pointer,
            f"the layer {layer.key} holds {other[0]}, which randomises {other[1]!r} and not "
            f"{experiment.unit_type!r}; only experiments on one unit type can exclude each other",
        )


def _check_flag_readable(session: Session, experiment: Experiment) -> None:
    """A flag that was made with an experiment is asked for with its units, and so are its prerequisites."""
    session.add(experiment)
    session.flush()
    flag = session.get_one(Flag, experiment.flag_id)
    for environment, _ in accounts.environments(session):
        if environment.project_id == experiment.project_id and flag.archived_at is None:
            state = flags.state_of(session, _id(flag.id), _id(environment.id))
            check_readable(session, flag, _id(environment.id), state)


def _name_holdouts(session: Session, experiment: Experiment, keys: Sequence[str]) -> bool:
    """Make an experiment name these holdouts; whether they differ from those before."""
    found = {each.key: _id(each.id) for each in holdouts.holdouts(session, experiment.project_id)}
    for index, key in enumerate(keys):
        if key not in found:
            raise invalid(f"/holdouts/{index}", f"there is no holdout {key}")
    before = holdouts.keys_by_experiment(session, experiment.project_id, [_id(experiment.id)])
    if set(before.get(_id(experiment.id), ())) == set(keys):
        return False
    holdouts.name_holdouts(session, _id(experiment.id), [found[key] for key in keys])
    return True


def _check_change(
    session: Session, principal: Principal, runs: Sequence[Run], payload: ExperimentPatch
) -> None:
    fields = payload.model_fields_set
    for run in runs:
        here = run.environment_id == principal.environment_id
        if run.status == Status.ARCHIVED and (here or fields - _OF_LIVE_RUNS):
            environment = session.get_one(Environment, run.environment_id).key
            raise Conflict(
                f"The experiment is archived in the environment {environment}: what it was stays on record, "
                "and cannot be changed from any other. Register another experiment."
                + (
                    ""
                    if here
                    else f" Only {' and '.join(sorted(_OF_LIVE_RUNS))} may follow where it is live."
                ),
                type="frozen-field",
            )
    for name, why in (("unit_type", "units would be counted twice"), ("layer", "its slots are of the other")):
        if name in payload.model_fields_set and runs:
            raise Conflict(
                f"The {name.replace('_', ' ')} cannot be changed after the first start: {why}. "
                "Register another experiment.",
                type="frozen-field",
            )


def _check_nobody_is_held_back(session: Session, runs: Sequence[Run]) -> None:
    for run in runs:
        if run.status == Status.HOLDING_BACK:
            environment = session.get_one(Environment, run.environment_id).key
            raise Conflict(
                f"The experiment holds units back from {run.shipped} in the environment {environment}, and "
                "they are compared with all others: its variants, audience and holdouts cannot change "
                "meanwhile. End the holdback first.",
                type="frozen-field",
            )


def _change_who_is_compared(
    session: Session, experiment: Experiment, payload: ExperimentPatch, *, started: bool
) -> bool:
    """Take over other variants, another audience, other holdouts; whether anything differs at all."""
    differs = False
    if payload.variants is not None:
        differs = _change_variants(session, experiment, payload.variants, started=started)
    if "audience" in payload.model_fields_set and not is_same(payload.audience, experiment.audience):
        if payload.audience is not None:
            check_audience(session, experiment.project_id, payload.audience, "/audience")
        experiment.audience = payload.audience
        differs = True
    if payload.holdouts is not None:
        differs |= _name_holdouts(session, experiment, payload.holdouts)
    return differs


def _change_variants(
    session: Session, experiment: Experiment, variants: list[VariantIn], *, started: bool
) -> bool:
    """Take over other variants; whether they differ at all.

    Once started, the variants that are taken out are remembered: their exposures still arrive.
    """
    flag = session.get_one(Flag, experiment.flag_id)
    check_not_archived(flag)
    own = experiment.made_flag and len(repository.experiments_of_flag(session, _id(flag.id))) == 1
    if not own:
        check_attached(flag, variants)
    differs = own and _change_flag(session, flag, experiment.arms, variants, started=started)
    arms = arms_of(variants)
    if arms == experiment.arms:
        return differs
    if started:
        present = {arm["key"] for arm in arms}
        known = dict.fromkeys([*experiment.retired, *(arm["key"] for arm in experiment.arms)])
        experiment.retired = [key for key in known if key not in present]
    experiment.arms = arms
    return True


def _change_flag(
    session: Session,
    flag: Flag,
    arms: Sequence[Mapping[str, Any]],
    variants: Sequence[VariantIn],
    *,
    started: bool,
) -> bool:
    """Make the flag that belongs to an experiment alone follow its arms; whether it differs at all."""
    fields = followed_fields(flag, arms, variants, started=started)
    if all(is_same(getattr(flag, name), value) for name, value in fields.items()):
        return False
    check_unreferenced(session, flag, flag.values.keys() - fields["values"].keys())
    for name, value in fields.items():
        setattr(flag, name, value)
    session.add(flag)
    return True


def _id(value: int | None) -> int:
    if value is None:
        raise RuntimeError("the row was not stored yet")
    return value
