"""The traffic of a revision over time: units that came count by the traffic at which they came.

No table has ramps. Published versions of the configuration tell them, and only the latest of these are kept;
the stored readout of the revision has what earlier ones told.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from sqlmodel import Session, col, select

from equipoise import BUCKETS
from equipoise_service.evaluation.models import PublishedConfiguration
from equipoise_service.experiments.models import Revision
from equipoise_service.layers.slots import size
from equipoise_service.readouts.building import timestamp
from equipoise_service.readouts.models import StoredReadout
from equipoise_service.readouts.pauses import Stretch, paused_for
from equipoise_service.readouts.schemas import TrafficStep


class Step(NamedTuple):
    """The traffic from a moment on.

    Attributes:
        since: The moment.
        traffic: Share of units that take part, until the next step.
    """

    since: datetime
    traffic: float


class _Published(msgspec.Struct):
    revision: int | None = None
    slots: list[tuple[int, int]] = []


class _Document(msgspec.Struct):
    experiments: dict[str, _Published] = {}


class _Told(NamedTuple):
    """What the kept versions tell of a revision, and whether its beginning is in them."""

    steps: list[Step]
    whole: bool


def traffic_of(revision: Revision) -> float:
    """The share of units that take part in a revision, of one that ended that of its end."""
    return size(revision.slots) / BUCKETS


def steps_of(
    session: Session, environment_id: int, experiment: str, revision: Revision, now: datetime
) -> list[Step]:
    """The traffic of a revision over time, oldest first; empty where it is not on record as a whole.

    Args:
        session: A session.
        environment_id: Where it runs.
        experiment: The experiment's key.
        revision: The revision.
        now: The present moment.
    """
    if revision.holdback is not None:
        # No ramp moves its slots.
        return [Step(revision.started_at, traffic_of(revision))]
    told = _told(session, environment_id, experiment, revision.number)
    steps = told.steps
    if not told.whole:
        steps = _continued(session, revision, steps or [Step(now, traffic_of(revision))])
    if not steps:
        return []
    return _differing([Step(revision.started_at, steps[0].traffic), *steps[1:]])


def steps_shown(steps: Sequence[Step], pauses: Sequence[Stretch], until: datetime) -> list[TrafficStep]:
    """The same as a readout shows it: with how long each step lasted without pauses.

    Args:
        steps: They, oldest first.
        pauses: The pauses of the revision.
        until: When what is counted ends.
    """
    ends = [*(each.since for each in steps[1:]), until]
    return [
        TrafficStep(
            since=timestamp(step.since),
            traffic=step.traffic,
            seconds=_lasted(step.since, min(end, until), pauses),
        )
        for step, end in zip(steps, ends, strict=False)
    ]


def _lasted(begin: datetime, end: datetime, pauses: Sequence[Stretch]) -> float:
    paused = paused_for(pauses, end) - paused_for(pauses, begin)
    return max(0.0, (end - begin - paused).total_seconds())


def _told(session: Session, environment_id: int, experiment: str, number: int) -> _Told:
    versions = session.exec(
        select(
            PublishedConfiguration.version,
            PublishedConfiguration.published_at,
            PublishedConfiguration.document,
        )
        .where(PublishedConfiguration.environment_id == environment_id)
        .order_by(col(PublishedConfiguration.version))
    )
    steps: list[Step] = []
    begins = False
    for i, (version, published_at, document) in enumerate(versions):
        found = _documents.decode(document).experiments.get(experiment)
        is_it = found is not None and found.revision == number
        if i == 0:
            begins = version == 1 or not is_it
        if found is not None and is_it:
            steps.append(Step(published_at, size(found.slots) / BUCKETS))
    return _Told(steps, whole=begins and bool(steps))


def _continued(session: Session, revision: Revision, newer: Sequence[Step]) -> list[Step]:
    """The steps that the stored readout has, and newer ones; none where anything between is not known."""
    stored = session.get(StoredReadout, revision.id)
    shown = None if stored is None else json.loads(stored.body).get("traffic_steps")
    if stored is None or not shown:
        return []
    steps = [Step(datetime.fromisoformat(each["since"]), each["traffic"]) for each in shown]
    if newer[0].since > stored.generated_at and newer[0].traffic != steps[-1].traffic:
        return []
    return [*steps, *(each for each in newer if each.since > steps[-1].since)]


def _differing(steps: Iterable[Step]) -> list[Step]:
    found: list[Step] = []
    for each in steps:
        if not found or found[-1].traffic != each.traffic:
            found.append(each)
    return found


_documents = msgspec.json.Decoder(_Document)
