"""What happens to readouts of experiments: they are computed from their facts, and looks are taken."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import Limits
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.canonical import digest
from equipoise_service.database import Database
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.events.stores.store import EventStore
from equipoise_service.experiments import repository, service
from equipoise_service.experiments.models import Experiment, Revision
from equipoise_service.experiments.planning import plan_of
from equipoise_service.plans import repository as plans
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.locking import plan_in_force
from equipoise_service.plans.looks import Look, NotDue, is_spent, next_look
from equipoise_service.plans.models import TakenLook
from equipoise_service.plans.repeats import repeated
from equipoise_service.privacy.deletions import settled_deletions
from equipoise_service.privacy.unit_ids import left_out_as_stored
from equipoise_service.readouts.ages import read_ages
from equipoise_service.readouts.beside import overlaps_of, ran_beside
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest, timestamp
from equipoise_service.readouts.daily import AskedDaily, asked_today, days_between
from equipoise_service.readouts.facts import analyse_plan
from equipoise_service.readouts.held import as_looked_at
from equipoise_service.readouts.losses import arrivals_of, dropped_between
from equipoise_service.readouts.missing import with_events
from equipoise_service.readouts.models import StoredReadout
from equipoise_service.readouts.pauses import Stretch, paused_for
from equipoise_service.readouts.population import asked_bots, asked_identity, asked_segments
from equipoise_service.readouts.progress import end_is_reached
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.ramps import steps_of, steps_shown, traffic_of
from equipoise_service.readouts.reading import readable
from equipoise_service.readouts.recomputed import recomputation_of
from equipoise_service.readouts.recorded import Deviation, Locked, SourceRead
from equipoise_service.readouts.repeating import Due
from equipoise_service.readouts.segments import changes_of_segments
from equipoise_service.readouts.standing import (
    asks_the_same,
    concluded_before,
    concluded_by,
    reads_the_same,
)
from equipoise_service.recomputation.service import randomisation_of
from equipoise_service.sources import service as sources


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that a readout is a function of.

    Attributes:
        revision: The revision.
        plan: Its plan, as it stands.
        looks: The looks that were taken so far.
        statistics: Its statistics now.
        provenance: Where they come from.
        before: The readout of the last look, or of a plan without looks the latest one; None without any.
    """

    revision: Revision
    plan: Plan
    looks: tuple[Look, ...]
    statistics: Statistics
    provenance: Provenance
    before: Mapping[str, Any] | None = None

    @property
    def is_looked_at(self) -> bool:
        """Whether the last look was at these statistics."""
        digests = [each.statistics_digest for each in self.looks[-1:]]
        return digests == [statistics_digest(self.plan, self.statistics)]

    def standing(self, *, in_look: bool) -> Provenance:
        """Where they come from, with what was found for good before.

        Args:
            in_look: Whether this is the last look itself, again, which does not stand on itself.
        """
        if self.before is None:
            return self.provenance
        found = concluded_before(self.before) if in_look else concluded_by(self.before)
        stands = (
            found is not None
            and asks_the_same(self.plan, found)
            and reads_the_same(self.provenance.sources, self.provenance.deviations, found)
        )
        return replace(self.provenance, concluded=found if stands else None)


def readout_now(found: Analysis) -> dict[str, Any]:
    """Computes the readout of an analysis. It spends nothing."""
    provenance = found.standing(in_look=found.is_looked_at)
    return build_readout(found.plan, found.statistics, provenance, found.looks)


def readout_of_due_look(found: Analysis) -> tuple[dict[str, Any], TakenLook]:
    """Computes the readout of the look that is due, and what spends its alpha when it is stored.

    Raises:
        Conflict: No look is due.
    """
    try:
        look = next_look(
            found.plan,
            mature_units(found.plan, found.statistics),
            found.looks,
            statistics_digest=statistics_digest(found.plan, found.statistics),
            taken_at=found.provenance.generated_at,
            started_at=found.revision.started_at,
            ended_at=found.revision.ended_at,
        )
    except NotDue as reason:
        raise Conflict(str(reason), type="no-look-due") from None
    provenance = found.standing(in_look=False)
    readout = build_readout(found.plan, found.statistics, provenance, (*found.looks, look))
    return readout, TakenLook(
        revision_id=found.revision.id or 0,
        number=look.number,
        look=look.model_dump(mode="json"),
        readout=readout,
    )


def take(session: Session, found: Analysis, look: TakenLook) -> None:
    """Stores a look: this spends alpha, once and for good.

    Raises:
        Conflict: The plan, or what it reads, was changed since it was read, or another process took the look
            meanwhile.
    """
    changed = (plan_in_force(session, look.revision_id) or found.plan) != found.plan
    if changed or len(_deviations(session, look.revision_id)) != len(found.provenance.deviations):
        raise Conflict("The plan was changed meanwhile. Take the look again.", type="no-look-due")
    session.add(look)
    try:
        session.flush()
    except IntegrityError:
        # The number is unique: whoever was first has spent the alpha, and nobody else does.
        raise Conflict(f"Look {look.number} was taken by another request.", type="no-look-due") from None


def taken_looks(session: Session, principal: Principal, key: str, revision: int | None) -> list[Look]:
    """The looks at a revision of an experiment, oldest first."""
    found = find_revision(session, principal, service.find(session, principal, key), revision)
    return [Look.model_validate(each.look) for each in plans.looks(session, found.id or 0)]


def readout_of_last_look(database: Database, revision_id: int) -> dict[str, Any]:
    """The readout of the latest look at a revision, which there is."""
    with database.read() as session:
        return plans.looks(session, revision_id)[-1].readout


def readout_of_look(
    session: Session, principal: Principal, key: str, number: int, revision: int | None
) -> dict[str, Any]:
    """The readout of a look, as it was when the look was taken.

    Raises:
        NotFound: There was no such look.
    """
    found = find_revision(session, principal, service.find(session, principal, key), revision)
    for each in plans.looks(session, found.id or 0):
        if each.number == number:
            return each.readout
    raise NotFound(f"There was no look {number} at revision {found.number} of {key}.")


def analyse(
    database: Database,
    store: EventStore,
    limits: Limits,
    principal: Principal,
    key: str,
    revision: int | None,
    *,
    again: Due | None = None,
) -> Analysis:
    """Reads the plan and computes the statistics of a revision, the latest where none is named.

    Args:
        database: Where the experiment is defined.
        store: Where its facts are.
        limits: What reading a source may take.
        principal: For whom.
        key: The experiment's key.
        revision: Number of the revision.
        again: The repeat that is made, of a holdback.
    """
    # The metadata are read first and let go of: a long analysis holds no transaction open in their database.
    with database.read() as session:
        experiment = service.find(session, principal, key)
        found = find_revision(session, principal, experiment, revision)
        revision_id = found.id or 0
        plan = plan_in_force(session, revision_id) or plan_of(experiment, found)
        taken = plans.looks(session, revision_id)
        looks = tuple(Look.model_validate(each.look) for each in taken)
        before = _before(session, plan, revision_id, taken) if again is None else None
        deviations = _deviations(session, revision_id)
        locked = _locked(session, revision_id, deviations)
        ended_at = until = found.ended_at
        if again is not None:
            # What happens to the holdback after that changes nothing.
            plan, ended_at, until = repeated(plan, again.repeat.days), None, again.at
            asked = digest(plan.document)
            locked = Locked(at=timestamp(found.started_at), digest=asked)
            deviations = [each.model_copy(update={"digest": asked}) for each in deviations]
        traffic = traffic_of(found)
        steps = steps_of(session, found)
        overridden = left_out_as_stored(repository.overridden_units(session, revision_id), store.unit_key)
        deleted = settled_deletions(session)
        read = {each: sources.definition(sources.find(session, principal, each)) for each in plan.sources}
        beside = ran_beside(session, experiment, found, principal.environment_id, datetime.now(UTC))
        pauses = [
            Stretch(each.started_at, each.ended_at) for each in repository.pauses_of(session, revision_id)
        ]
    now = datetime.now(UTC)
    request = StoreRequest(
        principal.place,
        key,
        found.number,
        plan.unit_type,
        plan.measures,
        now,
        until=until,
        left_out=overridden,
        segments=asked_segments(plan),
        bots=asked_bots(plan),
        identity=asked_identity(plan),
        deletions=deleted,
        since=found.started_at,
    )
    if request.identity is not None and store.unit_key:
        raise Conflict(
            f"The plan of {key} joins units by the property {request.identity.property}, which holds ids as "
            "they come, and unit ids are stored as keyed hashes here: nobody would be joined. Send each item "
            "with the ids of both unit types, and plan without identity.",
            type="unit-ids-hashed",
        )
    provenance = Provenance(
        key,
        found.number,
        now,
        started_at=found.started_at,
        ended_at=ended_at,
        traffic=traffic,
        steps=steps_shown(steps, pauses, until or now),
        paused=paused_for(pauses, now).total_seconds(),
        locked=locked,
        deviations=deviations,
        dropped=dropped_between(store, principal.place, found.started_at, until),
        arrivals=with_events(store, request, arrivals_of(store, request), pauses),
        holdback=found.holdback,
        repeat=None if again is None else again.repeat,
        sources=[SourceRead(key=each, digest=sources.digest_of(read[each])) for each in read],
    )
    statistics = analyse_plan(store, plan, request, read, limits)
    if before is not None and looks:
        for looked in readable([before]):
            statistics = as_looked_at(plan, statistics, looks[-1], looked)
    at_the_end = end_is_reached(
        plan,
        mature_units(plan, statistics),
        generated_at=now,
        started_at=found.started_at,
        ended_at=ended_at,
    )
    # What is newer than the last look is asked nothing, so what only the end is asked is not read for it.
    analysis = Analysis(found, plan, looks, statistics, provenance, before)
    newer = is_spent(plan, looks) and not analysis.is_looked_at
    recomputed = recomputation_of(store, plan, request, read, randomisation_of(found), statistics)
    is_daily = plan.is_always_valid and until is None
    today = asked_today(analysis.before, plan, provenance, request.as_of) if is_daily else None
    if today is None:
        due = days_between(found.started_at, now) >= 1 if is_daily else at_the_end and not newer
        today = AskedDaily(
            now if is_daily and due else None,
            read_ages(store, plan, request, read, limits) if due and found.holdback is None else None,
            overlaps_of(store, plan, request, read, beside, limits, asked=due),
        )
    return replace(
        analysis,
        statistics=replace(statistics, ages=today.ages),
        provenance=replace(provenance, overlaps=today.overlaps, recomputed=recomputed, asked_at=today.at),
    )


def _before(
    session: Session, plan: Plan, revision_id: int, taken: Sequence[TakenLook]
) -> Mapping[str, Any] | None:
    """The readout in which what was found for good is, or what stands in it."""
    if taken:
        return taken[-1].readout
    stored = session.get(StoredReadout, revision_id) if plan.is_always_valid else None
    return None if stored is None else json.loads(stored.body)


def _locked(session: Session, revision_id: int, deviations: Sequence[Deviation]) -> Locked | None:
    found = plans.locked_plan(session, revision_id)
    if found is None:
        return None
    locked = Locked(at=timestamp(found.locked_at), digest=found.digest)
    # Which segments were in it, its digest alone does not say.
    return (
        locked.model_copy(update={"plan": found.plan}) if changes_of_segments(deviations, locked) else locked
    )


def _deviations(session: Session, revision_id: int) -> list[Deviation]:
    return [
        Deviation(
            at=timestamp(each.made_at),
            by=each.made_by,
            reason=each.reason,
            changed=each.changed,
            digest=each.digest,
        )
        for each in plans.deviations(session, revision_id)
    ]


def find_revision(
    session: Session, principal: Principal, experiment: Experiment, number: int | None
) -> Revision:
    """A revision of an experiment in the principal's environment, where none is named the latest one.

    That of a holdback is the latest one never: what is read is what was decided on.

    Raises:
        NotFound: It has no such revision.
        Conflict: It was never started there.
    """
    run = repository.run_of(session, experiment.id or 0, principal.environment_id)
    revisions = repository.revisions_of(session, run.id or 0) if run else []
    if not revisions:
        raise Conflict(
            f"{experiment.key} was never started in {principal.environment}, so there is nothing to read. "
            "Start it first.",
            type="illegal-transition",
        )
    if number is None:
        return [each for each in revisions if each.holdback is None][-1]
    for revision in revisions:
        if revision.number == number:
            return revision
    raise NotFound(
        f"{experiment.key} has no revision {number} in {principal.environment}; the latest is "
        f"{revisions[-1].number}."
    )
