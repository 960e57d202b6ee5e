"""What a flag is used by, so that it or one of its variants cannot go; what an archived flag is not for."""

from collections.abc import Collection, Sequence

from sqlmodel import Session

from equipoise_service.errors import Conflict
from equipoise_service.flags import repository
from equipoise_service.flags.models import Flag
from equipoise_service.flags.rules import variants_of
from equipoise_service.rollouts import repository as rollouts

_NAMED = 20
"""How many users a refusal names."""


def check_not_archived(flag: Flag) -> None:
    """Refuse what cannot be done to a flag that was put away.

    Raises:
        Conflict: It was.
    """
    if flag.archived_at is not None:
        raise Conflict(f"The flag {flag.key} was archived and cannot be changed.", type="frozen-field")


def check_archivable(session: Session, flag: Flag) -> None:
    """Refuse to archive a flag that something else depends on, in any environment.

    Raises:
        Conflict: An experiment is live on it, a rollout is, or it is a prerequisite; the error says which.
    """
    users = [
        f"the experiment {key} in {environment}"
        for key, environment in repository.live_experiments(session, flag.id or 0)
    ]
    users += [
        f"the rollout {rollout.key} in {environment}"
        for rollout, environment in rollouts.live_rollouts(session, flag.id or 0)
    ]
    users += [
        f"the prerequisites of {other.key} in {environment}"
        for other, state, environment in repository.states_of_project(session, flag.project_id)
        if any(each["flag"] == flag.key for each in state.prerequisites)
    ]
    if users:
        raise Conflict(
            f"The flag {flag.key} is used by {', '.join(users[:_NAMED])}. End these first.",
            type="in-use",
            used_by=users,
        )


def check_unused(session: Session, flag: Flag, variants: Collection[str]) -> None:
    """Refuse to take variants out of a flag that something refers to, in any environment.

    Raises:
        Conflict: A rule, an experiment, a rollout or a prerequisite names one; the error says which.
    """
    randomised = [
        (variant, f"the experiment {key}")
        for variant, key in repository.randomised_variants(session, flag.id or 0).items()
    ]
    _refuse(flag, variants, [*randomised, *_users(session, flag)])


def check_unreferenced(session: Session, flag: Flag, variants: Collection[str]) -> None:
    """Refuse to take variants out of a flag that something other than an experiment refers to.

    Raises:
        Conflict: A rule, a rollout or a prerequisite names one; the error says which.
    """
    _refuse(flag, variants, _users(session, flag))


def _refuse(flag: Flag, variants: Collection[str], users: Sequence[tuple[str, str]]) -> None:
    names = list(dict.fromkeys(user for variant, user in users if variant in variants))
    if names:
        raise Conflict(
            f"{', '.join(sorted(variants))} cannot be taken out of the flag {flag.key}: "
            f"used by {', '.join(names[:_NAMED])}.",
            type="in-use",
            used_by=names,
        )


def _users(session: Session, flag: Flag) -> list[tuple[str, str]]:
    """Each variant that a rule, a rollout or a prerequisite refers to, with what does."""
    users: list[tuple[str, str]] = []
    for rollout, environment in rollouts.live_rollouts(session, flag.id or 0):
        name = f"the rollout {rollout.key} in {environment}"
        users += [(rollout.from_variant, name), (rollout.to_variant, name)]
    for other, state, environment in repository.states_of_project(session, flag.project_id):
        if other.id == flag.id:
            for rule in state.rules:
                name = f"the rule {rule['key']} in {environment}"
                users += [(variant, name) for variant in variants_of(rule)]
        for each in state.prerequisites:
            if each["flag"] == flag.key:
                name = f"the prerequisites of {other.key} in {environment}"
                users += [(variant, name) for variant in each["variants"]]
    return users
