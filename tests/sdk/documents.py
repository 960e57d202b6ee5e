"""Strategies that draw conditions, attributes and whole configuration documents."""

import datetime as dt
from decimal import Decimal
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from tests.vectors.generate_conditions import MOMENTS, SEGMENTS, SINGLE, VERSIONS

SALTS = ("0f3c5a7b9d1e2f40", "9ab1c3d4e5f60718", "1122334455667788")
NAMES = st.sampled_from(["x", "y", "country", "age", "account", "$unit"])
TEXTS = st.sampled_from(["", "DE", "de", "user-1", "a", *VERSIONS[:12], *MOMENTS[:8]]) | st.text(max_size=4)
NUMBERS = st.integers(-3, 20) | st.sampled_from([0.0, 1.0, 10.5, -0.5, 1e300, 2**53 - 1])
SCALARS = TEXTS | NUMBERS | st.booleans()
UNITS = st.sampled_from([f"user-{n}" for n in range(40)])


def single_conditions() -> st.SearchStrategy[dict[str, Any]]:
    """Draw a condition of any operator, with a value that it takes."""

    def of(operator: str) -> st.SearchStrategy[dict[str, Any]]:
        values: st.SearchStrategy[Any] = st.sampled_from(SINGLE[operator][0])
        if operator in ("equals", "not_equals", "contains"):
            values |= SCALARS
        elif operator in ("in", "not_in"):
            values |= st.lists(SCALARS, max_size=4)
        return st.fixed_dictionaries({"attribute": NAMES, "operator": st.just(operator), "value": values})

    return st.sampled_from(sorted(SINGLE)).flatmap(of)


def conditions() -> st.SearchStrategy[Any]:
    """Draw a condition, nested or not."""
    segments = st.sampled_from(sorted(SEGMENTS)).map(lambda key: {"segment": key})
    return st.recursive(
        single_conditions() | segments,
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda members: {"all": members})
            | st.lists(inner, max_size=3).map(lambda members: {"any": members})
            | inner.map(lambda member: {"not": member})
        ),
        max_leaves=5,
    )


def json_attributes() -> st.SearchStrategy[dict[str, Any]]:
    """Draw attributes as JSON says them."""
    values = st.none() | SCALARS | st.lists(st.none() | SCALARS, max_size=3)
    return st.dictionaries(NAMES | st.just("user"), values, max_size=6)


def odd_attributes() -> st.SearchStrategy[Any]:
    """Draw attributes as a program may hand them in."""
    values = (
        st.none()
        | SCALARS
        | st.floats()
        | st.text(st.characters(), max_size=5)
        | st.binary(max_size=3)
        | st.lists(SCALARS | st.lists(SCALARS, max_size=1), max_size=3)
        | st.tuples(SCALARS)
        | st.frozensets(st.integers(), max_size=2)
        | st.dictionaries(st.text(max_size=2), SCALARS, max_size=2)
        | st.dates(dt.date(1, 1, 1))
        | st.datetimes(timezones=st.none() | st.just(dt.UTC))
        | st.sampled_from([Decimal(1), 1j, object(), int, 10**400, "\ud800"])
    )
    mappings = st.dictionaries(NAMES, values, max_size=6)
    return mappings | st.none() | st.sampled_from([7, "country", ["x"], object()]) | st.just({1: 2})


@st.composite
def ranges(draw: st.DrawFn, *, whole: bool) -> list[list[Any]]:
    """Draw disjoint ranges of two variants; `whole` ones cover every bucket."""
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), max_size=3)))
    edges = [0, *cuts, 10_000]
    drawn = [[draw(st.sampled_from(["a", "b"])), start, end] for start, end in pairwise(edges)]
    return drawn if whole else [each for each in drawn if draw(st.booleans())]


def slots() -> st.SearchStrategy[list[list[int]]]:
    """Draw disjoint intervals of slots."""
    return st.just([[0, 10_000]]) | ranges(whole=False).map(lambda drawn: [each[1:] for each in drawn])


UNIT_TYPES = st.sampled_from(["user", "user", "account"])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a configuration document with everything that a document can hold."""
    experiments: dict[str, Any] = {}
    flags: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 3))):
        key = f"flag-{number}"
        rules = [draw(_rule(key, experiments)) for _ in range(draw(st.integers(0, 3)))]
        flags[key] = {
            "type": draw(st.sampled_from(["string", "object"])),
            "enabled": draw(st.sampled_from([True, True, True, False])),
            "default": draw(st.sampled_from(["a", "b"])),
            "prerequisites": [
                {
                    "flag": f"flag-{draw(st.integers(0, number - 1))}",
                    "variants": draw(st.lists(st.sampled_from(["a", "b"]))),
                }
                for _ in range(draw(st.integers(0, 1)) if number else 0)
            ],
            "rules": rules,
        }
        texts = flags[key]["type"] == "string"
        flags[key]["variants"] = {"a": "A", "b": "B"} if texts else {"a": {}, "b": {"list": [1, {}]}}
    return {
        "schema": "equipoise.config/2",
        "project": "p",
        "environment": "e",
        "version": 1,
        "segments": SEGMENTS,
        "holdouts": {
            key: {"unit_type": draw(UNIT_TYPES), "salt": SALTS[2], "slots": draw(slots())}
            for key in ("h", "i")
        },
        "flags": flags,
        "experiments": experiments,
    }


@st.composite
def _rule(draw: st.DrawFn, flag: str, experiments: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"audience": draw(conditions())} if draw(st.booleans()) else {}
    kind = draw(st.sampled_from(["variant", "rollout", "experiment", "experiment"]))
    if kind == "variant":
        return rule | {kind: draw(st.sampled_from(["a", "b"]))}
    if kind == "rollout":
        salt, unit_type = draw(st.sampled_from(SALTS)), draw(UNIT_TYPES)
        return rule | {kind: {"salt": salt, "unit_type": unit_type, "ranges": draw(ranges(whole=False))}}
    key = f"experiment-{len(experiments)}"
    experiments[key] = {
        "status": draw(st.sampled_from(["running", "running", "running", "draft", "paused"])),
        "unit_type": draw(UNIT_TYPES),
        "flag": flag,
        "variants": ["a", "b"],
        "control": "a",
        "layer_salt": draw(st.sampled_from(SALTS)),
        "slots": draw(slots()),
        "revision": draw(st.integers(1, 3)),
        "salt": draw(st.sampled_from(SALTS)),
        "ranges": draw(ranges(whole=True)),
        "holdouts": draw(st.lists(st.sampled_from(["h", "i"]), unique=True)),
        "overrides": draw(st.dictionaries(UNITS, st.sampled_from(["a", "b"]), max_size=3)),
    }
    return rule | {kind: key}
