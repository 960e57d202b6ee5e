"""Explanations: which rule gives a unit what it gets, and why the rules before it did not match."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from equipoise import _rules
from equipoise._condition_explanation import ConditionExplanation, explain_condition, shown
from equipoise._definitions import Experiment, Flag, Holdout, Rule
from equipoise._plans import reason_where_nothing_matches
from equipoise.assignment import Assignment, Reason
from equipoise.bucketing import bucket
from equipoise.configuration import Configuration
from equipoise.evaluation import unanswerable

__all__ = [
    "OUTCOMES",
    "ConditionExplanation",
    "Explanation",
    "HoldoutExplanation",
    "PrerequisiteExplanation",
    "RuleExplanation",
    "explain",
]

OUTCOMES: Final[Mapping[str, str]] = {
    "matched": "the rule matches and serves its variant",
    "override": "the experiment's overrides name the unit and its variant",
    "not_running": "the experiment is not running",
    "audience": "the unit's attributes do not satisfy the audience",
    "no_id": "the attributes hold no id of the unit type that the rule is about",
    "held_out": "a holdout of the experiment keeps the unit out",
    "slot": "the unit's slot is not among the experiment's",
    "bucket": "the unit's bucket is in none of the rollout's ranges",
    "not_reached": "an earlier rule matched",
}
"""How a rule came out, and what that means."""


class HoldoutExplanation(NamedTuple):
    """What a holdout did with a unit.

    Attributes:
        holdout: the holdout's key.
        unit_type: what it holds out.
        id: the id it looked at; None where the attributes hold none.
        bucket: the id's slot; None without an id.
        slots: the slots that are held out.
        held_out: whether the unit is kept out; True without an id.
    """

    holdout: str
    unit_type: str
    id: str | None
    bucket: int | None
    slots: tuple[tuple[int, int], ...]
    held_out: bool


class PrerequisiteExplanation(NamedTuple):
    """What a prerequisite flag gave.

    Attributes:
        flag: the prerequisite's key.
        expected: the variants that will do.
        variant: what the unit gets from it.
        reason: why.
        met: whether that will do.
    """

    flag: str
    expected: tuple[str, ...]
    variant: str | None
    reason: Reason
    met: bool


class RuleExplanation(NamedTuple):
    """What a rule did with a unit. Members that the rule did not come to are None or empty.

    Attributes:
        position: the rule's place, from 0.
        key: the rule's key, where it has one.
        outcome: one of `OUTCOMES`.
        variant: what it serves the unit; None where it does not match.
        experiment: the key of the rule's experiment, where it has one.
        status: the experiment's status.
        unit_type: what the rule buckets; None for a rule that serves one variant.
        id: the id that it buckets.
        audience: what the audience says, condition by condition; None for everyone.
        holdouts: what the experiment's holdouts say, until the first that keeps the unit out.
        slot: the unit's slot in the layer.
        slots: the slots that the experiment owns.
        bucket: the unit's bucket under the revision's or the rollout's salt.
        ranges: (variant, start, end), the buckets of each variant.
    """

    position: int
    key: str | None
    outcome: str
    variant: str | None = None
    experiment: str | None = None
    status: str | None = None
    unit_type: str | None = None
    id: str | None = None
    audience: ConditionExplanation | None = None
    holdouts: tuple[HoldoutExplanation, ...] = ()
    slot: int | None = None
    slots: tuple[tuple[int, int], ...] = ()
    bucket: int | None = None
    ranges: tuple[tuple[str, int, int], ...] = ()


class Explanation(NamedTuple):
    """Why a unit gets what it gets.

    Attributes:
        assignment: what `equipoise.evaluate` answers, with the default None.
        unit: the unit that was asked about; as text, where it is no string.
        problem: what was wrong with the question, where the reason is `ERROR`.
        unit_type: what the unit is; None where there is no such flag.
        enabled: whether the flag is on; None where there is no such flag.
        prerequisites: what they gave, until the first that was not met.
        rules: what each rule did, in order; empty where the rules were not come to.
    """

    assignment: Assignment[Any]
    unit: Any
    problem: str | None = None
    unit_type: str | None = None
    enabled: bool | None = None
    prerequisites: tuple[PrerequisiteExplanation, ...] = ()
    rules: tuple[RuleExplanation, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as data that JSON can say; what is no JSON value is shown as text."""
        assignment = {name: getattr(self.assignment, name) for name in Assignment.__match_args__}
        return {name: _plain(each) for name, each in {**self._asdict(), "assignment": assignment}.items()}


def explain(
    configuration: Configuration, flag_key: str, unit: str, attributes: Mapping[str, Any] | None = None
) -> Explanation:
    """Say what `unit` gets from the flag `flag_key`, and why. Never raises.

    It takes the decisions of `equipoise.evaluate` again, one at a time, and keeps what each looked at: made
    for people who ask, not for the way of every request.

    Args:
        configuration: as `equipoise.configuration.load` reads it.
        flag_key: the flag to evaluate.
        unit: the unit's id.
        attributes: as for `equipoise.evaluate`.

    Example:
        >>> from equipoise.configuration import parse
        >>> configuration = parse({
        ...     "schema": "equipoise.config/2", "project": "shop", "environment": "production", "version": 1,
        ...     "flags": {"search": {
        ...         "type": "string", "variants": {"old": "v1", "new": "v2"}, "default": "old",
        ...         "rules": [{"audience": {"attribute": "plan", "operator": "equals", "value": "pro"},
        ...                    "variant": "new"}],
        ...     }},
        ...     "experiments": {},
        ... })
        >>> explanation = explain(configuration, "search", "user-1", {"plan": "free"})
        >>> explanation.assignment.variant, explanation.rules[0].outcome, explanation.rules[0].audience.value
        ('old', 'audience', 'free')
    """
    try:
        flag = configuration.flags[flag_key]
    except (KeyError, TypeError):  # TypeError: a key that cannot be hashed
        return Explanation(
            unanswerable(flag_key, None), shown(unit), problem=f"There is no flag {flag_key!r:.200}."
        )
    try:
        text = str.encode(unit).decode()  # of a subclass of str too, whatever it makes of its methods
    except (TypeError, UnicodeEncodeError):
        text = ""
    if not text:
        problem = "The unit must be a non-empty string that has a UTF-8 form."
        return Explanation(unanswerable(flag_key, None), shown(unit), problem, flag.unit_type, flag.enabled)
    return _Asking(configuration, flag, text, attributes).explain()


class _Asking:
    """One question: a flag, a unit, its attributes."""

    def __init__(self, configuration: Configuration, flag: Flag, unit: str, attributes: Any) -> None:
        self._configuration = configuration
        self._flag = flag
        self._unit = unit
        self._attributes = attributes

    def explain(self) -> Explanation:
        flag = self._flag
        about: dict[str, Any] = {"unit": self._unit, "unit_type": flag.unit_type, "enabled": flag.enabled}
        if not flag.enabled:
            return Explanation(_rules.served(flag, flag.default, Reason.DISABLED), **about)
        prerequisites = self._prerequisites()
        if prerequisites and not prerequisites[-1].met:
            unmet = _rules.served(flag, flag.default, Reason.DEFAULT)
            return Explanation(unmet, prerequisites=prerequisites, **about)
        rules: list[RuleExplanation] = []
        assignment = None
        for index, rule in enumerate(flag.rules):
            explained = RuleExplanation(index, rule.key, "not_reached", experiment=rule.experiment)
            if assignment is None:
                explained = self._rule(rule, explained)
                assignment = self._served(rule, explained)
            rules.append(explained)
        if assignment is None:
            reason = reason_where_nothing_matches(flag, self._configuration.experiments)
            assignment = _rules.served(flag, flag.default, reason)
        return Explanation(assignment, prerequisites=prerequisites, rules=tuple(rules), **about)

    def _prerequisites(self) -> tuple[PrerequisiteExplanation, ...]:
        explained = []
        for each in self._flag.prerequisites:
            got = explain(self._configuration, each.flag, self._unit, self._attributes).assignment
            met = got.variant in each.variants
            explained.append(PrerequisiteExplanation(each.flag, each.variants, got.variant, got.reason, met))
            if not met:
                break
        return tuple(explained)

    def _served(self, rule: Rule, explained: RuleExplanation) -> Assignment[Any] | None:
        if explained.variant is None:
            return None
        variant, experiment = explained.variant, self._experiment(rule)
        if explained.outcome == "override":
            return _rules.served(self._flag, variant, Reason.TARGETING_MATCH)
        if experiment is not None:
            return _rules.served(self._flag, variant, Reason.SPLIT, experiment.key, experiment.revision)
        if rule.rollout is not None:
            return _rules.served(self._flag, variant, Reason.SPLIT)
        reason = Reason.STATIC if rule.audience is None else Reason.TARGETING_MATCH
        return _rules.served(self._flag, variant, reason)

    def _experiment(self, rule: Rule) -> Experiment | None:
        return None if rule.experiment is None else self._configuration.experiments[rule.experiment]

    def _rule(self, rule: Rule, explained: RuleExplanation) -> RuleExplanation:
        experiment = self._experiment(rule)
        if experiment is not None:
            explained = explained._replace(
                status=experiment.status,
                unit_type=experiment.unit_type,
                id=self._id(experiment.unit_type),
            )
            override = None if explained.id is None else experiment.overrides.get(explained.id)
            if override is not None and experiment.status in ("draft", "running"):
                return explained._replace(outcome="override", variant=override)
            if experiment.status != "running":
                return explained._replace(outcome="not_running")
        if rule.audience is not None:
            audience = explain_condition(
                rule.audience, self._configuration.segments, self._unit, self._attributes
            )
            explained = explained._replace(audience=audience)
            if not audience.holds:
                return explained._replace(outcome="audience")
        if rule.variant is not None:
            return explained._replace(outcome="matched", variant=rule.variant)
        if experiment is not None:
            return self._enrolment(experiment, explained)
        if rule.rollout is None:
            raise AssertionError("a rule serves a variant, a rollout or an experiment")
        explained = explained._replace(unit_type=rule.rollout.unit_type, id=self._id(rule.rollout.unit_type))
        return _draw(explained, rule.rollout.salt, rule.rollout.ranges)

    def _enrolment(self, experiment: Experiment, explained: RuleExplanation) -> RuleExplanation:
        for key in experiment.holdouts:
            held = self._holdout(self._configuration.holdouts[key])
            explained = explained._replace(holdouts=(*explained.holdouts, held))
            if held.held_out:
                return explained._replace(outcome="held_out")
        explained = explained._replace(slots=experiment.slots)
        if explained.id is None:
            return explained._replace(outcome="no_id")
        slot = bucket(experiment.layer_salt, explained.id)
        explained = explained._replace(slot=slot)
        if not _within(slot, experiment.slots):
            return explained._replace(outcome="slot")
        return _draw(explained, str(experiment.salt), experiment.ranges)

    def _holdout(self, holdout: Holdout) -> HoldoutExplanation:
        looked_at = self._id(holdout.unit_type)
        slot = None if looked_at is None else bucket(holdout.salt, looked_at)
        held_out = slot is None or _within(slot, holdout.slots)
        return HoldoutExplanation(holdout.key, holdout.unit_type, looked_at, slot, holdout.slots, held_out)

    def _id(self, unit_type: str) -> str | None:
        """Return the id of a unit type: the unit's own, or one that the attributes hold."""
        if unit_type == self._flag.unit_type:
            return self._unit
        encoded = _rules.identified(unit_type, self._attributes)
        return None if encoded is None else encoded.decode()


def _draw(explained: RuleExplanation, salt: str, ranges: tuple[tuple[str, int, int], ...]) -> RuleExplanation:
    explained = explained._replace(ranges=ranges)
    if explained.id is None:
        return explained._replace(outcome="no_id")
    place = bucket(salt, explained.id)
    drawn = next((variant for variant, start, end in ranges if start <= place < end), None)
    outcome = "bucket" if drawn is None else "matched"
    return explained._replace(bucket=place, outcome=outcome, variant=drawn)


def _within(place: int, intervals: tuple[tuple[int, int], ...]) -> bool:
    return any(start <= place < end for start, end in intervals)


def _plain(value: Any) -> Any:
    """Turn named tuples into objects, tuples into arrays, and what JSON cannot say into text."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return shown(value)
