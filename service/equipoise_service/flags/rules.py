"""Rules between the wire and the database."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equipoise_service.flags.ranges import ranges_for, shares_of
from equipoise_service.flags.schemas import Percentages, Rule, Share


def stored_rules(rules: Iterable[Rule], before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rules as the database keeps them.

    Args:
        rules: As they came.
        before: The flag's rules until now: a rollout of the same key keeps its salt and, as far as its shares
            allow, its ranges.
    """
    rollouts = {rule["key"]: rule["rollout"] for rule in before if "rollout" in rule}
    return [_stored(rule, rollouts.get(rule.key)) for rule in rules]


def shown_rules(rules: Iterable[Mapping[str, Any]]) -> list[Rule]:
    """Rules as they go over the wire."""
    return [
        Rule.model_validate({**rule, "rollout": _shown(rule["rollout"])} if "rollout" in rule else rule)
        for rule in rules
    ]


def variants_of(rule: Mapping[str, Any]) -> set[str]:
    """The variants that a stored rule names itself."""
    if "rollout" in rule:
        return {variant for variant, _, _ in rule["rollout"]["ranges"]}
    return {rule["variant"]} if "variant" in rule else set()


def _stored(rule: Rule, before: Mapping[str, Any] | None) -> dict[str, Any]:
    members = {
        "key": rule.key,
        "audience": rule.audience,
        "variant": rule.variant,
        "rollout": None if rule.rollout is None else _rollout(rule.rollout, before),
        "experiment": rule.experiment,
        "progressive_rollout": rule.progressive_rollout,
    }
    return {name: value for name, value in members.items() if value is not None}


def _rollout(rollout: Percentages, before: Mapping[str, Any] | None) -> dict[str, Any]:
    if before is not None and before.get("unit_type") != rollout.unit_type:
        before = None
    if before is not None and rollout.salt not in (None, before["salt"]):
        before = None
    shares = {each.variant: each.share for each in rollout.shares}
    stored = {
        "salt": rollout.salt or (before["salt"] if before else secrets.token_hex(8)),
        "ranges": [list(each) for each in ranges_for(shares, before["ranges"] if before else ())],
    }
    return stored if rollout.unit_type is None else {"unit_type": rollout.unit_type, **stored}


def _shown(rollout: Mapping[str, Any]) -> Percentages:
    shares = [Share(variant=variant, share=share) for variant, share in shares_of(rollout["ranges"]).items()]
    return Percentages(unit_type=rollout.get("unit_type"), salt=rollout["salt"], shares=shares)
