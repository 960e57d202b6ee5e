"""Rules, rollouts, holdouts, prerequisites, overrides and unit types, for every drawn document."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sdk.documents import UNITS, documents, json_attributes, odd_attributes
from tests.vectors import specification

from equipoise import Assignment, ConfigurationError, Reason, evaluate, explain
from equipoise.configuration import parse
from equipoise.explanation import OUTCOMES


@given(document=documents(), attributes=json_attributes(), units=st.lists(UNITS, min_size=1, max_size=5))
def test_evaluation_is_what_the_specification_says(
    document: dict[str, Any], attributes: dict[str, Any], units: list[str]
) -> None:
    configuration = parse(document)
    for key in document["flags"]:
        for unit in units:
            expected = specification.evaluate(document, key, unit, None, attributes)
            assert evaluate(configuration, key, unit, None, attributes) == Assignment(flag=key, **expected)


@given(
    document=documents(),
    attributes=json_attributes() | odd_attributes(),
    unit=UNITS | st.sampled_from(["", None, 7, "\ud800"]),
    key=st.sampled_from(["flag-0", "flag-1", "flag-2", "gone", None]),
)
def test_explaining_agrees_with_evaluating_and_neither_raises(
    document: dict[str, Any], attributes: Any, unit: Any, key: Any
) -> None:
    configuration = parse(document)
    explanation = explain(configuration, key, unit, attributes)
    assert explanation.assignment == evaluate(configuration, key, unit, None, attributes)
    assert (explanation.problem is not None) is (explanation.assignment.reason is Reason.ERROR)
    json.dumps(explanation.to_dict(), allow_nan=False).encode()
    served = [rule for rule in explanation.rules if rule.variant is not None]
    assert [rule.outcome in ("matched", "override") for rule in served] == [True] * len(served)
    assert len(served) <= 1
    assert {rule.outcome for rule in explanation.rules} <= set(OUTCOMES)
    if served:
        assert served[0].variant == explanation.assignment.variant
        after = explanation.rules[served[0].position + 1 :]
        assert {rule.outcome for rule in after} <= {"not_reached"}


@given(document=documents(), attributes=json_attributes(), unit=UNITS, more=st.integers(0, 10_000))
def test_ramping_only_adds_units_and_moves_nobody(
    document: dict[str, Any], attributes: dict[str, Any], unit: str, more: int
) -> None:
    wider = copy.deepcopy(document)
    for flag in wider["flags"].values():
        flag["prerequisites"] = document["flags"]["flag-0"]["prerequisites"]
        flag["rules"] = flag["rules"][:1]
    narrow = copy.deepcopy(wider)
    for experiment in wider["experiments"].values():
        experiment["slots"] = union(experiment["slots"], more)
    for key in narrow["flags"]:
        before = evaluate(parse(narrow), key, unit, None, attributes)
        after = evaluate(parse(wider), key, unit, None, attributes)
        assert before.reason is not Reason.SPLIT or after == before


def union(slots: list[list[int]], more: int) -> list[list[int]]:
    """Return the slots together with all below `more`."""
    return [[0, more], *([max(start, more), end] for start, end in slots if end > more)]


@given(
    slots=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=10, max_size=10),
    unit=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_experiments_of_one_layer_never_overlap(slots: list[str | None], unit: str) -> None:
    base = {
        **{"status": "running", "unit_type": "user", "variants": ["v"], "control": "v", "revision": 1},
        **{"layer_salt": "0f3c5a7b9d1e2f40", "salt": "9ab1c3d4e5f60718", "ranges": [["v", 0, 10_000]]},
    }
    owned = {
        key: [[n * 1000, n * 1000 + 1000] for n, owner in enumerate(slots) if owner == key] for key in "abc"
    }
    configuration = parse(
        {
            **{"schema": "equipoise.config/2", "project": "p", "environment": "e", "version": 1},
            "flags": {
                key: {"type": "string", "variants": {"v": ""}, "default": "v", "rules": [{"experiment": key}]}
                for key in owned
            },
            "experiments": {key: base | {"flag": key, "slots": each} for key, each in owned.items()},
        }
    )
    enrolled = [key for key in owned if evaluate(configuration, key, unit).reason is Reason.SPLIT]
    assert len(enrolled) == (slots[specification.bucket("0f3c5a7b9d1e2f40", unit) // 1000] is not None)


def flags(**prerequisites: list[Any]) -> dict[str, Any]:
    """Return a document with a boolean flag a keyword, with these prerequisites."""
    return {
        **{
            "schema": "equipoise.config/2",
            "project": "p",
            "environment": "e",
            "version": 1,
            "experiments": {},
        },
        "flags": {
            key: {
                "type": "boolean",
                "variants": {"on": True, "off": False},
                "default": "on",
                "prerequisites": each,
                "rules": [],
            }
            for key, each in prerequisites.items()
        },
    }


def needing(*keys: str) -> list[Any]:
    return [{"flag": key, "variants": ["on"]} for key in keys]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (flags(a=needing("a")), r"flags\.a\.prerequisites: the flag is its own prerequisite: a → a"),
        (flags(a=needing("b"), b=needing("c"), c=needing("b")), "b → c → b"),
        (flags(a=needing("gone")), r"flags\.a\.prerequisites\[0\]\.flag: there is no flag 'gone'"),
        (flags(a=[], b=[{"flag": "a", "variants": ["maybe"]}]), "has no variant 'maybe'"),
        (flags(a=[], b=[{"flag": "a"}]), "'variants' is missing"),
        (flags(**{f"f{n}": needing(f"f{n + 1}") for n in range(11)}, f11=[]), "over 10 levels"),
        (flags(**{f"f{n}": needing(f"f{n - 1}") if n else [] for n in range(12)}), "over 10 levels"),
        (flags(**{f"f{n}": needing(f"f{n + 1}") for n in range(2000)}, f2000=[]), "over 10 levels"),
        (flags(f0=[], **{f"f{n}": needing(*[f"f{n - 1}"] * 10) for n in range(1, 5)}), "1,000 evaluations"),
    ],
)
def test_prerequisites_that_make_no_sense_are_refused(document: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        parse(document)


def test_a_chain_of_ten_prerequisites_will_do() -> None:
    links = {f"f{n}": needing(f"f{n + 1}") for n in range(10)}
    assert evaluate(parse(flags(**links, f10=[])), "f0", "u").reason is Reason.STATIC


def test_a_prerequisite_is_about_the_same_units() -> None:
    document = flags(a=[], b=needing("a"))
    document["flags"]["a"]["unit_type"] = "account"
    with pytest.raises(ConfigurationError, match=r"'account'.*'user'"):
        parse(document)


def test_the_reason_of_an_unmet_prerequisite_is_explained() -> None:
    document = flags(a=[], b=[{"flag": "a", "variants": ["off"]}])
    explanation = explain(parse(document), "b", "u")
    assert explanation.assignment.reason is Reason.DEFAULT
    assert explanation.prerequisites[0]._asdict() == {
        **{"flag": "a", "expected": ("off",), "variant": "on", "reason": Reason.STATIC, "met": False}
    }
    assert explanation.rules == ()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "exactly one of variant, rollout, experiment"),
        ({"variant": "on", "experiment": "e"}, "exactly one"),
        ({"variant": "gone"}, r"rules\[0\]\.variant: expected one of on, off"),
        ({"variant": "on", "key": ""}, r"rules\[0\]\.key"),
        ({"rollout": {}}, r"rollout: the member 'ranges' is missing"),
        ({"rollout": {"ranges": []}}, r"rollout: the member 'salt' is missing"),
        ({"rollout": {"salt": "s", "ranges": [["on", 0, 10_001]]}}, r"ranges\[0\]: expected 0 <= start"),
        ({"rollout": {"salt": "s", "ranges": [["on", 0, 10], ["off", 9, 20]]}}, "overlap at 9"),
        ({"rollout": {"salt": "s", "ranges": [["gone", 0, 10]]}}, r"ranges\[0\]: expected one of"),
        ({"experiment": "gone"}, "there is no experiment 'gone'"),
        ({"variant": "on", "audience": {"segment": "gone"}}, "there is no segment 'gone'"),
        ([], "expected an object"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: Any, said: str) -> None:
    document = flags(a=[])
    document["flags"]["a"]["rules"] = [rule]
    with pytest.raises(ConfigurationError, match=said) as caught:
        parse(document)
    assert str(caught.value).startswith("flags.a.rules[0]")


@settings(max_examples=30)
@given(document=documents(), attributes=json_attributes(), unit=UNITS)
def test_objects_are_the_callers_own_everywhere(
    document: dict[str, Any], attributes: dict[str, Any], unit: str
) -> None:
    configuration = parse(document)
    for key in document["flags"]:
        first = evaluate(configuration, key, unit, None, attributes)
        untouched = copy.deepcopy(first.value)
        if isinstance(first.value, dict):
            first.value["changed"] = True
            first.value.setdefault("list", []).append(2)
        assert evaluate(configuration, key, unit, None, attributes).value == untouched
