"""The flags' part of the configuration document."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from equipoise_service.flags import repository
from equipoise_service.flags.repository import UNCHANGED, Definition
from equipoise_service.flags.states import effective_rules
from equipoise_service.rollouts import repository as rollouts
from equipoise_service.rollouts.models import Rollout
from equipoise_service.rollouts.publication import published_rollout
from equipoise_service.segments.publication import segment_documents


def flag_documents(
    session: Session,
    project_id: int,
    environment_id: int,
    experiment_rules: Mapping[int, Mapping[str, dict[str, Any]]],
    experiment_flags: Collection[str],
    archived_since: datetime,
) -> dict[str, Any]:
    """The members of an environment's document that flags make: `flags`, and what their rules refer to.

    An archived flag stays for a while where an experiment ran on it, off and without rules, so that the
    experiment stays; otherwise it is left out. So is one that was made by registering an experiment, once it
    has no rule: it leaves with the experiment, unless it is a prerequisite of another flag here, or became a
    flag in its own right: a variant was shipped, or it was changed as a flag. That one serves its default.

    Args:
        session: The transaction that publishes.
        project_id: Whose flags.
        environment_id: Where.
        experiment_rules: The rule of each experiment that is attached to a flag, by the flag's id and the
            experiment's key, oldest experiment first. A flag's own rules may place them; those that they do
            not place come in this order before the first rule that leaves them nothing, or last. A rule that
            names an experiment not given here is left out.
        experiment_flags: The keys of the flags that an experiment of the document randomised.
        archived_since: Flags that were archived before this are left out.
    """
    states = repository.states_of_environment(session, environment_id)
    progressive = rollouts.rollouts_of_environment(session, environment_id)
    unit_types = repository.unit_types(session, project_id)
    documents: dict[str, Any] = {}
    definitions = repository.definitions(session, project_id)
    needed = {each["flag"] for flag in definitions for each in states.get(flag.id, UNCHANGED).prerequisites}
    for flag in definitions:
        state = states.get(flag.id, UNCHANGED)
        experiments = experiment_rules.get(flag.id, {})
        rules = [
            _rule(rule, experiments, progressive.get(flag.id, {}))
            for rule in effective_rules(state.rules, list(experiments))
        ]
        own = flag.unit_type is not None or flag.id in states
        if own or rules or flag.key in needed or flag.key in experiment_flags:
            documents[flag.key] = {
                "type": flag.type,
                "unit_type": flag.unit_type or unit_types[flag.id],
                "enabled": state.enabled,
                "variants": flag.variants,
                "default": flag.default,
                "prerequisites": state.prerequisites,
                "rules": rules,
            }
    for flag in repository.archived_since(session, project_id, archived_since):
        if flag.key in experiment_flags:
            documents[flag.key] = _archived(flag, unit_types)
    segments = segment_documents(session, project_id, documents.values())
    return {**({"segments": segments} if segments else {}), "flags": documents}


def _archived(flag: Definition, unit_types: Mapping[int, str]) -> dict[str, Any]:
    """A flag that is put away. What it needed may be put away before it leaves, so it needs nothing."""
    return {
        "type": flag.type,
        "unit_type": flag.unit_type or unit_types[flag.id],
        "enabled": False,
        "variants": flag.variants,
        "default": flag.default,
        "prerequisites": [],
        "rules": [],
    }


def _rule(
    rule: dict[str, Any], experiments: Mapping[str, dict[str, Any]], rollouts: Mapping[str, Rollout]
) -> dict[str, Any]:
    if "experiment" in rule:
        return {"key": rule["key"], **experiments[rule["experiment"]]}
    if "progressive_rollout" in rule:
        return {"key": rule["key"], **published_rollout(rollouts[rule["progressive_rollout"]])}
    return rule
