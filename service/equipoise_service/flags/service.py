"""What happens to flags: they are made, changed and put away."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.exact import is_same
from equipoise_service.experiments.lifecycle import ENDED, Status
from equipoise_service.experiments.models import Experiment
from equipoise_service.flags import repository
from equipoise_service.flags.checking import check_prerequisites, check_readable, check_rules
from equipoise_service.flags.models import Flag, FlagState
from equipoise_service.flags.rules import stored_rules
from equipoise_service.flags.schemas import FlagIn, FlagPatch, VariantIn
from equipoise_service.flags.states import effective_rules, state_to_change
from equipoise_service.flags.uses import check_archivable, check_not_archived, check_unused
from equipoise_service.flags.values import FlagType, value_of_type
from equipoise_service.rollouts import repository as rollouts
from equipoise_service.segments.checking import invalid

_IN_ENVIRONMENT = {"enabled", "rules", "prerequisites"}


def make_flag(session: Session, principal: Principal, payload: FlagIn) -> Flag:
    """Make a flag, with its state in the principal's environment; elsewhere it is on and has no rules.

    Raises:
        Conflict: The project has a flag of that key.
        InvalidPayload: Values, rules or prerequisites are not right; the error names the place.
    """
    if repository.flag_by_key(session, principal.project_id, payload.key) is not None:
        raise Conflict(f"There is a flag {payload.key} already. Choose another key.")
    now = datetime.now(UTC)
    flag = Flag(
        project_id=principal.project_id,
        key=payload.key,
        name=payload.name,
        description=payload.description,
        type=payload.type,
        unit_type=payload.unit_type,
        values=_values(payload.variants, payload.type),
        default_variant=payload.default,
        created_at=now,
        updated_at=now,
    )
    _check_default(flag)
    session.add(flag)
    session.flush()
    state = _change_state(session, principal, flag, payload, fields=_IN_ENVIRONMENT)
    check_readable(session, flag, principal.environment_id, state)
    return flag


def find(session: Session, principal: Principal, key: str) -> Flag:
    """The flag of a key in the principal's project.

    Raises:
        NotFound: There is none.
    """
    flag = repository.flag_by_key(session, principal.project_id, key)
    if flag is None:
        raise NotFound(f"There is no flag {key} in the project {principal.project}.")
    return flag


def change(session: Session, principal: Principal, flag: Flag, payload: FlagPatch) -> None:
    """Change a flag: its rules, prerequisites and whether it is on in the environment, all else everywhere.

    Raises:
        Conflict: It was put away, or something uses what would go.
        InvalidPayload: Values, rules or prerequisites are not right; the error names the place.
    """
    check_not_archived(flag)
    fields = payload.model_fields_set
    before = dict(flag.values)
    for name in fields & {"name", "description"}:
        setattr(flag, name, getattr(payload, name))
    if payload.variants is not None:
        flag.values = _values(payload.variants, FlagType(flag.type))
        _check_randomised(session, flag, before)
    if payload.default is not None:
        flag.default_variant = payload.default
    _check_default(flag)
    flag.updated_at = datetime.now(UTC)
    session.add(flag)
    session.flush()
    if fields & _IN_ENVIRONMENT:
        state: FlagState | None = _change_state(session, principal, flag, payload, fields=fields)
    else:
        state = repository.state_of(session, flag.id or 0, principal.environment_id)
    # First what still names a variant: the payload need not have the place that a client could not read.
    if taken_out := before.keys() - flag.values.keys():
        check_unused(session, flag, taken_out)
    if fields & (_IN_ENVIRONMENT | {"variants", "default"}):
        check_readable(session, flag, principal.environment_id, state)


def archive(session: Session, flag: Flag) -> None:
    """Put a flag away for good: it leaves every environment's configuration, in time where experiments ran.

    Raises:
        Conflict: It was put away before, or something uses it; the error says what.
    """
    check_not_archived(flag)
    check_archivable(session, flag)
    flag.archived_at = flag.updated_at = datetime.now(UTC)
    session.add(flag)


def served_experiments(session: Session, flag: Flag, environment_id: int) -> list[tuple[Experiment, Status]]:
    """The experiments that a flag serves in an environment, oldest first: those that did not end there."""
    attached = repository.attached(session, [flag.id or 0], environment_id)
    return [(experiment, status) for experiment, status in attached if status not in ENDED]


def _change_state(
    session: Session,
    principal: Principal,
    flag: Flag,
    payload: FlagIn | FlagPatch,
    *,
    fields: Collection[str],
) -> FlagState:
    environment_id = principal.environment_id
    experiments = served_experiments(session, flag, environment_id)
    state = state_to_change(session, flag.id or 0, environment_id)
    state.rules = effective_rules(state.rules, [experiment.key for experiment, _ in experiments])
    if "enabled" in fields and payload.enabled is not None:
        state.enabled = payload.enabled
    if "rules" in fields and payload.rules is not None:
        progressive = rollouts.live_of_flag(session, flag.id or 0, environment_id)
        check_rules(payload.rules, experiments, progressive)
        state.rules = stored_rules(payload.rules, state.rules)
    if "prerequisites" in fields and payload.prerequisites is not None:
        check_prerequisites(session, flag, payload.prerequisites)
        state.prerequisites = [each.model_dump() for each in payload.prerequisites]
    session.add(state)
    session.flush()
    return state


def _values(variants: Sequence[VariantIn], flag_type: FlagType) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for index, variant in enumerate(variants):
        if variant.key in values:
            raise invalid(f"/variants/{index}/key", f"two variants have the key {variant.key}")
        try:
            values[variant.key] = value_of_type(variant.value, flag_type)
        except ValueError as error:
            raise invalid(f"/variants/{index}/value", str(error)) from None
    return values


def _check_default(flag: Flag) -> None:
    if flag.default_variant not in flag.values:
        known = ", ".join(flag.values)
        raise invalid("/default", f"there is no variant {flag.default_variant}; there are {known}")


def _check_randomised(session: Session, flag: Flag, before: dict[str, Any]) -> None:
    """Refuse other values for the arms of an experiment while it is live: it would compare something else."""
    changed = {
        key for key, value in before.items() if key in flag.values and not is_same(flag.values[key], value)
    }
    if not changed:
        return
    with session.no_autoflush:
        live = repository.live_arms(session, flag.id or 0)
    for experiment, arms in live:
        if held := changed & arms:
            raise Conflict(
                f"The experiment {experiment} is live and compares {', '.join(sorted(held))}: the values "
                "cannot change meanwhile. Stop it first.",
                type="frozen-field",
            )
