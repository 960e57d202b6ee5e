"""A flag's rules in an environment: their order, and what experiments and rollouts change of it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session

from equipoise import BUCKETS
from equipoise_service.experiments.lifecycle import ENDED
from equipoise_service.flags import repository
from equipoise_service.flags.models import Flag, FlagState
from equipoise_service.flags.ranges import shares_of

Rule = Mapping[str, Any]
"""A rule as it is stored: see `FlagState`."""

_OF_OTHERS = {"experiment", "progressive_rollout"}
"""Members of the rules of experiments and rollouts. Only those that did not end have such a rule."""


def state_to_change(session: Session, flag_id: int, environment_id: int) -> FlagState:
    """A flag's state in an environment, made where there is none yet."""
    state = repository.state_of(session, flag_id, environment_id)
    if state is None:
        state = FlagState(flag_id=flag_id, environment_id=environment_id)
        session.add(state)
    state.updated_at = datetime.now(UTC)
    return state


def effective_rules(rules: Sequence[Rule], experiments: Collection[str]) -> list[dict[str, Any]]:
    """A flag's rules with those of experiments that they do not place yet.

    Such a rule comes before the first rule that leaves no unit to those after it, or last.

    Args:
        rules: As they are stored.
        experiments: Keys of the experiments that the flag serves, oldest first. Rules of others are left out.

    Example:
        >>> effective_rules([{"key": "all", "variant": "b"}], ["checkout"])
        [{'key': 'checkout', 'experiment': 'checkout'}, {'key': 'all', 'variant': 'b'}]
    """
    kept = [dict(rule) for rule in rules if "experiment" not in rule or rule["experiment"] in experiments]
    placed = {rule.get("experiment") for rule in kept}
    for key in experiments:
        if key not in placed:
            insert(kept, {"key": free_key(kept, key), "experiment": key})
    return kept


def insert(rules: list[dict[str, Any]], rule: dict[str, Any]) -> None:
    """Insert a rule where it can still match: before the first one that leaves nothing, or last."""
    at = next((index for index, each in enumerate(rules) if _leaves_nothing(each)), len(rules))
    rules.insert(at, rule)


def free_key(rules: Sequence[Rule], wanted: str) -> str:
    """A key that no rule has yet: the wanted one, if it is free."""
    taken = {rule["key"] for rule in rules}
    if wanted not in taken:
        return wanted
    return next(key for key in (f"{wanted[:120]}-{n}" for n in range(2, len(taken) + 3)) if key not in taken)


def ship_rule(
    session: Session, flag: Flag, environment_id: int, experiment: str, rule: Mapping[str, Any]
) -> None:
    """Put another rule where the rule of an experiment stood, under the same key: see `replace_rule`.

    Args:
        session: The write transaction.
        flag: Whose rules.
        environment_id: Where.
        experiment: Key of the experiment.
        rule: What is served instead, and to whom; its key is not asked.
    """
    replace_rule(session, flag.id or 0, environment_id, ("experiment", experiment), rule)


def ship_rule_behind(
    session: Session, flag: Flag, environment_id: int, experiment: str, rule: Mapping[str, Any]
) -> None:
    """Put another rule behind the rule of an experiment, for all whom that one does not place.

    If it leaves no unit to those after it, it comes behind the rules of all experiments and rollouts. The
    arguments are those of `ship_rule`.
    """
    state = state_to_change(session, flag.id or 0, environment_id)
    rules = _rules(session, state)
    at = next(index for index, each in enumerate(rules) if each.get("experiment") == experiment) + 1
    if _leaves_nothing(rule):
        at = _behind_others(rules, at)
    rules.insert(at, {**rule, "key": free_key(rules, f"{experiment[:120]}-shipped")})
    state.rules = rules
    session.add(state)
    session.flush()


def add_rule(session: Session, flag_id: int, environment_id: int, key: str, rule: Mapping[str, Any]) -> None:
    """Add a rule where it can still match, under a key as near to the wanted one as is free."""
    state = state_to_change(session, flag_id, environment_id)
    rules = _rules(session, state)
    insert(rules, {"key": free_key(rules, key), **rule})
    state.rules = rules
    session.add(state)
    session.flush()


def replace_rule(
    session: Session, flag_id: int, environment_id: int, place: tuple[str, str], rule: Mapping[str, Any]
) -> None:
    """Put another rule in the place of one that is named by a member and its value, under the same key.

    If it leaves no unit to those after it, it comes behind the rules of experiments and rollouts instead:
    what one of them ended with must not take the units of another that goes on.
    """
    state = state_to_change(session, flag_id, environment_id)
    member, named = place
    rules = _rules(session, state, replaced=named)
    at = next(index for index, each in enumerate(rules) if each.get(member) == named)
    replacing = {**rule, "key": rules.pop(at)["key"]}
    if _leaves_nothing(replacing):
        at = _behind_others(rules, at)
    rules.insert(at, replacing)
    state.rules = rules
    session.add(state)
    session.flush()


def _rules(session: Session, state: FlagState, replaced: str | None = None) -> list[dict[str, Any]]:
    """A flag's rules with those of its experiments, also of one that is just being replaced."""
    attached = repository.attached(session, [state.flag_id], state.environment_id)
    serving = [each.key for each, status in attached if status not in ENDED or each.key == replaced]
    return effective_rules(state.rules, serving)


def _behind_others(rules: Sequence[Rule], at: int) -> int:
    """A place, or the first one after it behind the rules of all experiments and rollouts."""
    return max([at, *(n + 1 for n, each in enumerate(rules) if each.keys() & _OF_OTHERS)])


def _leaves_nothing(rule: Rule) -> bool:
    """Whether a rule may match every unit, so that what comes after it would never be asked."""
    if "audience" in rule or "experiment" in rule:
        return False
    return "rollout" not in rule or sum(shares_of(rule["rollout"]["ranges"]).values()) == BUCKETS
