"""Conditions of metrics as Ibis expressions."""

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import ibis.expr.types as ir

from equipoise_service.analysis.properties import read_property
from equipoise_service.metrics.conditions import Condition, Operator

_ORDER: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.LESS_THAN: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER_THAN: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


def fits(events: ir.Table, name: str, filters: tuple[Condition, ...]) -> ir.BooleanValue:
    """Whether an event has a name and meets every condition.

    Args:
        events: Columns name, value, properties (a JSON object as text).
        name: Name of the events.
        filters: The conditions.
    """
    conditions = [_holds(events, condition) for condition in filters]
    return reduce(operator.and_, conditions, events.name == name)


def _holds(events: ir.Table, condition: Condition) -> ir.BooleanValue:
    given = {kind: [each for each in condition.values() if type(each) is kind] for kind in (str, float, bool)}
    tests = [
        _test(_typed(events, condition.property, kind), condition.operator, values)
        for kind, values in given.items()
        if values
    ]
    return reduce(operator.or_, (test.fill_null(False) for test in tests))


def _typed(events: ir.Table, name: str | None, kind: type) -> ir.Value:
    """The value or property where it is of a kind, else null: "5" is not 5, and 1 is not true."""
    if name is None:
        return events.value
    given = read_property(events, name)
    return {str: given.text, float: given.number, bool: given.truth}[kind]


def _test(given: ir.Value, asked: Operator, values: list[Any]) -> ir.BooleanValue:
    if asked in (Operator.EQUALS, Operator.IN):
        return given.isin(values)
    if asked is Operator.BETWEEN:
        return given.between(*values)
    return _ORDER[asked](given, values[0])
