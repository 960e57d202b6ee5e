"""Warehouses that sources read: a DuckDB file and a real PostgreSQL, with the same tables."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg

TABLES = (
    "CREATE SCHEMA shop",
    "CREATE TABLE shop.orders (user_id VARCHAR(200), local_at TIMESTAMP, at_zone TIMESTAMP WITH TIME ZONE,"
    " day DATE, amount DECIMAL(18, 2), what VARCHAR(200), details VARCHAR(2000), paid BOOLEAN)",
    "CREATE TABLE shop.met (user_id VARCHAR(200), met_at TIMESTAMP WITH TIME ZONE, test VARCHAR(200),"
    " arm VARCHAR(200), iteration INTEGER)",
)


@dataclass(frozen=True)
class Warehouse:
    """A database, and its address as the environment of the service has it."""

    url: str

    @property
    def engine(self) -> str:
        return "duckdb" if self.url.startswith("duckdb") else "postgres"

    def execute(self, statement: str, rows: Sequence[Sequence[Any]] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement, or once for each row, with `?` for its values."""
        if self.engine == "duckdb":
            with closing(duckdb.connect(urlsplit(self.url).path)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                if rows is None:
                    return connection.execute(statement).fetchall()
                connection.executemany(statement, rows)
                return []
        with psycopg.connect(self.url, autocommit=True) as postgres, postgres.cursor() as cursor:
            if rows is not None:
                cursor.executemany(statement.replace("?", "%s").encode(), rows)
                return []
            cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def add_orders(self, *orders: tuple[str | None, datetime | None, float | None]) -> None:
        """Orders: who, when (aware), how much."""
        self.execute(
            "INSERT INTO shop.orders (user_id, local_at, at_zone, amount, what) VALUES (?, ?, ?, ?, 'order')",
            [
                (unit, None if at is None else at.replace(tzinfo=None), at, amount)
                for unit, at, amount in orders
            ],
        )


def source(key: str = "warehouse", **changes: Any) -> dict[str, Any]:
    """A payload that makes a source of the table of orders."""
    return {
        "key": key,
        "name": "Orders",
        "connection": "SHOP",
        "events": {
            "table": "shop.orders",
            "columns": {"unit": "user_id", "time": "at_zone", "value": "amount"},
            "name": "order",
        },
        **changes,
    }
