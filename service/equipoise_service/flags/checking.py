"""Hold a flag's rules and prerequisites against what there is, and against the SDK's own reader."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlmodel import Session

from equipoise import BUCKETS
from equipoise_service.errors import Conflict
from equipoise_service.experiments.lifecycle import OPEN, Status
from equipoise_service.experiments.models import Experiment
from equipoise_service.flags import repository
from equipoise_service.flags.models import Flag, FlagState
from equipoise_service.flags.repository import UNCHANGED
from equipoise_service.flags.schemas import Prerequisite, Rule
from equipoise_service.rollouts.models import Rollout
from equipoise_service.segments.checking import check_known, invalid, load_fragment
from equipoise_service.segments.publication import segment_stubs


def check_rules(
    rules: Sequence[Rule],
    experiments: Sequence[tuple[Experiment, Status]],
    rollouts: Mapping[str, Rollout],
) -> None:
    """Hold the rules of a flag against the experiments and rollouts that it has in the environment.

    Args:
        rules: As they came.
        experiments: Those attached to the flag that did not end there, with their status.
        rollouts: The flag's rollouts that run or are held there, by key.

    Raises:
        InvalidPayload: A key, an experiment or a rollout comes twice, or there is no such one.
        Conflict: The rule of a live experiment or rollout is missing, or one that did not end comes behind a
            rule that leaves it no unit.
    """
    attached = {experiment.key for experiment, _ in experiments}
    _check_distinct(rules, "key", None)
    _check_distinct(rules, "experiment", attached)
    _check_distinct(rules, "progressive_rollout", rollouts)
    for experiment, status in experiments:
        if status in OPEN and all(rule.experiment != experiment.key for rule in rules):
            raise Conflict(
                f"The experiment {experiment.key} is {status} and has no rule among these. "
                "Stop it first, or keep its rule.",
                type="in-use",
                used_by=[f"the experiment {experiment.key}"],
            )
    for key, rollout in rollouts.items():
        if all(rule.progressive_rollout != key for rule in rules):
            raise Conflict(
                f"The rollout {key} is {rollout.status} and has no rule among these. "
                "Roll it back or complete it first, or keep its rule.",
                type="in-use",
                used_by=[f"the rollout {key}"],
            )
    # Those that did not start, too: they would start without a unit, and nothing would say so.
    _check_reached(rules, rollouts)


def check_prerequisites(session: Session, flag: Flag, prerequisites: Sequence[Prerequisite]) -> None:
    """Hold the prerequisites of a flag against the flags of its project.

    Raises:
        InvalidPayload: There is no such flag or variant, or it was put away.
    """
    for index, each in enumerate(prerequisites):
        needed = repository.flag_by_key(session, flag.project_id, each.flag)
        if needed is None or needed.archived_at is not None:
            raise invalid(f"/prerequisites/{index}/flag", f"there is no flag {each.flag}")
        for place, variant in enumerate(each.variants):
            if variant not in needed.values:
                raise invalid(
                    f"/prerequisites/{index}/variants/{place}",
                    f"the flag {each.flag} has no variant {variant}; it has {', '.join(needed.values)}",
                )


def check_readable(session: Session, flag: Flag, environment_id: int, state: FlagState | None) -> None:
    """Read the flag, what it needs and what needs it, as every client will.

    Args:
        session: The transaction, in which flag and state are stored already.
        flag: The flag.
        environment_id: Where.
        state: Its state there, if it has one.

    Raises:
        InvalidPayload: A client could not: the error names the place and what is wrong there.
    """
    states = repository.states_of_environment(session, environment_id)
    unit_types = repository.unit_types(session, flag.project_id)
    rules = state.rules if state else []
    linked = {
        key
        for flag_id, each in states.items()
        for key in (flag_id, *(needed["flag"] for needed in each.prerequisites))
        if each.prerequisites
    }
    flags = {
        each.key: {
            "type": each.type,
            "unit_type": each.unit_type or unit_types[each.id],
            "variants": each.variants,
            "default": each.default,
            "prerequisites": states.get(each.id, UNCHANGED).prerequisites,
            "rules": [],
        }
        for each in repository.definitions(session, flag.project_id)
        if each.id in linked or each.key in linked or each.id == flag.id
    }
    flags[flag.key]["rules"] = [_checked(rule, flag) for rule in rules]
    places = {
        f"flags.{flag.key}.rules": "/rules",
        f"flags.{flag.key}.variants": "/variants",
        f"flags.{flag.key}.default": "/default",
        f"flags.{flag.key}.prerequisites": "/prerequisites",
    }
    members = {"segments": segment_stubs(session, flag.project_id), "flags": flags}
    # A chain of prerequisites may become too long, or close, at another flag than this one.
    read = load_fragment(members, places, elsewhere="/prerequisites")
    for index, (rule, stored) in enumerate(zip(read.flags[flag.key].rules, rules, strict=True)):
        if rule.audience is not None:
            check_known(rule.audience, stored["audience"], f"/rules/{index}/audience")


def _checked(rule: Mapping[str, Any], flag: Flag) -> dict[str, Any]:
    """A rule to be read: what experiments and rollouts serve is not the flag's to say."""
    if "experiment" in rule or "progressive_rollout" in rule:
        return {"key": rule["key"], "variant": flag.default_variant}
    return dict(rule)


def _check_reached(rules: Sequence[Rule], rollouts: Mapping[str, Rollout]) -> None:
    last = next((index for index, rule in enumerate(rules) if _takes_all(rule, rollouts)), len(rules))
    for rule in rules[last + 1 :]:
        if rule.experiment is not None or rule.progressive_rollout is not None:
            user = (
                f"the experiment {rule.experiment}"
                if rule.experiment
                else f"the rollout {rule.progressive_rollout}"
            )
            raise Conflict(
                f"The rule {rules[last].key} leaves no unit to {user}, which did not end. "
                "Put its rule before that one, or end it first; that of an experiment that does not run "
                "can be left out.",
                type="in-use",
                used_by=[user],
            )


def _takes_all(rule: Rule, rollouts: Mapping[str, Rollout]) -> bool:
    """Whether a rule matches every unit for certain. A unit may have no id of another unit type."""
    if rule.progressive_rollout is not None:
        return rollouts[rule.progressive_rollout].audience is None
    if rule.rollout is not None and rule.audience is None:
        return rule.rollout.unit_type is None and sum(each.share for each in rule.rollout.shares) == BUCKETS
    return rule.audience is None and rule.experiment is None


def _check_distinct(rules: Sequence[Rule], member: str, known: Collection[str] | None) -> None:
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        value = getattr(rule, member)
        if value is None:
            continue
        name = member.replace("_", " ")
        if value in seen:
            raise invalid(f"/rules/{index}/{member}", f"two rules have the {name} {value}")
        if known is not None and value not in known:
            raise invalid(f"/rules/{index}/{member}", f"the flag has no {name} {value} here")
        seen.add(value)
