"""Flags, rules and experiments as the configuration document defines them: plain, frozen data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

FLAG_TYPES: Final = ("boolean", "string", "integer", "number", "object")
STATUSES: Final = ("draft", "running", "paused", "stopped")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a flag serves to whom; the first rule that matches wins.

    Attributes:
        experiment: the key of the experiment that randomises the flag's value.
    """

    experiment: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A named, typed runtime value.

    Attributes:
        key: what code asks for.
        type: one of `FLAG_TYPES`.
        variants: the value by variant key, each exactly of the flag's type.
        default: the variant served where no rule matches.
        rules: in order; the first match wins.
    """

    key: str
    type: str
    variants: Mapping[str, Any]
    default: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
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
