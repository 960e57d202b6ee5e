"""The names of events as numbers: a text is compared once, whatever is made of its event.

DuckDB looks at each text of a dictionary once where a function of its own has it as the only argument that
varies, and at each row where texts are compared. So a place in a list it is there; most other engines have
no such function, or find by a comparison what an index knows.
"""

from collections.abc import Callable, Sequence
from typing import Any

import ibis
import ibis.expr.types as ir

_builtin: Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]] = ibis.udf.scalar.builtin


@_builtin(name="list_position", signature=(("array<string>", "string"), "int32"))
def _list_position(texts: Any, text: Any) -> Any:
    """The place of a text among others, from 1; 0 where it is not there, null for null (DuckDB)."""


def have_names(events: ir.Table, names: Sequence[str]) -> ir.BooleanValue:
    """Whether events have one of some names.

    Args:
        events: A table of a backend, with a column name.
        names: The names, at least one.
    """
    return _place(events, names) > 0 if _is_duckdb(events) else events.name.isin(names)


def code_of_name(events: ir.Table, names: Sequence[str]) -> ir.IntegerValue:
    """The place of each event's name among some, from 0; its type is int16 or int32.

    Args:
        events: A table of a backend, with a column name; all have one of the names.
        names: The names, at least one.
    """
    if _is_duckdb(events):
        return _place(events, names) - 1
    cases = ((events.name == name, ibis.literal(code, type="int16")) for code, name in enumerate(names))
    return ibis.cases(*cases, else_=ibis.literal(-1, type="int16"))


def _place(events: ir.Table, names: Sequence[str]) -> Any:
    return _list_position(ibis.literal(list(names), type="array<string>"), events.name)


def _is_duckdb(events: ir.Table) -> bool:
    return bool(events.get_backend().name == "duckdb")
