"""The engines whose SQL can be printed."""

from enum import StrEnum


class Engine(StrEnum):
    """An engine that can recompute assignments; the names are those of sqlglot's dialects."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    CLICKHOUSE = "clickhouse"
    SPARK = "spark"
    BIGQUERY = "bigquery"
    SNOWFLAKE = "snowflake"
    TRINO = "trino"
    REDSHIFT = "redshift"
