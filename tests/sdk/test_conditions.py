"""Conditions: the vectors, and what must hold for every condition, unit and attributes."""

import datetime as dt
import json
from collections import ChainMap, defaultdict
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sdk.documents import conditions, json_attributes, odd_attributes
from tests.vectors import generate_conditions, specification

from equipoise import ConfigurationError, Reason, evaluate, explain
from equipoise._operators import OPERATORS
from equipoise.configuration import Configuration, parse

VECTORS_PATH = Path(__file__).parents[1] / "vectors" / "conditions.json"
VECTORS = json.loads(VECTORS_PATH.read_text())
NEGATIONS = {"not_equals": "equals", "not_in": "in"}


def audience(condition: Any, segments: Any = VECTORS["segments"]) -> Configuration:
    """Return a configuration whose flag `f` serves `yes` to those for whom a condition holds."""
    return parse(
        {
            "schema": "equipoise.config/2",
            "project": "p",
            "environment": "e",
            "version": 1,
            "segments": segments,
            "flags": {
                "f": {
                    "type": "boolean",
                    "variants": {"yes": True, "no": False},
                    "default": "no",
                    "rules": [{"audience": condition, "variant": "yes"}],
                }
            },
            "experiments": {},
        }
    )


def single(operator: str, value: Any) -> dict[str, Any]:
    return {"attribute": "x", "operator": operator, "value": value}


def holds(condition: Any, attributes: Any, unit: str = "user-1") -> bool:
    got = evaluate(audience(condition), "f", unit, None, attributes)
    assert got.reason in (Reason.TARGETING_MATCH, Reason.DEFAULT)
    return bool(got.value)


def test_vectors_hold() -> None:
    assert len(VECTORS["cases"]) >= 500
    by_condition: dict[str, Configuration] = {}
    for case in VECTORS["cases"]:
        text = json.dumps(case["condition"])
        configuration = by_condition.setdefault(text, audience(case["condition"]))
        got = evaluate(configuration, "f", case["unit"], None, case["attributes"])
        assert got.value is case["holds"], case
        explained = explain(configuration, "f", case["unit"], case["attributes"]).rules[0].audience
        assert explained is not None
        assert explained.holds is case["holds"], case


def test_vectors_are_what_their_script_writes() -> None:
    assert specification.written(generate_conditions.vectors()) == VECTORS_PATH.read_text()


def test_vectors_meet_every_operator_both_ways_and_missing() -> None:
    met = {(case["group"], case["holds"]) for case in VECTORS["cases"]}
    assert met == {(group, said) for group in (*OPERATORS, "compound") for said in (True, False)}
    missing = {case["group"] for case in VECTORS["cases"] if case["attributes"] == {}}
    null = {case["group"] for case in VECTORS["cases"] if case["attributes"] == {"x": None}}
    assert missing == null | {"compound"} == {*OPERATORS, "compound"}


@pytest.mark.parametrize("condition", VECTORS["refused"], ids=lambda condition: json.dumps(condition)[:60])
def test_a_malformed_condition_is_refused_by_place(condition: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^(flags\.f\.rules\[0\]\.audience|flags\.f\.rules\[0\]: )"):
        audience({"any": [condition]} if condition is None else condition)


@given(condition=conditions(), attributes=json_attributes(), unit=st.sampled_from(["user-1", "x", "DE"]))
def test_any_condition_means_what_the_specification_says(
    condition: Any, attributes: dict[str, Any], unit: str
) -> None:
    assert holds(condition, attributes, unit) is specification.holds(
        condition, unit, attributes, VECTORS["segments"]
    )


@given(condition=conditions(), attributes=odd_attributes())
def test_whatever_the_attributes_it_never_raises(condition: Any, attributes: Any) -> None:
    holds(condition, attributes)


@given(condition=conditions(), attributes=odd_attributes())
def test_a_negation_is_exactly_that(condition: Any, attributes: Any) -> None:
    assert holds({"not": condition}, attributes) is not holds(condition, attributes)
    operator = condition.get("operator")
    if operator in NEGATIONS:
        positive = condition | {"operator": NEGATIONS[operator]}
        assert holds(condition, attributes) is not holds(positive, attributes)


@pytest.mark.parametrize("attributes", [None, 7, [], "x", object(), {"y": 1}, {"x": None}])
def test_an_attribute_that_is_not_there_is_missing(attributes: Any) -> None:
    for operator in OPERATORS:
        value = VECTORS_VALUES[operator]
        wanted = operator in NEGATIONS
        assert holds(single(operator, value), attributes) is wanted, operator
    assert holds(single("exists", False), attributes)


VECTORS_VALUES = {case["group"]: case["condition"].get("value") for case in reversed(VECTORS["cases"])}
"""A value that each operator takes."""


@pytest.mark.parametrize("value", [Decimal(1), 1j, b"DE", {"DE"}, {"DE": 1}, dt.date(2026, 1, 1), object()])
def test_what_json_cannot_say_is_of_a_type_that_no_operator_takes(value: Any) -> None:
    for operator in set(OPERATORS) - {"exists", "before", "after"}:
        assert holds(single(operator, VECTORS_VALUES[operator]), {"x": value}) is (operator in NEGATIONS)
    assert not holds(single("in", [1, "DE"]), {"x": value})
    assert not holds(single("is_type", "number"), {"x": value})


class Hostile:
    """Raises whatever is asked of it."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError


def test_a_hostile_attribute_holds_nothing() -> None:
    for operator in set(OPERATORS) - {"exists"}:
        condition = single(operator, VECTORS_VALUES[operator])
        assert holds(condition, {"x": Hostile()}) is (operator in NEGATIONS), operator
        explained = explain(audience(condition), "f", "user-1", {"x": Hostile()})
        assert json.dumps(explained.to_dict())


def test_a_tuple_is_a_list() -> None:
    assert holds(single("in", ["DE", "AT"]), {"x": ("FR", "AT")})
    assert holds(single("in", ["DE", 1]), {"x": ("FR", 1)})
    assert not holds(single("in", ["DE", "AT"]), {"x": ("FR",)})
    assert holds(single("contains", 1), {"x": (2, 1.0)})


def test_dates_of_python_compare_as_their_moments() -> None:
    noon = dt.datetime(2026, 3, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert holds(single("after", "2026-03-01T10:59:59Z"), {"x": noon})
    assert not holds(single("after", "2026-03-01T11:00:00Z"), {"x": noon})
    assert holds(single("before", "2026-03-02"), {"x": dt.date(2026, 3, 1)})
    assert not holds(single("before", "2026-03-02"), {"x": dt.datetime(2026, 3, 1)})


@pytest.mark.parametrize("make", [MappingProxyType, ChainMap, lambda given: defaultdict(str, given)])
def test_any_mapping_will_do_and_stays_as_it_is(make: Any) -> None:
    attributes = make({"x": "DE"})
    assert holds(single("in", ["DE"]), attributes)
    assert not holds({"attribute": "y", "operator": "equals", "value": ""}, attributes)
    assert dict(attributes) == {"x": "DE"}


def test_the_unit_is_an_attribute_that_none_can_take_the_place_of() -> None:
    condition = {"attribute": "$unit", "operator": "equals", "value": "user-1"}
    assert holds(condition, {"$unit": "user-2"})
    assert not holds(condition, {"$unit": "user-1"}, unit="user-2")


def test_a_pattern_cannot_run_away() -> None:
    assert not holds(single("matches", "^(a+)+$"), {"x": "a" * 50_000 + "b"})


def test_a_segment_of_a_hundred_thousand_ids() -> None:
    ids = [f"user-{n}" for n in range(100_000)]
    configuration = audience({"segment": "many"}, {"many": {"attribute": "$unit", "ids": ids}})
    assert evaluate(configuration, "f", "user-99999").value is True
    assert evaluate(configuration, "f", "user-100000").value is False
    explained = explain(configuration, "f", "user-1").to_dict()
    assert explained["rules"][0]["audience"]["expected"] == 100_000
    assert len(json.dumps(explained)) < 2_000


def chain(length: int) -> dict[str, Any]:
    """Return segments that refer to each other in a line."""
    links = {f"s{n}": {"condition": {"segment": f"s{n + 1}"}} for n in range(1, length)}
    return {**links, f"s{length}": {"condition": {"all": []}}}


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_of_ten_segments_will_do_and_eleven_will_not(backwards: bool) -> None:
    def segments(length: int) -> dict[str, Any]:
        made = chain(length)
        return dict(reversed(made.items())) if backwards else made

    assert evaluate(audience({"segment": "s1"}, segments(10)), "f", "u").value is True
    with pytest.raises(ConfigurationError, match="over 10 levels"):
        audience({"all": []}, segments(11))
    with pytest.raises(ConfigurationError, match="over 10 levels"):
        audience({"all": []}, segments(2_000))


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ({"a": {"condition": {"segment": "a"}}}, "a → a"),
        (
            {"a": {"condition": {"not": {"segment": "b"}}}, "b": {"condition": {"any": [{"segment": "a"}]}}},
            "a → b → a",
        ),
        ({"a": {"condition": {"segment": "gone"}}}, "there is no segment 'gone'"),
        ({"a": {}}, "either a condition"),
        ({"a": {"condition": {"all": []}, "ids": []}}, "either a condition"),
        ({"a": {"ids": []}}, "'attribute' is missing"),
        ({"a": {"attribute": "x", "ids": [1]}}, "expected a string"),
        ({"a": {"attribute": "x", "ids": ["\ud800"]}}, "lone surrogate"),
    ],
)
def test_segments_that_make_no_sense_are_refused(segments: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^segments\.[ab].*{said}"):
        audience({"all": []}, segments)


def test_an_audience_that_comes_to_too_much_is_refused() -> None:
    one = single("equals", 1)
    segments = {"s0": {"condition": {"all": [one] * 10}}}
    for n in range(1, 5):
        segments[f"s{n}"] = {"condition": {"any": [{"segment": f"s{n - 1}"}] * 10}}
    with pytest.raises(ConfigurationError, match="10,000 single conditions"):
        audience({"all": []}, segments)


def test_a_condition_nests_ten_deep_and_no_deeper() -> None:
    condition: Any = {"all": []}
    for _ in range(9):
        condition = {"not": condition}
    assert not holds(condition, {})
    with pytest.raises(ConfigurationError, match="deeper than 10"):
        audience({"not": condition})


def test_a_list_of_values_is_bounded() -> None:
    assert holds(single("in", list(range(10_000))), {"x": 9_999})
    with pytest.raises(ConfigurationError, match="make a segment"):
        audience(single("in", list(range(10_001))))
