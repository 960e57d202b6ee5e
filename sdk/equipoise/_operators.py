"""The operators of single conditions: `{"attribute": name, "operator": …, "value": …}`.

An operator is false where the attribute is missing or of a type that it does not take; `not_equals` and
`not_in` are exactly the negations of `equals` and `in`. No function made here ever raises.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import eq, ge, gt, le, lt
from typing import Any, Final, NamedTuple

from equipoise import _dates, _patterns, _versions
from equipoise import _reading as read_
from equipoise._definitions import Condition
from equipoise.errors import ConfigurationError

Holds = Callable[[str, Any], bool]
"""Whether a condition holds for a unit and its attributes."""

Test = Callable[[Any], bool]
"""Whether an operator holds for the value of an attribute that is not missing."""

UNIT: Final = "$unit"
"""The reserved attribute: the unit's id, as it was given to evaluation."""

MAX_TEXT: Final = 1_000
"""Characters of a name or a text in a condition."""

MAX_VALUES: Final = 10_000
"""Values of `in` and `not_in`; longer lists of ids belong into a segment."""

TYPES: Final = ("boolean", "string", "integer", "number", "list")


def read(document: Mapping[str, Any], place: str) -> Condition:
    """Return a single condition that is well formed, detached from the document.

    Raises:
        ConfigurationError: it is malformed; the error names the place.
    """
    name = read_.text(document["attribute"], f"{place}.attribute", MAX_TEXT)
    operator = read_.one_of(read_.member(document, "operator", place), OPERATORS, f"{place}.operator")
    value = OPERATORS[operator].read(read_.member(document, "value", place), f"{place}.value")
    return {"attribute": name, "operator": operator, "value": value}


def compile(condition: Condition) -> Holds:
    """Return the function of a single condition that `read` returned."""
    name, operator, value = condition["attribute"], condition["operator"], condition["value"]
    if operator == "exists":
        return _exists(name, value)
    negated = operator in ("not_equals", "not_in")
    if negated:
        operator = operator.removeprefix("not_")
    if operator == "equals" and isinstance(value, str):
        holds = _one_text(name, value)
    elif operator == "in" and all(isinstance(each, str) for each in value):
        holds = ids(name, frozenset(value))
    else:
        holds = _on(name, OPERATORS[operator].test(value))
    return (lambda unit, attributes: not holds(unit, attributes)) if negated else holds


def among(condition: Condition) -> tuple[str, frozenset[str]] | None:
    """Return the attribute and the texts of a condition that is no more than one being among the others.

    Where the attribute is one of the texts the condition holds; elsewhere its function is to be asked.
    None of any other condition, and of one about the unit.
    """
    operator, name = condition.get("operator"), condition.get("attribute")
    if name is None or name == UNIT or operator not in ("equals", "in"):
        return None
    values = condition["value"] if operator == "in" else [condition["value"]]
    return (name, frozenset(values)) if set(map(type, values)) == {str} else None


def ids(name: str, members: frozenset[str]) -> Holds:
    """Return the function of `in` for texts alone: the frequent case, and that of a segment's ids."""
    if name == UNIT:
        return lambda unit, _: unit in members

    def holds(_: str, attributes: Any) -> bool:
        try:
            value = attributes.get(name)
            return value in members or (isinstance(value, tuple) and _any_in(value, members))
        except Exception:  # a list, which cannot be hashed; or no mapping, or a value that cannot be compared
            return _list_in(attributes, name, members)

    return holds


def _list_in(attributes: Any, name: str, members: frozenset[str]) -> bool:
    try:
        value = attributes.get(name)
        return isinstance(value, list) and _any_in(value, members)
    except Exception:  # as above
        return False


def _any_in(values: Iterable[Any], members: frozenset[str]) -> bool:
    return any(isinstance(value, str) and value in members for value in values)


def _one_text(name: str, expected: str) -> Holds:
    if name == UNIT:
        return lambda unit, _: unit == expected

    def holds(_: str, attributes: Any) -> bool:
        try:
            return bool(attributes.get(name) == expected)
        except Exception:  # no mapping, or a value that cannot be compared: equal to nothing
            return False

    return holds


def _on(name: str, test: Test) -> Holds:
    """Apply a test to an attribute. What raises is no JSON value, hence of a type no operator takes."""
    if name == UNIT:
        return lambda unit, _: test(unit)

    def holds(_: str, attributes: Any) -> bool:
        try:
            value = attributes.get(name)
            return value is not None and test(value)
        except Exception:
            return False

    return holds


def _exists(name: str, wanted: bool) -> Holds:
    if name == UNIT:
        return lambda _, __: wanted

    def holds(_: str, attributes: Any) -> bool:
        try:
            return (attributes.get(name) is not None) is wanted
        except Exception:  # no mapping: nothing is there
            return not wanted

    return holds


def is_number(value: Any) -> bool:
    """Return whether it is a JSON number: `True` and `False` are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equals(expected: Any) -> Test:
    if isinstance(expected, str):
        return lambda value: isinstance(value, str) and value == expected
    if isinstance(expected, bool):
        return lambda value: value is expected
    return lambda value: is_number(value) and value == expected


def _in(values: list[Any]) -> Test:
    texts = frozenset(value for value in values if isinstance(value, str))
    booleans = [value for value in values if isinstance(value, bool)]
    numbers = frozenset(value for value in values if is_number(value))

    def one(value: Any) -> bool:
        if isinstance(value, str):
            return value in texts
        return value in booleans if isinstance(value, bool) else is_number(value) and value in numbers

    return lambda value: any(map(one, value)) if isinstance(value, list | tuple) else one(value)


def _contains(expected: Any) -> Test:
    same = _equals(expected)

    def test(value: Any) -> bool:
        if isinstance(value, str):
            return isinstance(expected, str) and expected in value
        return isinstance(value, list | tuple) and any(map(same, value))

    return test


def _starts_with(prefix: str) -> Test:
    return lambda value: isinstance(value, str) and value.startswith(prefix)


def _ends_with(suffix: str) -> Test:
    return lambda value: isinstance(value, str) and value.endswith(suffix)


def _matches(pattern: str) -> Test:
    compiled = _patterns.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.search(value)


def _compared(parse: Callable[[object], Any], compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    """Return the test of an ordered kind written as text; what cannot be parsed fails it."""

    def made(operand: Any) -> Test:
        bound = parse(operand)

        def test(value: Any) -> bool:
            parsed = parse(value)
            return parsed is not None and compare(parsed, bound)

        return test

    return made


def _is_type(wanted: str) -> Test:
    tests: dict[str, Test] = {
        "boolean": lambda value: isinstance(value, bool),
        "string": lambda value: isinstance(value, str),
        # 1.0 is 1: many languages and every JSON writer of theirs cannot tell them apart.
        "integer": lambda value: is_number(value) and value == value // 1,
        "number": is_number,
        "list": lambda value: isinstance(value, list | tuple),
    }
    return tests[wanted]


def _scalar(value: Any, place: str) -> Any:
    if isinstance(value, str):
        return read_.any_text(value, place, MAX_TEXT)
    if isinstance(value, bool):
        return value
    return read_.number(value, place, "a string, a number or a boolean")


def _scalars(value: Any, place: str) -> list[Any]:
    values = read_.sequence(value, place)
    if len(values) > MAX_VALUES:
        raise ConfigurationError(
            place, f"{len(values):,} values, at most {MAX_VALUES:,} are taken; make a segment of ids"
        )
    return [_scalar(each, f"{place}[{index}]") for index, each in enumerate(values)]


def _text(value: Any, place: str) -> str:
    return read_.any_text(value, place, MAX_TEXT)


def _interval(value: Any, place: str) -> list[float]:
    pair = [
        read_.number(each, f"{place}[{index}]") for index, each in enumerate(read_.sequence(value, place))
    ]
    if len(pair) != 2 or pair[0] > pair[1]:
        raise ConfigurationError(place, "expected [low, high] with low <= high")
    return pair


def _pattern(value: Any, place: str) -> str:
    pattern = read_.any_text(value, place, _patterns.MAX_LENGTH)
    try:
        _patterns.compile(pattern)
    except _patterns.PatternError as error:
        raise ConfigurationError(place, str(error)) from None
    return pattern


def _version(value: Any, place: str) -> str:
    if _versions.parse(_text(value, place)) is None:
        raise ConfigurationError(place, f"expected a semantic version such as 2.1.0, found {value!r:.80}")
    return str(value)


def _moment(value: Any, place: str) -> str:
    if _dates.parse(_text(value, place)) is None:
        raise ConfigurationError(
            place,
            f"expected a date such as 2026-11-22 or a time such as 2026-11-22T08:30:00Z, found {value!r:.80}",
        )
    return str(value)


class Operator(NamedTuple):
    """What an operator takes and does.

    Attributes:
        read: checks the condition's `value` and returns it detached.
        test: returns the test of an attribute's value against it.
    """

    read: Callable[[Any, str], Any]
    test: Callable[[Any], Test]


OPERATORS: Final[Mapping[str, Operator]] = {
    "equals": Operator(_scalar, _equals),
    "not_equals": Operator(_scalar, _equals),
    "in": Operator(_scalars, _in),
    "not_in": Operator(_scalars, _in),
    "less_than": Operator(read_.number, lambda high: lambda value: is_number(value) and value < high),
    "at_most": Operator(read_.number, lambda high: lambda value: is_number(value) and value <= high),
    "greater_than": Operator(read_.number, lambda low: lambda value: is_number(value) and value > low),
    "at_least": Operator(read_.number, lambda low: lambda value: is_number(value) and value >= low),
    "between": Operator(
        _interval, lambda ends: lambda value: is_number(value) and ends[0] <= value <= ends[1]
    ),
    "starts_with": Operator(_text, _starts_with),
    "ends_with": Operator(_text, _ends_with),
    "contains": Operator(_scalar, _contains),
    "matches": Operator(_pattern, _matches),
    "version_equals": Operator(_version, _compared(_versions.parse, eq)),
    "version_less_than": Operator(_version, _compared(_versions.parse, lt)),
    "version_at_most": Operator(_version, _compared(_versions.parse, le)),
    "version_greater_than": Operator(_version, _compared(_versions.parse, gt)),
    "version_at_least": Operator(_version, _compared(_versions.parse, ge)),
    "before": Operator(_moment, _compared(_dates.parse, lt)),
    "after": Operator(_moment, _compared(_dates.parse, gt)),
    "exists": Operator(read_.boolean, lambda wanted: lambda _: bool(wanted)),
    "is_type": Operator(lambda value, place: read_.one_of(value, TYPES, place), _is_type),
}
"""Every operator by its name; those that are negations share the test of what they negate."""
