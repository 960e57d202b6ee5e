"""Evaluation: the vectors, and what must hold for every configuration and unit."""

import copy
import json
import pickle
from bisect import bisect_right
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.documents import documents, json_attributes
from tests.vectors import generate_evaluation, specification

from equipoise import BUCKETS, Assignment, Reason, _plans, assign_many, bucket, bucketing, evaluate, explain
from equipoise.configuration import Configuration, load, parse
from equipoise.explanation import OUTCOMES

VECTORS_PATH = Path(__file__).parents[1] / "vectors" / "evaluation.json"
VECTORS = json.loads(VECTORS_PATH.read_text())
CONFIGURATION = parse(VECTORS["configuration"])
UNITS = st.text(min_size=1, max_size=40)


def experiment_of(slots: list[list[int]], ranges: list[list[Any]]) -> Configuration:
    """Return a configuration with one running experiment `e` on a flag of the same key."""
    variants = list(dict.fromkeys(name for name, _, _ in ranges))
    return parse(
        {
            "schema": "equipoise.config/2",
            "project": "p",
            "environment": "e",
            "version": 1,
            "flags": {
                "e": {
                    "type": "string",
                    "variants": {name: f"value of {name}" for name in variants},
                    "default": variants[0],
                    "rules": [{"experiment": "e"}],
                }
            },
            "experiments": {
                "e": {
                    "status": "running",
                    "unit_type": "user",
                    "flag": "e",
                    "variants": variants,
                    "control": variants[0],
                    "layer_salt": "0f3c5a7b9d1e2f40",
                    "slots": slots,
                    "revision": 1,
                    "salt": "9ab1c3d4e5f60718",
                    "ranges": ranges,
                }
            },
        }
    )


@st.composite
def ranges(draw: st.DrawFn) -> list[list[Any]]:
    """Draw arms that partition the buckets; weights of zero are among them."""
    cuts = sorted(draw(st.lists(st.integers(0, BUCKETS), min_size=1, max_size=5)))
    edges = [0, *cuts, BUCKETS]
    return [[f"arm-{n}", start, end] for n, (start, end) in enumerate(pairwise(edges))]


def test_vectors_hold() -> None:
    assert len(VECTORS["cases"]) >= 500
    for case in VECTORS["cases"]:
        got = evaluate(CONFIGURATION, case["flag"], case["unit"], case["default"], case["attributes"])
        assert got == Assignment(flag=case["flag"], **case["assignment"]), case
        assert json.dumps(got.value) == json.dumps(case["assignment"]["value"]), (
            "the type of the value counts"
        )


def test_the_vectors_are_explained_and_meet_every_outcome() -> None:
    outcomes = set()
    for case in VECTORS["cases"]:
        explanation = explain(CONFIGURATION, case["flag"], case["unit"], case["attributes"])
        expected = case["assignment"] | ({"value": None} if explanation.problem else {})
        assert explanation.assignment == Assignment(flag=case["flag"], **expected), case
        outcomes |= {rule.outcome for rule in explanation.rules}
    assert outcomes == set(OUTCOMES)


def test_vectors_are_what_their_script_writes() -> None:
    assert specification.written(generate_evaluation.vectors()) == VECTORS_PATH.read_text()


def test_vectors_meet_every_reason() -> None:
    assert {case["assignment"]["reason"] for case in VECTORS["cases"]} == set(Reason)


@given(arms=ranges(), unit=UNITS)
def test_ranges_partition(arms: list[list[Any]], unit: str) -> None:
    got = evaluate(experiment_of([[0, BUCKETS]], arms), "e", unit)
    place = bucket("9ab1c3d4e5f60718", unit)
    assert got.reason is Reason.SPLIT
    assert [got.variant] == [name for name, start, end in arms if start <= place < end]
    assert got.value == f"value of {got.variant}"


@given(arms=ranges(), steps=st.lists(st.integers(0, BUCKETS), min_size=2, max_size=4), unit=UNITS)
def test_a_ramp_only_adds_units_and_moves_nobody(arms: list[list[Any]], steps: list[int], unit: str) -> None:
    steps = sorted(steps)
    got = [evaluate(experiment_of([[0, step]], arms), "e", unit) for step in steps]
    enrolled = [assignment.reason is Reason.SPLIT for assignment in got]
    assert enrolled == sorted(enrolled), "a unit left while the experiment grew"
    assert len({assignment.variant for assignment in got if assignment.reason is Reason.SPLIT}) <= 1
    first = bucket("0f3c5a7b9d1e2f40", unit)
    assert enrolled.index(True) == bisect_right(steps, first) if any(enrolled) else first >= steps[-1]


@given(cut=st.integers(0, BUCKETS), unit=UNITS)
def test_experiments_with_disjoint_slots_exclude_each_other(cut: int, unit: str) -> None:
    arms: list[list[Any]] = [["a", 0, BUCKETS]]
    below = evaluate(experiment_of([[0, cut]], arms), "e", unit)
    above = evaluate(experiment_of([[cut, BUCKETS]], arms), "e", unit)
    assert {below.reason, above.reason} == {Reason.SPLIT, Reason.DEFAULT}


def test_how_slots_are_cut_up_changes_nothing() -> None:
    arms: list[list[Any]] = [["a", 0, 5000], ["b", 5000, BUCKETS]]
    whole = experiment_of([[100, 4000]], arms)
    pieces = experiment_of([[2000, 4000], [100, 100], [100, 1999], [1999, 2000]], arms)
    for n in range(5000):
        assert evaluate(whole, "e", f"user-{n}") == evaluate(pieces, "e", f"user-{n}")


def test_an_experiment_that_owns_every_slot_skips_the_layer_step(monkeypatch: pytest.MonkeyPatch) -> None:
    arms: list[list[Any]] = [["a", 0, BUCKETS]]
    hashed: list[bytes] = []

    def counting(content: bytes) -> Any:
        hashed.append(content)
        return sha256(content)

    for module in (_plans, bucketing):
        monkeypatch.setattr(module, "sha256", counting)
    for slots in ([[0, BUCKETS]], [[3000, BUCKETS], [0, 1000], [1000, 3000]]):
        evaluate(experiment_of(slots, arms), "e", "user-1")
        assert [content[:16] for content in hashed] == [b"9ab1c3d4e5f60718"]
        hashed.clear()
    evaluate(experiment_of([[0, BUCKETS - 1]], arms), "e", "user-1")
    assert len(hashed) == 2


def test_shares_follow_weights() -> None:
    configuration = experiment_of([[0, 5000]], [["a", 0, 2000], ["b", 2000, BUCKETS]])
    counts = Counter(
        evaluate(configuration, "e", f"user-{n}").variant
        for n in range(100_000)
        if evaluate(configuration, "e", f"user-{n}").reason is Reason.SPLIT
    )
    # Five standard deviations of a binomial around each expectation.
    assert abs(counts["a"] - 10_000) < 5 * (100_000 * 0.1 * 0.9) ** 0.5
    assert abs(counts["b"] - 40_000) < 5 * (100_000 * 0.4 * 0.6) ** 0.5


@pytest.mark.parametrize("unit", [None, 7, b"user", "", [], object(), "user-\ud800", 1.5, True])
@pytest.mark.parametrize("flag", ["landing-page", "draft", "no-rules", "no-such-flag"])
def test_an_unusable_unit_gets_the_callers_default(flag: str, unit: Any) -> None:
    default = object()
    got = evaluate(CONFIGURATION, flag, unit, default)
    assert got == Assignment(flag, None, None, default, Reason.ERROR, None)


@pytest.mark.parametrize("flag", [None, [], {}, 7, object()])
def test_an_unusable_flag_key_gets_the_callers_default(flag: Any) -> None:
    assert evaluate(CONFIGURATION, flag, "user-1", 5).value == 5
    assert evaluate(CONFIGURATION, flag, "user-1", 5).reason is Reason.ERROR


def test_an_object_is_the_callers_own() -> None:
    units = (f"user-{n}" for n in range(100))
    unit = next(unit for unit in units if evaluate(CONFIGURATION, "object", unit).variant == "treatment")
    first = evaluate(CONFIGURATION, "object", unit)
    untouched = copy.deepcopy(first.value)
    first.value["sizes"][3]["deep"] = "changed"
    first.value["new"] = 1
    assert evaluate(CONFIGURATION, "object", unit).value == untouched


def test_a_number_never_arrives_as_an_integer() -> None:
    document = copy.deepcopy(VECTORS["configuration"])
    document["flags"]["number"]["variants"] = {"control": 1, "treatment": 2}
    configuration = load(json.dumps(document).encode())
    values = {evaluate(configuration, "number", f"user-{n}").value for n in range(50)}
    assert values == {1.0, 2.0}
    assert {type(value) for value in values} == {float}


def test_a_subclass_of_str_is_hashed_by_its_text() -> None:
    class Masked(str):
        def __format__(self, spec: str) -> str:
            return "***"

        def __str__(self) -> str:
            return "***"

    for n in range(50):
        assert evaluate(CONFIGURATION, "landing-page", Masked(f"user-{n}")) == evaluate(
            CONFIGURATION, "landing-page", f"user-{n}"
        )


@pytest.mark.parametrize("flag", ["to-dach", "object", "by-account", "no-such-flag", "", []])
def test_many_get_what_each_gets(flag: Any) -> None:
    units: list[Any] = [case["unit"] for case in VECTORS["cases"]] + [None, 7, "user-\ud800"]
    attributes = [case["attributes"] for case in VECTORS["cases"]] + [None, {}, 7]
    expected = [
        evaluate(CONFIGURATION, flag, unit, 5, each) for unit, each in zip(units, attributes, strict=True)
    ]
    assert assign_many(CONFIGURATION, flag, iter(units), 5, iter(attributes)) == expected
    assert assign_many(CONFIGURATION, flag, units, 5) == [
        evaluate(CONFIGURATION, flag, unit, 5) for unit in units
    ]


@given(configuration=documents().map(parse), attributes=json_attributes())
def test_many_units_with_the_same_attributes_get_what_each_gets(
    configuration: Configuration, attributes: dict[str, Any]
) -> None:
    units = [*(f"user-{n}" for n in range(12)), "", "DE", "x"]
    for flag in configuration.flags:
        assert assign_many(configuration, flag, units, 5, attributes) == [
            evaluate(configuration, flag, unit, 5, attributes) for unit in units
        ]


def test_attributes_that_many_units_share_are_looked_at_once() -> None:
    class Counted(dict[str, Any]):
        looks = 0

        def get(self, name: str, default: Any = None) -> Any:
            self.looks += 1
            return super().get(name, default)

    document = copy.deepcopy(VECTORS["configuration"])
    adult = {"attribute": "age", "operator": "at_least", "value": 18}
    short = {"attribute": "$unit", "operator": "matches", "value": "^user-..?$"}
    german = {"attribute": "country", "operator": "equals", "value": "DE"}
    document["segments"] |= {
        "adults": {"condition": adult},
        "short-adults": {"condition": {"all": [short, {"segment": "adults"}]}},
    }
    flag = document["flags"]["landing-page"]
    flag["rules"] = [
        {"variant": flag["default"], "audience": {"any": [{"not": german}, {"segment": "short-adults"}]}},
        {"variant": flag["default"], "audience": {"all": [adult, short, german]}},
    ]
    configuration = parse(document)
    units = [f"user-{n}" for n in range(300)]
    attributes = Counted(country="DE", age=20)
    got = assign_many(configuration, "landing-page", units, None, attributes)
    assert got == [evaluate(configuration, "landing-page", unit, None, dict(attributes)) for unit in units]
    assert {each.reason for each in got} == {Reason.TARGETING_MATCH, Reason.DEFAULT}
    assert attributes.looks == 4, "two conditions on attributes in each of the two rules"


def test_many_units_share_assignments_but_not_objects() -> None:
    units = [f"user-{n}" for n in range(1000)]
    assert len({id(each) for each in assign_many(CONFIGURATION, "landing-page", units)}) == 2
    assert len({id(each.value) for each in assign_many(CONFIGURATION, "object", units)}) == 1000


@pytest.mark.parametrize("flag", ["landing-page", "no-such-flag"])
@pytest.mark.parametrize("count", [1, 3])
def test_attributes_of_many_are_as_many_as_the_units(flag: str, count: int) -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        assign_many(CONFIGURATION, flag, ["a", "b"], None, [{}] * count)


def test_an_assignment_is_immutable_and_equal_by_its_members() -> None:
    one = evaluate(CONFIGURATION, "landing-page", "user-1")
    same = evaluate(parse(VECTORS["configuration"]), "landing-page", "user-1")
    assert one == same == copy.deepcopy(one) == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(same)
    assert one != Assignment("landing-page", None, one.variant, one.value, one.reason, one.revision)
    assert one != "landing-page"
    assert repr(one) == (
        "Assignment(flag='landing-page', experiment='landing-page', variant='treatment', value='new', "
        "reason=<Reason.SPLIT: 'SPLIT'>, revision=1)"
    )
    with pytest.raises(AttributeError, match="cannot be changed: variant"):
        one.variant = "x"
    with pytest.raises(AttributeError, match="cannot be changed: variant"):
        del one.variant
    match one:
        case Assignment(flag, experiment, variant):
            assert (flag, experiment, variant) == ("landing-page", "landing-page", "treatment")


def test_a_configuration_is_immutable_and_equal_by_its_content() -> None:
    again = parse(VECTORS["configuration"])
    assert again == CONFIGURATION
    assert again != parse(VECTORS["configuration"] | {"version": 4})
    assert again != 7
    assert repr(again) == "Configuration('default', 'production', version=3)"
    with pytest.raises(AttributeError, match="cannot be changed: version"):
        again.version = 1
    with pytest.raises(AttributeError, match="cannot be changed: version"):
        del again.version
