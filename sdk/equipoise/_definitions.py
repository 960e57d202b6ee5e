"""Flags, rules, experiments and what they refer to, as the document defines them: plain, immutable data."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

FLAG_TYPES: Final = ("boolean", "string", "integer", "number", "object")
STATUSES: Final = ("draft", "running", "paused", "stopped")
DEFAULT_UNIT_TYPE: Final = "user"

Condition = Mapping[str, Any]
"""A condition on attributes, in the form of the document, read by `equipoise._conditions.read`."""


class Rollout(NamedTuple):
    """A percentage rollout: serves variants by a bucket of its own, without an experiment.

    Attributes:
        unit_type: what is bucketed.
        salt: salts the bucket.
        ranges: (variant, start, end), half-open intervals of buckets, ascending and disjoint; a unit whose
            bucket is in none is not served by the rule.
    """

    unit_type: str
    salt: str
    ranges: tuple[tuple[str, int, int], ...]


class Rule(NamedTuple):
    """What a flag serves to whom; the first rule that matches wins.

    Attributes:
        key: its name within the flag, where it has one.
        audience: the condition on attributes; None for everyone.
        variant: the one variant that it serves, or
        rollout: the percentage rollout, or
        experiment: the key of the experiment that randomises the flag's value. Exactly one of the three.
    """

    key: str | None
    audience: Condition | None
    variant: str | None
    rollout: Rollout | None
    experiment: str | None


class Prerequisite(NamedTuple):
    """A flag that must give one of these variants, before another flag serves anything but its default.

    Attributes:
        flag: the key of the flag that is evaluated first.
        variants: the variants of it that will do.
    """

    flag: str
    variants: tuple[str, ...]


class Flag(NamedTuple):
    """A named, typed runtime value.

    Attributes:
        key: what code asks for.
        type: one of `FLAG_TYPES`.
        unit_type: what the `unit` given to evaluation is.
        enabled: False serves everyone the default.
        variants: the value by variant key, each exactly of the flag's type.
        default: the variant served where no rule matches.
        prerequisites: all of them must be met.
        rules: in order; the first match wins.
    """

    key: str
    type: str
    unit_type: str
    enabled: bool
    variants: Mapping[str, Any]
    default: str
    prerequisites: tuple[Prerequisite, ...]
    rules: tuple[Rule, ...]


class Segment(NamedTuple):
    """A reusable, named condition, or a list of ids.

    Attributes:
        key: its name.
        condition: what its members satisfy; None for a list of ids.
        attribute: the attribute that the ids are of; None for a condition.
        ids: the ids; empty for a condition.
    """

    key: str
    condition: Condition | None
    attribute: str | None
    ids: frozenset[str]


class Holdout(NamedTuple):
    """A share of units kept out of the experiments that name it.

    Attributes:
        key: its name.
        unit_type: what is held out.
        salt: salts the slot.
        slots: half-open intervals of held-out slots, ascending and disjoint.
    """

    key: str
    unit_type: str
    salt: str
    slots: tuple[tuple[int, int], ...]


class Experiment(NamedTuple):
    """Randomises a flag's value among variants (arms).

    Attributes:
        key: its name.
        status: one of `STATUSES`.
        unit_type: what is randomised, such as `user`.
        flag: the key of the flag whose value it randomises.
        variants: its arms, each a variant of the flag.
        control: the arm that the others are compared with.
        layer_salt: salts the slot, the step that enrols.
        slots: half-open intervals of slots, ascending and disjoint.
        revision: counts the randomisations; None before the first start.
        salt: salts the arm; None before the first start.
        ranges: (variant, start, end), half-open intervals of buckets, ascending, covering 0 to 10,000
            without gap or overlap; empty before the first start.
        holdouts: the keys of the holdouts whose units it leaves out.
        overrides: the variant by unit id of units that are served without being randomised.
        sticky: whether a unit that was enrolled keeps its variant, where the client has a store for it.
    """

    key: str
    status: str
    unit_type: str
    flag: str
    variants: tuple[str, ...]
    control: str
    layer_salt: str
    slots: tuple[tuple[int, int], ...]
    revision: int | None
    salt: str | None
    ranges: tuple[tuple[str, int, int], ...]
    holdouts: tuple[str, ...]
    overrides: Mapping[str, str]
    sticky: bool
