"""Properties of events, read out of their JSON: the one place that knows how each engine says it.

Ibis 12 has JSON for DuckDB. What it makes of it does not run on PostgreSQL and does not compile for ClickHouse
and Spark, whose own functions are named here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

_builtin = ibis.udf.scalar.builtin


@dataclass(frozen=True, slots=True)
class Property:
    """A top-level property of events as each of the types that it may have: null where it is of another one.

    Attributes:
        text: A string.
        number: A double.
        truth: A boolean.
    """

    text: ir.StringValue
    number: ir.FloatingValue
    truth: ir.BooleanValue


class UnknownEngine(ValueError):
    """An engine of which nobody wrote down how it reads JSON."""


def read_property(events: ir.Table, name: str) -> Property:
    """Reads a property.

    Args:
        events: A table of a backend, with a column properties: a JSON object as text, or null.
        name: The property's name: letters, digits and `_`.

    Raises:
        UnknownEngine: The backend is none of DuckDB, PostgreSQL, ClickHouse and Spark.
    """
    engine = events.get_backend().name
    if engine not in _READERS:
        raise UnknownEngine(
            f"Properties of events cannot be read on {engine}; known are {', '.join(sorted(_READERS))}."
        )
    return _READERS[engine](events.properties, name)


def _duckdb(properties: Any, name: str) -> Property:
    given = properties.cast("json")[name]
    return Property(given.str, given.float, given.bool)


@_builtin(name="json_typeof", signature=(("json",), "string"))
def _pg_type(value: Any) -> Any: ...


@_builtin(name="json_extract_path", signature=(("json", "string"), "json"))
def _pg_member(value: Any, name: Any) -> Any: ...


@_builtin(name="json_extract_path_text", signature=(("json", "string"), "string"))
def _pg_text(value: Any, name: Any) -> Any: ...


def _postgres(properties: Any, name: str) -> Property:
    document = properties.cast("json")
    kind, text = _pg_type(_pg_member(document, name)), _pg_text(document, name)
    return Property(
        _where(kind == "string", text),
        _where(kind == "number", text).cast("float64"),
        _where(kind == "boolean", text == "true"),
    )


@_builtin(name="JSONType", signature=(("string", "string"), "string"))
def _ch_type(text: Any, name: Any) -> Any: ...


@_builtin(name="JSONExtractString", signature=(("string", "string"), "string"))
def _ch_text(text: Any, name: Any) -> Any: ...


@_builtin(name="JSONExtractFloat", signature=(("string", "string"), "float64"))
def _ch_number(text: Any, name: Any) -> Any: ...


@_builtin(name="JSONExtractBool", signature=(("string", "string"), "boolean"))
def _ch_truth(text: Any, name: Any) -> Any: ...


def _clickhouse(properties: Any, name: str) -> Property:
    kind = _ch_type(properties, name)
    return Property(
        _where(kind == "String", _ch_text(properties, name)),
        _where(
            (kind == "Int64") | (kind == "UInt64") | (kind == "Double"),
            _ch_number(properties, name),
        ),
        _where(kind == "Bool", _ch_truth(properties, name)),
    )


# Ibis has no type for Spark's VARIANT; nothing is done with one here but handing it on.
@_builtin(name="try_parse_json", signature=(("string",), "json"))
def _spark_document(text: Any) -> Any: ...


@_builtin(name="try_variant_get", signature=(("json", "string", "string"), "json"))
def _spark_member(document: Any, path: Any, type: Any) -> Any: ...


@_builtin(name="schema_of_variant", signature=(("json",), "string"))
def _spark_type(document: Any) -> Any: ...


@_builtin(name="try_variant_get", signature=(("json", "string", "string"), "string"))
def _spark_text(document: Any, path: Any, type: Any) -> Any: ...


@_builtin(name="try_variant_get", signature=(("json", "string", "string"), "float64"))
def _spark_number(document: Any, path: Any, type: Any) -> Any: ...


@_builtin(name="try_variant_get", signature=(("json", "string", "string"), "boolean"))
def _spark_truth(document: Any, path: Any, type: Any) -> Any: ...


def _spark(properties: Any, name: str) -> Property:
    document, path = _spark_document(properties), f"$.{name}"
    kind = _spark_type(_spark_member(document, path, "variant"))
    numeric = (kind == "BIGINT") | (kind == "DOUBLE") | (kind == "FLOAT") | kind.startswith("DECIMAL")
    return Property(
        _where(kind == "STRING", _spark_text(document, path, "string")),
        _where(numeric, _spark_number(document, path, "double")),
        _where(kind == "BOOLEAN", _spark_truth(document, path, "boolean")),
    )


def _where(asked: ir.BooleanValue, value: Any) -> Any:
    return ibis.ifelse(asked, value, ibis.null(value.type()))


_READERS: Mapping[str, Callable[[Any, str], Property]] = {
    "duckdb": _duckdb,
    "postgres": _postgres,
    "clickhouse": _clickhouse,
    "pyspark": _spark,
}
