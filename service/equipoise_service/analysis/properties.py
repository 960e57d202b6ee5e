"""Properties of events, read out of their JSON: the one place that knows how each engine says it.

Ibis 12 has JSON for DuckDB. What it makes of it elsewhere does not run on PostgreSQL, does not compile for
ClickHouse and Spark, and on most others does not tell "5" from 5. So their own functions are named here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

KINDS = ("text", "number", "truth")
"""The types that a property may have."""


def _function(name: str, takes: tuple[str, ...], gives: str) -> Callable[..., Any]:
    """A function of an engine, by its name and types."""
    stubs: dict[int, Callable[..., None]] = {
        1: lambda a: None,  # noqa: ARG005 - Ibis counts them
        2: lambda a, b: None,  # noqa: ARG005
        3: lambda a, b, c: None,  # noqa: ARG005
    }
    found: Callable[..., Any] = ibis.udf.scalar.builtin(
        stubs[len(takes)], name=name, signature=(takes, gives)
    )
    return found


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
        UnknownEngine: Nobody wrote down how the backend reads them.
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


_pg_type = _function("json_typeof", ("json",), "string")
_pg_member = _function("json_extract_path", ("json", "string"), "json")
_pg_text = _function("json_extract_path_text", ("json", "string"), "string")


def _postgres(properties: Any, name: str) -> Property:
    document = properties.cast("json")
    kind, text = _pg_type(_pg_member(document, name)), _pg_text(document, name)
    return Property(
        _where(kind == "string", text),
        _where(kind == "number", text).cast("float64"),
        _where(kind == "boolean", text == "true"),
    )


_ch_type = _function("JSONType", ("string", "string"), "string")
_ch_text = _function("JSONExtractString", ("string", "string"), "string")
_ch_number = _function("JSONExtractFloat", ("string", "string"), "float64")
_ch_truth = _function("JSONExtractBool", ("string", "string"), "boolean")


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
_spark_document = _function("try_parse_json", ("string",), "json")
_spark_member = _function("try_variant_get", ("json", "string", "string"), "json")
_spark_type = _function("schema_of_variant", ("json",), "string")
_spark_text = _function("try_variant_get", ("json", "string", "string"), "string")
_spark_number = _function("try_variant_get", ("json", "string", "string"), "float64")
_spark_truth = _function("try_variant_get", ("json", "string", "string"), "boolean")


def _spark(properties: Any, name: str) -> Property:
    document, path = _spark_document(properties), f"$.{name}"
    kind = _spark_type(_spark_member(document, path, "variant"))
    numeric = (kind == "BIGINT") | (kind == "DOUBLE") | (kind == "FLOAT") | kind.startswith("DECIMAL")
    return Property(
        _where(kind == "STRING", _spark_text(document, path, "string")),
        _where(numeric, _spark_number(document, path, "double")),
        _where(kind == "BOOLEAN", _spark_truth(document, path, "boolean")),
    )


_part = _function("SUBSTR", ("string", "int64", "int64"), "string")


def _written(member: Any, text: Any) -> Property:
    """A property by how it is written.

    Args:
        member: Its JSON, as text.
        text: The same without quotes.
    """
    first = _part(member, 1, 1)
    return Property(
        _where(first == '"', text),
        _where(first.isin(list("-0123456789")), text).cast("float64"),
        _where(first.isin(["t", "f"]), text == "true"),
    )


_trino_member = _function("json_extract", ("string", "string"), "json")
_trino_written = _function("json_format", ("json",), "string")
_trino_text = _function("json_extract_scalar", ("string", "string"), "string")


def _trino(properties: Any, name: str) -> Property:
    path = f"$.{name}"
    return _written(_trino_written(_trino_member(properties, path)), _trino_text(properties, path))


_bigquery_written = _function("JSON_QUERY", ("string", "string"), "string")
_bigquery_text = _function("JSON_VALUE", ("string", "string"), "string")


def _bigquery(properties: Any, name: str) -> Property:
    path = f"$.{name}"
    return _written(_bigquery_written(properties, path), _bigquery_text(properties, path))


_snowflake_document = _function("TRY_PARSE_JSON", ("string",), "json")
_snowflake_member = _function("GET", ("json", "string"), "json")
_snowflake_written = _function("TO_JSON", ("json",), "string")
_snowflake_text = _function("TO_VARCHAR", ("json",), "string")


def _snowflake(properties: Any, name: str) -> Property:
    member = _snowflake_member(_snowflake_document(properties), name)
    return _written(_snowflake_written(member), _snowflake_text(member))


def _where(asked: ir.BooleanValue, value: Any) -> Any:
    return ibis.ifelse(asked, value, ibis.null(value.type()))


_READERS: Mapping[str, Callable[[Any, str], Property]] = {
    "athena": _trino,
    "bigquery": _bigquery,
    "clickhouse": _clickhouse,
    "databricks": _spark,
    "duckdb": _duckdb,
    "postgres": _postgres,
    "pyspark": _spark,
    "snowflake": _snowflake,
    "trino": _trino,
}
