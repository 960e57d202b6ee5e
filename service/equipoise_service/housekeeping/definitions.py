"""Units in the metadata database: overrides, ids of segments, what was published or answered with them."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from sqlmodel import Session, col, select

from equipoise_service.accounts.models import ApiKey, Environment
from equipoise_service.evaluation.models import PublishedConfiguration
from equipoise_service.experiments.models import Experiment, OverriddenUnit, Revision, Run
from equipoise_service.http.idempotency import IdempotentAnswer
from equipoise_service.jobs.models import Job
from equipoise_service.jobs.schemas import Status
from equipoise_service.privacy.texts import names
from equipoise_service.segments import repository as segments
from equipoise_service.segments.models import Segment
from equipoise_service.segments.schemas import UNIT, IdsPatch
from equipoise_service.segments.service import change_ids
from equipoise_service.segments.users import audiences

_ids = msgspec.json.Decoder(list[str])


def remove_unit(session: Session, project_id: int, unit_type: str, unit: str) -> dict[str, int]:
    """Take a unit out of a project's definitions, in every environment and whatever their status.

    An audience that names the unit stays as it is, since it says who is compared; `count_unit` counts it.

    Returns:
        How many rows of each table named it.
    """
    removed = {"overrides": 0, "segment_ids": 0}
    for experiment in _overriding(session, project_id, unit_type, unit):
        experiment.overrides = {each: to for each, to in experiment.overrides.items() if each != unit}
        experiment.version += 1
        session.add(experiment)
        removed["overrides"] += 1
    for segment in _listing(session, project_id, unit_type, unit):
        change_ids(session, segment, IdsPatch(remove=[unit]))
        removed["segment_ids"] += 1
    noted = _noted(session, project_id, unit_type, unit)
    for overridden in noted:
        session.delete(overridden)
    removed["overridden_units"] = len(noted)
    return removed


def remove_copies(session: Session, project_id: int, unit_type: str, unit: str) -> dict[str, int]:
    """Delete what was made of the definitions and named a unit.

    These are published configurations but for the present ones, answers kept for repetition, and jobs that
    failed with an engine's words about it. Called when the definitions were published without it.
    """
    outdated = [
        each for each in _published(session, project_id, unit_type, unit) if not _is_latest(session, each)
    ]
    answers, jobs = _answers(session, project_id, unit), _jobs(session, project_id, unit)
    for each in (*outdated, *answers, *jobs):
        session.delete(each)
    return {"configurations": len(outdated), "answers": len(answers), "jobs": len(jobs)}


def count_unit(session: Session, project_id: int, unit_type: str, unit: str) -> dict[str, int]:
    """How many rows of each table of the metadata database name a unit."""
    conditions = [
        *(audience for _, audience in audiences(session, project_id)),
        *(each.condition for each in segments.segments(session, project_id) if each.condition is not None),
    ]
    return {
        "overrides": len(list(_overriding(session, project_id, unit_type, unit))),
        "overridden_units": len(_noted(session, project_id, unit_type, unit)),
        "segment_ids": len(list(_listing(session, project_id, unit_type, unit))),
        "audiences": sum(_asks_for(condition, unit) for condition in conditions),
        "configurations": sum(1 for _ in _published(session, project_id, unit_type, unit)),
        "answers": len(_answers(session, project_id, unit)),
        "jobs": len(_jobs(session, project_id, unit)),
    }


def _overriding(session: Session, project_id: int, unit_type: str, unit: str) -> Iterator[Experiment]:
    statement = select(Experiment).where(
        Experiment.project_id == project_id, Experiment.unit_type == unit_type
    )
    return (each for each in session.exec(statement) if unit in each.overrides)


def _noted(session: Session, project_id: int, unit_type: str, unit: str) -> list[OverriddenUnit]:
    statement = (
        select(OverriddenUnit)
        .join(Revision, col(OverriddenUnit.revision_id) == col(Revision.id))
        .join(Run, col(Revision.run_id) == col(Run.id))
        .join(Experiment, col(Run.experiment_id) == col(Experiment.id))
        .where(
            Experiment.project_id == project_id,
            Experiment.unit_type == unit_type,
            OverriddenUnit.unit == unit,
        )
    )
    return list(session.exec(statement))


def _listing(session: Session, project_id: int, unit_type: str, unit: str) -> Iterator[Segment]:
    for segment in segments.segments(session, project_id):
        if segment.condition is None and segment.attribute in (None, UNIT, unit_type):
            ids = segments.ids_of(session, segment.id or 0)
            if unit in _ids.decode(ids):
                yield segment


def _published(
    session: Session, project_id: int, unit_type: str, unit: str
) -> Iterator[PublishedConfiguration]:
    statement = (
        select(PublishedConfiguration)
        .join(Environment, col(PublishedConfiguration.environment_id) == col(Environment.id))
        .where(Environment.project_id == project_id)
    )
    for each in session.exec(statement):
        document = msgspec.json.decode(each.document)
        experiments = document.get("experiments", {}).values()
        lists = document.get("segments", {}).values()
        if any(
            unit in experiment.get("overrides", {}) and experiment["unit_type"] == unit_type
            for experiment in experiments
        ) or any(
            unit in segment.get("ids", ()) and segment["attribute"] in (UNIT, unit_type) for segment in lists
        ):
            yield each


def _is_latest(session: Session, published: PublishedConfiguration) -> bool:
    newer = select(PublishedConfiguration.id).where(
        PublishedConfiguration.environment_id == published.environment_id,
        PublishedConfiguration.version > published.version,
    )
    return session.exec(newer.limit(1)).first() is None


def _answers(session: Session, project_id: int, unit: str) -> list[IdempotentAnswer]:
    callers = (
        select(ApiKey.public_id)
        .join(Environment, col(ApiKey.environment_id) == col(Environment.id))
        .where(Environment.project_id == project_id)
    )
    statement = select(IdempotentAnswer).where(col(IdempotentAnswer.caller).in_(callers))
    return [each for each in session.exec(statement) if names(each.body.decode(errors="replace"), unit)]


def _jobs(session: Session, project_id: int, unit: str) -> list[Job]:
    """The jobs whose error names a unit, anywhere in it: engines quote the values that they cannot read."""
    statement = (
        select(Job)
        .join(Environment, col(Job.environment_id) == col(Environment.id))
        .where(Environment.project_id == project_id, Job.status == Status.FAILED)
    )
    return [each for each in session.exec(statement) if each.error and unit in each.error["detail"]]


def _asks_for(condition: Mapping[str, Any], unit: str) -> bool:
    """Whether a condition compares the unit's id with this one."""
    if "attribute" in condition:
        value = condition.get("value")
        return condition["attribute"] == UNIT and (
            value == unit or (isinstance(value, list) and unit in value)
        )
    if "not" in condition:
        return _asks_for(condition["not"], unit)
    return any(_asks_for(each, unit) for each in condition.get("all", condition.get("any", ())))
