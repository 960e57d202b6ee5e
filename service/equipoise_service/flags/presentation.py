"""How flags are shown."""

from collections.abc import Sequence

from sqlmodel import Session

from equipoise_service.accounts.principals import Principal
from equipoise_service.experiments.lifecycle import ENDED, Status
from equipoise_service.experiments.models import Experiment
from equipoise_service.flags import repository
from equipoise_service.flags.models import Flag, FlagState
from equipoise_service.flags.rules import shown_rules
from equipoise_service.flags.schemas import AttachedExperiment, FlagOut, Prerequisite, VariantIn
from equipoise_service.flags.states import effective_rules
from equipoise_service.flags.values import FlagType


def present(session: Session, principal: Principal, flags: Sequence[Flag]) -> list[FlagOut]:
    """The representations of flags in the principal's environment."""
    ids = [flag.id or 0 for flag in flags]
    states = repository.states_of_flags(session, ids, principal.environment_id)
    attached: dict[int, list[tuple[Experiment, Status]]] = {}
    for experiment, status in repository.attached(session, ids, principal.environment_id):
        attached.setdefault(experiment.flag_id, []).append((experiment, status))
    return [
        _present(principal, flag, states.get(flag.id or 0), attached.get(flag.id or 0, [])) for flag in flags
    ]


def _present(
    principal: Principal,
    flag: Flag,
    state: FlagState | None,
    attached: Sequence[tuple[Experiment, Status]],
) -> FlagOut:
    served = [experiment.key for experiment, status in attached if status not in ENDED]
    made_for = attached[0][0].unit_type if attached else "user"
    return FlagOut(
        key=flag.key,
        name=flag.name or flag.key,
        description=flag.description,
        type=FlagType(flag.type),
        unit_type=flag.unit_type or made_for,
        variants=[VariantIn(key=key, value=value) for key, value in flag.values.items()],
        default=flag.default_variant,
        environment=principal.environment,
        enabled=state.enabled if state else True,
        rules=shown_rules(effective_rules(state.rules if state else (), served)),
        prerequisites=[Prerequisite(**each) for each in state.prerequisites] if state else [],
        experiments=[
            AttachedExperiment(key=experiment.key, status=status) for experiment, status in attached
        ],
        created_at=flag.created_at,
        updated_at=max(flag.updated_at, state.updated_at) if state else flag.updated_at,
        archived_at=flag.archived_at,
    )
