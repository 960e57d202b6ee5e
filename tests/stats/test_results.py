"""Results turn into JSON: finite numbers, strings, None for what is open."""

import json
import math
from dataclasses import dataclass

import pytest

from equipoise_stats import Interval, Method, Notice, Status
from equipoise_stats.results import Serialisable, to_json


@dataclass(frozen=True, slots=True)
class Holder(Serialisable):
    value: object


def test_nested_values_become_json_types() -> None:
    holder = Holder((Status.OK, Notice("code", "text"), {"a": 1.5}, [True, None, 3]))
    expected = {
        "value": ["ok", {"code": "code", "message": "text", "details": {}}, {"a": 1.5}, [True, None, 3]]
    }
    assert holder.to_dict() == expected
    assert json.loads(json.dumps(holder.to_dict(), allow_nan=False)) == expected


def test_statuses_are_plain_strings() -> None:
    assert type(Holder(Status.OK).to_dict()["value"]) is str


def test_open_ends_become_none() -> None:
    assert Interval(-math.inf, 2.0).to_dict() == {"lower": None, "upper": 2.0}


def test_parameters_of_a_method_become_an_object() -> None:
    method = Method("name", 1, (("alpha", 0.05), ("df", math.inf), ("kind", "x")))
    assert method.to_dict() == {
        "name": "name",
        "version": 1,
        "parameters": {"alpha": 0.05, "df": None, "kind": "x"},
    }


def test_nan_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"value\[1\] is NaN"):
        Holder((1.0, math.nan)).to_dict()


def test_what_json_does_not_know_is_refused() -> None:
    with pytest.raises(TypeError, match=r"value\.when is a complex"):
        to_json({"when": 1j})


@pytest.mark.parametrize(("value", "outside"), [(0.9, True), (1.0, False), (2.0, False), (2.1, True)])
def test_an_interval_is_closed(value: float, outside: bool) -> None:
    assert Interval(1.0, 2.0).excludes(value) is outside
