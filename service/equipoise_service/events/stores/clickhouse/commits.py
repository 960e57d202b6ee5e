"""Of many batches, what is not stored yet goes into the tables. There are no transactions here.

The items go in first, each kind whole or not at all; then what tells of them. If anything fails on the way,
the senders send again, and what is stored already comes out as duplicates.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from equipoise_service.events.batches import Batch, Receipt
from equipoise_service.events.stores.columns import COLUMNS, CONTENT, Offer, events_offer, exposures_offer
from equipoise_service.events.stores.outcomes import (
    ALL_NEW,
    Outcome,
    dropped_rows,
    intake_rows,
    outcome,
    receipts,
    rejected_rows,
)

# The server gathers what many processes insert, and answers when it is stored.
_INSERT = {"async_insert": 1, "wait_for_async_insert": 1}
# A server refuses a parameter of more than 128 KiB.
_IDS_A_QUERY = 2000

# Only names of ours become part of these texts, nothing from outside.
_FIND = """
SELECT place, replaceAll(toString(id), '-', '') AS digits, {content} FROM {table}
WHERE place IN {{places:Array(String)}} AND id IN {{ids:Array(UUID)}}
"""
_REPORTED = "SELECT place, toString(client), reason, count FROM dropped WHERE place IN {places:Array(String)}"

# place and id.
_Key = tuple[str, str]


def commit(client: Client, batches: Sequence[Batch]) -> list[Receipt]:
    """Store what is not stored yet of some batches.

    Args:
        client: Used by nobody else meanwhile.
        batches: In the order in which they came: of two items with the same id the first is stored.

    Returns:
        What became of each batch. All of it is on disk.

    Raises:
        clickhouse_connect.driver.exceptions.Error: Something was not stored, perhaps all of it.
    """
    offers = exposures_offer(batches), events_offer(batches)
    answers = receipts(offers, [_store(client, offer) for offer in offers])
    if rejected := rejected_rows(batches, answers):
        columns = ["place", "key", "kind", "id", "pointer", "reason", "item"]
        client.insert("rejected", rejected, column_names=columns, settings=_INSERT)
    _store_dropped(client, batches)
    if intake := intake_rows(batches, answers):
        columns = ["place", "key", "kind", "accepted", "duplicate", "refused"]
        client.insert("intake_parts", intake, column_names=columns, settings=_INSERT)
    return answers


def _store(client: Client, offer: Offer) -> Outcome:
    """Insert what is new, and find what is not."""
    if not len(offer.columns):
        return ALL_NEW
    ids = [offer.ids[start : start + 16].hex() for start in range(0, len(offer.ids), 16)]
    keys = list(zip(offer.columns["place"].to_pylist(), ids, strict=True))
    firsts = {keys[head]: head for head in np.unique(offer.heads[~offer.again]).tolist()}
    stored = _stored_rows(client, offer, firsts)
    new = np.array([not again and key not in stored for again, key in zip(offer.again, keys, strict=True)])
    if new.any():
        rows = offer.columns.set_column(offer.columns.column_names.index("id"), "id", pa.array(ids))
        client.insert_arrow(
            f"{offer.name}_parts", rows.select(COLUMNS[offer.name]).filter(pa.array(new)), settings=_INSERT
        )
        if new.all():
            return ALL_NEW
    # What an item again is compared with may have come with this very commit.
    for key, row in zip(
        (key for key, is_new in zip(keys, new, strict=True) if is_new),
        offer.columns.select(CONTENT[offer.name]).filter(pa.array(new)).to_pylist(),
        strict=True,
    ):
        stored.setdefault(key, []).append(row)
    heads = np.unique(offer.heads[~new]).tolist()
    fields = [offer.columns.schema.field(name) for name in ("head", *CONTENT[offer.name])]
    found = [{"head": head, **row} for head in heads for row in stored[keys[head]]]
    return outcome(offer, pa.Table.from_pylist(found, pa.schema(fields)))


def _stored_rows(client: Client, offer: Offer, firsts: dict[_Key, int]) -> dict[_Key, list[dict[str, Any]]]:
    """The rows that are stored of some items."""
    content = CONTENT[offer.name]
    query = _FIND.format(table=offer.name, content=", ".join(content))
    wanted = list(firsts)
    found: dict[_Key, list[dict[str, Any]]] = {}
    for start in range(0, len(wanted), _IDS_A_QUERY):
        places, ids = zip(*wanted[start : start + _IDS_A_QUERY], strict=True)
        parameters = {"places": sorted(set(places)), "ids": list(ids)}
        for place, id, *row in client.query(query, parameters=parameters).result_rows:
            found.setdefault((place, id), []).append(dict(zip(content, row, strict=True)))
    return found


def _store_dropped(client: Client, batches: Sequence[Batch]) -> None:
    """Keep the greatest total: what is no greater than what was told before goes nowhere."""
    rows = dropped_rows(batches)
    if not rows:
        return
    places = sorted({row[0] for row in rows})
    told = client.query(_REPORTED, parameters={"places": places}).result_rows
    before = {(place, client_id, reason): count for place, client_id, reason, count in told}
    greater = [row for row in rows if row[3] > before.get((row[0], row[1].lower(), row[2]), 0)]
    if greater:
        columns = ["place", "client", "reason", "count"]
        client.insert("dropped_parts", greater, column_names=columns, settings=_INSERT)
