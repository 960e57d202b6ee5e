"""The engines that a source may be on, and what is particular about each."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Engine:
    """What is particular about an engine.

    Attributes:
        dialect: What sqlglot calls its SQL.
        computes: Whether Ibis can say all of a readout in its SQL; if not, rows are brought to the service.
    """

    dialect: str
    computes: bool = True


ENGINES: Mapping[str, Engine] = {
    "athena": Engine("athena"),
    "bigquery": Engine("bigquery"),
    "clickhouse": Engine("clickhouse"),
    "databricks": Engine("databricks"),
    # Ibis 12 has no dates of its times.
    "druid": Engine("druid", computes=False),
    "duckdb": Engine("duckdb"),
    # Ibis 12 cannot add hours to its times.
    "exasol": Engine("exasol", computes=False),
    # Tables of ours would be written there to stay, or cannot be: nor on the further ones.
    "impala": Engine("hive", computes=False),
    "materialize": Engine("materialize", computes=False),
    # Ibis 12 has no windows of counts for it.
    "mssql": Engine("tsql", computes=False),
    "mysql": Engine("mysql"),
    "oracle": Engine("oracle", computes=False),
    "postgres": Engine("postgres"),
    "postgresql": Engine("postgres"),
    "pyspark": Engine("spark"),
    "risingwave": Engine("risingwave", computes=False),
    "singlestoredb": Engine("singlestore", computes=False),
    "snowflake": Engine("snowflake"),
    # It has no times: texts stand for them, in several ways.
    "sqlite": Engine("sqlite", computes=False),
    "trino": Engine("trino"),
}
"""By the scheme of the address, which is Ibis's name of the engine."""

_EMPTY = "an address opens it empty, in the service's own process: it has no tables to read"

KEPT_OUT: Mapping[str, str] = {
    "datafusion": _EMPTY,
    "flink": "Ibis connects to it by an object of the program that runs it, and not by an address",
    "polars": _EMPTY,
}
"""Ibis's other engines, and why no source may be on them."""
