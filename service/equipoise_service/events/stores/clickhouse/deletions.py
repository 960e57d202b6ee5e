"""Deleting from ClickHouse: parts that hold such rows are written anew without them."""

from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from equipoise_service.events.stores.deletions import FACTS, Old, StoredUnit

# The answer comes when all is done, on every replica; the parts before go after `old_parts_lifetime`.
_WAIT = {"mutations_sync": 2}
# A server refuses a parameter of more than 128 KiB, and an item may have 16.
_ITEMS_A_QUERY = 7

# Only names of ours become part of these texts, nothing from outside.
_UNIT = """
place IN {places:Array(String)} AND unit_type = {unit_type:String} AND unit = {unit:String}
"""
_REJECTED = "place IN {places:Array(String)} AND item IN {items:Array(String)}"
_OLD = "place = {{place{number}:String}} AND {column} < {{before{number}:DateTime64(6)}}"
_NOT_KEPT = "NOT has({{kept{number}:Array(String)}}, experiment)"


def delete_unit(client: Client, unit: StoredUnit) -> dict[str, int]:
    """Delete a unit's rows; the number in each table."""
    parameters = {"places": list(unit.places), "unit_type": unit.unit_type, "unit": unit.unit}
    return {table: _delete(client, table, f"{table}_parts", _UNIT, parameters) for table in FACTS}


def delete_rejected(client: Client, places: Sequence[str], items: Sequence[str]) -> int:
    """Delete the refused items of exactly these texts."""
    deleted = 0
    for start in range(0, len(items), _ITEMS_A_QUERY):
        parameters = {"places": list(places), "items": list(items[start : start + _ITEMS_A_QUERY])}
        deleted += _delete(client, "rejected", "rejected", _REJECTED, parameters)
    return deleted


def delete_old(client: Client, old: Old) -> int:
    """Delete what is old, all of it: the server does this beside everything else."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {}
    for number, (place, before) in enumerate(old.before.items()):
        terms = [_OLD.format(number=number, column=old.column)]
        parameters |= {f"place{number}": place, f"before{number}": before}
        if kept := old.kept_in(place):
            terms.append(_NOT_KEPT.format(number=number))
            parameters[f"kept{number}"] = kept
        conditions.append(f"({' AND '.join(terms)})")
    written = old.table if old.table == "rejected" else f"{old.table}_parts"
    return _delete(client, old.table, written, " OR ".join(conditions), parameters)


def _delete(client: Client, read: str, written: str, condition: str, parameters: dict[str, Any]) -> int:
    """Delete the rows of a condition from the table that is written; how many are read of it before."""
    counting = f"SELECT count() FROM {read} WHERE {condition}"  # noqa: S608 - texts of ours
    count = int(client.query(counting, parameters=parameters).result_rows[0][0])
    if count:
        client.command(
            f"ALTER TABLE {written} DELETE WHERE {condition}", parameters=parameters, settings=_WAIT
        )
    return count
