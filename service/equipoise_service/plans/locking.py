"""The lock of a plan: set at the start by its digest, and every later change on record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from equipoise_service.canonical import digest
from equipoise_service.errors import Conflict
from equipoise_service.plans import repository
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.models import LockedPlan, PlanDeviation

_FROZEN_BY_LOOKS = ("alpha", "method", "horizon", "looks", "spending")


@dataclass(frozen=True)
class Deviation:
    """A change of a plan.

    Attributes:
        changed: JSON pointers to what differs in it from the plan before; what a source of it reads is at
            `/sources/KEY`.
        reason: Why.
        by: Public id of the key that changes it.
    """

    changed: list[str]
    reason: str
    by: str


def lock(
    session: Session, revision_id: int, plan: Plan, *, at: datetime, deviation: Deviation | None = None
) -> None:
    """Lock the plan of a revision that begins.

    Args:
        session: A session that writes.
        revision_id: Internal id of the revision.
        plan: Its plan.
        at: When it begins.
        deviation: What was changed of the plan of the revision before, where that goes on in this one.
    """
    document = plan.document
    session.add(LockedPlan(revision_id=revision_id, plan=document, digest=digest(document), locked_at=at))
    session.flush()
    if deviation is not None:
        _record(session, revision_id, plan, deviation, at=at)


def plan_in_force(session: Session, revision_id: int) -> Plan | None:
    """A revision's plan as it stands, its deviations included; None where none was locked."""
    changed = repository.deviations(session, revision_id)
    if changed:
        return Plan.model_validate(changed[-1].plan)
    locked = repository.locked_plan(session, revision_id)
    return None if locked is None else Plan.model_validate(locked.plan)


def deviate(
    session: Session, revision_id: int, plan: Plan, *, reason: str | None, by: str, at: datetime
) -> None:
    """Change a locked plan, and put on record who did it, when and why. Without a difference nothing happens.

    Args:
        session: A session that writes.
        revision_id: Internal id of the revision.
        plan: The plan from now on.
        reason: Why; needed where anything differs.
        by: Public id of the key that changes it.
        at: When.

    Raises:
        Conflict: No reason is given, or a look was taken under what would change.
    """
    before = plan_in_force(session, revision_id)
    deviation = deviation_from(before, plan, reason=reason, by=by)
    if before is None or deviation is None:
        return
    old, new = before.model_dump(mode="json"), plan.model_dump(mode="json")
    frozen = [name for name in _FROZEN_BY_LOOKS if old[name] != new[name]]
    if frozen and repository.looks(session, revision_id):
        raise Conflict(
            f"A look was taken under the plan's {', '.join(frozen)}, so it cannot be changed: alpha would be "
            "spent twice. Stop and start the experiment for another plan.",
            type="frozen-field",
        )
    _record(session, revision_id, plan, deviation, at=at)


def put_on_record(session: Session, revision_id: int, deviation: Deviation, *, at: datetime) -> None:
    """Put on record what changes for a locked plan while the plan itself stays, such as what a source reads.

    Args:
        session: A session that writes.
        revision_id: Internal id of the revision, which has a locked plan.
        deviation: What changes.
        at: When.
    """
    plan = plan_in_force(session, revision_id)
    if plan is not None:
        _record(session, revision_id, plan, deviation, at=at)


def deviation_from(before: Plan | None, plan: Plan, *, reason: str | None, by: str) -> Deviation | None:
    """The deviation that a plan is from the one in force; None where they do not differ.

    Args:
        before: The plan in force; None where none was locked, from which nothing differs.
        plan: The plan from now on.
        reason: Why; needed where anything differs.
        by: Public id of the key that changes it.

    Raises:
        Conflict: No reason is given.
    """
    if before is None or before == plan:
        return None
    changed = changed_places(before.model_dump(mode="json"), plan.model_dump(mode="json"))
    if reason is None:
        raise Conflict(
            f"The plan was locked at the start; this changes {', '.join(changed[:5])}. Give `deviation`, "
            "the reason, which every readout will show.",
            type="frozen-field",
        )
    return Deviation(changed, reason, by)


def changed_places(old: Any, new: Any, pointer: str = "") -> list[str]:
    """JSON pointers to where two documents differ, as deep as both have the same members.

    Example:
        >>> changed_places({"alpha": 0.05, "metrics": [{"key": "a"}]}, {"alpha": 0.01, "metrics": []})
        ['/alpha', '/metrics']
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.keys() == new.keys():
        return [each for name in old for each in changed_places(old[name], new[name], f"{pointer}/{name}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            each
            for i, pair in enumerate(zip(old, new, strict=True))
            for each in changed_places(*pair, f"{pointer}/{i}")
        ]
    return [] if old == new else [pointer or "/"]


def _record(session: Session, revision_id: int, plan: Plan, deviation: Deviation, *, at: datetime) -> None:
    document = plan.document
    session.add(
        PlanDeviation(
            revision_id=revision_id,
            number=len(repository.deviations(session, revision_id)) + 1,
            plan=document,
            digest=digest(document),
            changed=deviation.changed,
            reason=deviation.reason,
            made_by=deviation.by,
            made_at=at,
        )
    )
    session.flush()
