"""Compile a flag into a plan: everything about an evaluation that does not depend on the unit."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

from equipoise import _operators, _rules
from equipoise._definitions import Condition, Experiment, Flag, Holdout
from equipoise._operators import Holds
from equipoise._rules import Match, Served
from equipoise.assignment import Assignment, Reason

Plan = Callable[[str, Any], Served]
"""What a unit with these attributes gets from a flag. It raises for a unit that is unusable, nothing else."""

CompileAudience = Callable[[Condition, str], Holds]
"""Returns the function of a rule's audience, from it and its place in the document."""

encode: Final = str.encode
number: Final = int.from_bytes


class OneDraw(NamedTuple):
    """All of a flag that has one rule, with nothing but an audience and a draw by the unit.

    Attributes:
        audience: who is drawn; None for everyone.
        among: what it is beside, in short, where that is an attribute among texts (`_operators.among`).
        begun: begins the hash of a unit, with the salt in it.
        cuts: where a next interval of buckets begins, ascending.
        served: what each interval serves, one more than there are cuts.
        otherwise: what a unit outside the audience gets.
    """

    audience: Holds | None
    among: tuple[str, frozenset[str]] | None
    begun: Callable[[], Any]
    cuts: tuple[int, ...]
    served: tuple[Served, ...]
    otherwise: Served


def compile_flags(
    flags: Mapping[str, Flag],
    experiments: Mapping[str, Experiment],
    holdouts: Mapping[str, Holdout],
    compile_audience: CompileAudience,
) -> tuple[Mapping[str, Plan], Mapping[str, OneDraw]]:
    """Return the plans, and the draws of flags that are no more than one.

    The flags refer only to known flags, experiments and holdouts.

    Raises:
        ConfigurationError: an experiment is running but was never given its randomisation, or an audience
            refers to an unknown segment.
    """
    plans: dict[str, Plan] = {}
    draws: dict[str, OneDraw] = {}
    for flag in _prerequisites_first(flags):
        plans[flag.key] = _plan(flag, experiments, holdouts, compile_audience, plans, draws)
    objects = {flag.key: _copying(plans[flag.key]) for flag in flags.values() if flag.type == "object"}
    return plans | objects, draws


def _prerequisites_first(flags: Mapping[str, Flag]) -> Iterable[Flag]:
    """Return the flags so that each comes after its prerequisites, which form no cycle."""
    ordered: dict[str, Flag] = {}
    for flag in flags.values():
        _add(flag, flags, ordered)
    return ordered.values()


def _add(flag: Flag, flags: Mapping[str, Flag], ordered: dict[str, Flag]) -> None:
    if flag.key not in ordered:
        for each in flag.prerequisites:
            _add(flags[each.flag], flags, ordered)
        ordered[flag.key] = flag


def _plan(
    flag: Flag,
    experiments: Mapping[str, Experiment],
    holdouts: Mapping[str, Holdout],
    compile_audience: CompileAudience,
    plans: Mapping[str, Plan],
    draws: dict[str, OneDraw],
) -> Plan:
    if not flag.enabled:
        return _chain((), _default(flag, Reason.DISABLED))
    otherwise = _default(flag, reason_where_nothing_matches(flag, experiments))
    rules = [
        (
            None
            if rule.audience is None
            else compile_audience(rule.audience, f"flags.{flag.key}.rules[{index}].audience"),
            rule,
        )
        for index, rule in enumerate(flag.rules)
    ]
    draw = _rules.only_draw(flag, flag.rules[0], experiments) if len(rules) == 1 else None
    if draw is not None:
        served = tuple(each or otherwise for each in draw.served)
        audience, among = flag.rules[0].audience, None
        if audience is not None:
            among = _operators.among(audience)
        one = OneDraw(rules[0][0], among, sha256(draw.prefix).copy, draw.cuts, served, otherwise)
        plan = _one_draw(one)
        if not flag.prerequisites and flag.type != "object":
            draws[flag.key] = one
    else:
        matches = [_rules.compile(flag, rule, audience, experiments, holdouts) for audience, rule in rules]
        plan = _chain(tuple(match for match in matches if match is not None), otherwise)
    return _after_prerequisites(flag, plan, plans) if flag.prerequisites else plan


def reason_where_nothing_matches(flag: Flag, experiments: Mapping[str, Experiment]) -> Reason:
    """Return why a unit gets the default of an enabled flag where no rule matches it."""
    if not flag.rules:
        return Reason.STATIC
    if any(
        rule.experiment is None or experiments[rule.experiment].status == "running" for rule in flag.rules
    ):
        return Reason.DEFAULT
    return Reason.DISABLED


def _default(flag: Flag, reason: Reason) -> Served:
    return _rules.served(flag, flag.default, reason)


def _chain(matches: tuple[Match, ...], otherwise: Served) -> Plan:
    def plan(unit: str, attributes: Any) -> Served:
        encoded = encode(unit)
        if not encoded:
            raise ValueError("the unit is empty")
        for match in matches:
            served = match(unit, encoded, attributes)
            if served is not None:
                return served
        return otherwise

    return plan


def _one_draw(draw: OneDraw) -> Plan:
    """Return what `_chain` returns for one rule with nothing but an audience and a draw; half as long."""
    # `bucketing.bucket_of_bytes` is written out: a call would take a tenth of the whole, and to begin the
    # hash anew with the salt a sixth.
    audience, _, begun, cuts, served, otherwise = draw

    def plan(unit: str, attributes: Any) -> Served:
        encoded = encode(unit)
        if not encoded:
            raise ValueError("the unit is empty")
        if audience is not None and not audience(unit, attributes):
            return otherwise
        digest = begun()
        digest.update(encoded)
        return served[bisect_right(cuts, (number(digest.digest()) >> 204) % 10_000)]

    if len(cuts) != 1:
        return plan
    cut, (below, above) = cuts[0], served

    def plan_of_two(unit: str, attributes: Any) -> Served:
        encoded = encode(unit)
        if not encoded:
            raise ValueError("the unit is empty")
        if audience is not None and not audience(unit, attributes):
            return otherwise
        digest = begun()
        digest.update(encoded)
        return below if (number(digest.digest()) >> 204) % 10_000 < cut else above

    return plan_of_two


def _after_prerequisites(flag: Flag, plan: Plan, plans: Mapping[str, Plan]) -> Plan:
    # The plans themselves: their mapping would refer to itself by way of them, and a configuration that is
    # replaced would stay in memory until the garbage collector looks at everything.
    needed = tuple((plans[each.flag], frozenset(each.variants)) for each in flag.prerequisites)
    unmet = _default(flag, Reason.DEFAULT)

    def after(unit: str, attributes: Any) -> Served:
        for needs, variants in needed:
            if needs(unit, attributes).variant not in variants:
                return unmet
        return plan(unit, attributes)

    return after


def _copying(plan: Plan) -> Plan:
    """Give every caller an object of its own: one who changes it changes nobody else's."""

    def own(unit: str, attributes: Any) -> Served:
        shared = plan(unit, attributes)
        return Assignment(
            shared.flag,
            shared.experiment,
            shared.variant,
            _copy(shared.value),
            shared.reason,
            shared.revision,
        )

    return own


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value
