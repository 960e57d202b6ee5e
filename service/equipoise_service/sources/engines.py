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
    # Ibis 12 takes no days of its times.
    "druid": Engine("druid", computes=False),
    "duckdb": Engine("duckdb"),
    # Ibis 12 adds no hours to its times.
    "exasol": Engine("exasol", computes=False),
    # Ibis 12 makes tables of ours there that outlast the session, or what describes them.
    "impala": Engine("hive", computes=False),
    # As on Impala.
    "materialize": Engine("materialize", computes=False),
    # Ibis 12 counts no rows in windows there.
    "mssql": Engine("tsql", computes=False),
    # Ibis 12 makes no rows of numbers there.
    "mysql": Engine("mysql", computes=False),
    # As on Impala.
    "oracle": Engine("oracle", computes=False),
    "postgres": Engine("postgres"),
    "postgresql": Engine("postgres"),
    "pyspark": Engine("spark"),
    # As on Impala.
    "risingwave": Engine("risingwave", computes=False),
    # As on MySQL.
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
