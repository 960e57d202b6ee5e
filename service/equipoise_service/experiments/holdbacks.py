"""Holdbacks: a shipped variant is served to everybody but a few, who go on getting the control.

They are units that had the control before, so that they never met what was shipped: the holdback's revision
has the salt of the one before it, and its control has the beginning of the control's range of then.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from equipoise import BUCKETS
from equipoise_service.errors import Conflict
from equipoise_service.experiments import ramps, repository
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.experiments.planning import plan_of
from equipoise_service.experiments.variants import invalid
from equipoise_service.layers.models import Layer
from equipoise_service.layers.service import hold_again
from equipoise_service.plans import locking
from equipoise_service.plans import repository as plans
from equipoise_service.plans.repeats import monitored

Ranges = Sequence[Sequence[Any]]


def check(experiment: Experiment, before: Revision, variant: str, share: int) -> None:
    """Refuse a holdback that cannot be made of a revision.

    Args:
        experiment: The experiment.
        before: Its latest revision, whose units are held back.
        variant: What everybody else gets.
        share: Basis points of the experiment's units that are held back.

    Raises:
        InvalidPayload: The control is what is shipped.
        Conflict: The arms are others than the revision's, or its control had fewer units.
    """
    control = next(arm["key"] for arm in experiment.arms if arm["control"])
    if variant == control:
        raise invalid(
            "/holdback",
            f"{variant} is the control, which is what units that are held back get; leave the holdback out",
        )
    had = {key: end - start for key, start, end in before.ranges}
    if before.control != control or variant not in had:
        raise Conflict(
            f"The arms of {experiment.key} were changed since revision {before.number}, so nobody can go on "
            f"with the control of then while the others get {variant}. Ship it without a holdback, or start "
            "the experiment again first.",
            type="holdback-impossible",
            largest=0,
        )
    if share > had[control]:
        raise Conflict(
            f"{share:,} basis points of the units are to be held back, and the control had {had[control]:,}: "
            f"the others have met another variant by now. Hold back {had[control]:,} at most.",
            type="holdback-impossible",
            largest=had[control],
        )


def begin(
    session: Session, experiment: Experiment, run: Run, variant: str, share: int, now: datetime
) -> None:
    """Begin the revision in which a part of the control is held back. Its slots are those of before.

    Args:
        session: A session that writes.
        experiment: The experiment.
        run: Its run; the revision before has ended and its slots are free.
        variant: What everybody else gets.
        share: Basis points of the experiment's units that are held back.
        now: When it begins.

    Raises:
        InvalidPayload, Conflict: It cannot be made: see `check`; or its slots are others' by now.
    """
    before = repository.latest_revision(session, run.id or 0)
    if before is None:
        raise RuntimeError("what is shipped was started")
    check(experiment, before, variant, share)
    layer = session.get_one(Layer, experiment.layer_id)
    revision = Revision(
        run_id=before.run_id,
        number=before.number + 1,
        salt=before.salt,
        slots=hold_again(session, layer, run.environment_id, experiment.key, before.slots),
        ranges=ranges_with(before.ranges, before.control, variant, share),
        control=before.control,
        holdback=share,
        started_at=now,
    )
    session.add(revision)
    session.flush()
    ramps.begin(session, revision)
    plan = locking.plan_in_force(session, before.id or 0) or plan_of(experiment, before)
    weights = {before.control: share, variant: BUCKETS - share}
    locking.lock(session, revision.id or 0, monitored(plan, weights), at=now)
    noted = repository.overridden_units(session, before.id or 0)
    repository.add_overridden_units(session, revision.id or 0, dict.fromkeys([*noted, *experiment.overrides]))


def end(session: Session, revision: Revision) -> None:
    """Have what was decided on asked once more, now that nobody is held back any longer.

    Args:
        session: A session that writes.
        revision: The holdback's revision, which has ended.
    """
    if revision.ended_at is not None:
        plans.end_repeats(
            session, revision.id or 0, started_at=revision.started_at, ended_at=revision.ended_at
        )


def ranges_with(before: Ranges, control: str, variant: str, share: int) -> list[list[Any]]:
    """The ranges of a holdback: the beginning of the control's stays its own, all else is the variant's.

    Args:
        before: The ranges of the revision before.
        control: The control.
        variant: What everybody else gets.
        share: Basis points that are held back, at most those of the control.

    Example:
        >>> ranges_with([["new", 0, 5000], ["old", 5000, 10_000]], "old", "new", 500)
        [['new', 0, 5000], ['old', 5000, 5500], ['new', 5500, 10000]]
    """
    start = next(start for key, start, _ in before if key == control)
    end = start + share
    ranges = [[variant, 0, start], [control, start, end], [variant, end, BUCKETS]]
    return [each for each in ranges if each[1] < each[2]]
