"""The flags' part of the configuration document."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session

from equipoise_service.flags import repository
from equipoise_service.flags.models import Flag


def flag_documents(
    session: Session,
    project_id: int,
    environment_id: int,  # noqa: ARG001 - the rules of an environment will differ from another's
    experiment_rules: Mapping[int, Mapping[str, dict[str, Any]]],
) -> dict[str, Any]:
    """The members of an environment's document that flags make: `flags`, and what their rules refer to.

    Args:
        session: The transaction that publishes.
        project_id: Whose flags.
        environment_id: Where.
        experiment_rules: The rule of each experiment that is attached to a flag, by the flag's id and the
            experiment's key, oldest experiment first. A flag's own rules may place them; those that they do
            not place come last, in this order. A rule that names an experiment not given here is left out.
    """
    return {
        "flags": {
            flag.key: _flag(flag, experiment_rules[flag.id])
            for flag in repository.flags(session, project_id)
            if flag.id in experiment_rules
        }
    }


def _flag(flag: Flag, rules: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "type": flag.type,
        "variants": flag.values,
        "default": flag.default_variant,
        "rules": list(rules.values()),
    }
