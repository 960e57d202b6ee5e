"""The traffic of a revision over time: units that came count by the traffic at which they came."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlmodel import Session

from equipoise import BUCKETS
from equipoise_service.experiments import repository
from equipoise_service.experiments.models import Revision
from equipoise_service.layers.slots import size
from equipoise_service.readouts.building import timestamp
from equipoise_service.readouts.pauses import Stretch, paused_for
from equipoise_service.readouts.recorded import TrafficStep


class Step(NamedTuple):
    """The traffic from a moment on.

    Attributes:
        since: The moment.
        traffic: Share of units that take part, until the next step.
    """

    since: datetime
    traffic: float


def traffic_of(revision: Revision) -> float:
    """The share of units that take part in a revision, of one that ended that of its end."""
    return size(revision.slots) / BUCKETS


def steps_of(session: Session, revision: Revision) -> list[Step]:
    """The traffic of a revision over time, oldest first; empty where it is not on record.

    Args:
        session: A session.
        revision: The revision.
    """
    return [
        # The first one is the start.
        Step(revision.started_at if each.number == 1 else each.since, each.slots / BUCKETS)
        for each in repository.ramps_of(session, revision.id or 0)
    ]


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
