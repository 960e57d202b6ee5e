"""A refresh after one per cent of new data against the analysis of everything.

One per cent of the events and one per cent of the exposures: both come evenly over the same weeks, and the
last hundredth of that time is new. So 20,000 units are exposed for the first time, with events of 14 days
before, and 166,000 others have something new: one event of a metric each, a twelfth of all units.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb

from benchmarks.paired import paired, row
from benchmarks.readout import request
from equipoise_service.aggregates.service import analyse
from equipoise_service.analysis.requests import Bots, StoreRequest
from equipoise_service.analysis.store import analyse_store
from equipoise_service.events.stores.duckdb.file import UNIT_HASH
from equipoise_service.events.stores.store import EventStore, open_event_store
from equipoise_service.settings import Settings

UNITS = 2_000_000
EVENTS = 20_000_000
ROUNDS = 3
_LOOK_SECONDS = 0.5

_BOTS = {"": None, " without bots": Bots(most_events=50)}

# Each fact is received when it happens.
_BEGIN, _END = datetime(2026, 2, 1), datetime(2026, 2, 28)
_FILL = """
INSERT INTO {table} BY NAME SELECT *, {unit_hash} AS unit_hash FROM (
    SELECT 'default/production' AS place, uuidv7() AS id, time, time AS received_at, 'user' AS unit_type,
           'user-' || {unit} AS unit, {columns}
    FROM (SELECT i, TIMESTAMP '{begin}' + to_microseconds(i * {step}) AS time FROM range({count}) AS r(i))
    WHERE {when}
)
"""
_EXPOSURE = """'new-landing-page' AS experiment, 1 AS revision,
    CASE WHEN hash(i) % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant"""
_EVENT = """['purchase', 'converted', 'viewed', 'viewed', 'searched', 'viewed', 'shared', 'viewed']
        [1 + (hash(i * 17) % 8)::INTEGER] AS name,
    CASE WHEN hash(i * 17) % 8 IN (0, 4) THEN (hash(i * 13) % 10000) / 100.0 END AS value"""


def main() -> None:
    """Print the ratio of times."""
    print(
        f"refresh: {UNITS:,} units, {EVENTS:,} events, 5 metrics with CUPED, 1 % of the events new; seconds"
    )
    with _store() as store:
        for kind, bots in _BOTS.items():
            for name, clock in (("elapsed", time.perf_counter), ("of the processor", time.process_time)):
                refresh, everything = (
                    partial(measure, store, bots, clock) for measure in (_refresh, _everything)
                )
                one, other, ratios = paired(refresh, everything, ROUNDS)
                title = f"refresh{kind}, against the analysis of everything, {name}"
                row(title, f"{one:.2f} s", f"{other:.2f} s", ratios)


def _refresh(store: EventStore, bots: Bots | None, clock: Callable[[], float]) -> float:
    asked, begin = _now(bots), clock()
    analyse(store, asked)
    return clock() - begin


def _everything(store: EventStore, bots: Bots | None, clock: Callable[[], float]) -> float:
    asked, begin = _now(bots), clock()
    # As the service does where it keeps no base: with distributions, which a refresh has too.
    with store.workspace() as workspace:
        analyse_store(workspace.backend, asked, keep=workspace.keep)
    return clock() - begin


def _now(bots: Bots | None) -> StoreRequest:
    """The request at another moment each time, as people look."""
    return replace(request(5), bots=bots, as_of=datetime.now(UTC))


@contextmanager
def _store() -> Iterator[EventStore]:
    """An event store whose newest facts came after a base was kept of the others."""
    new = _END - (_END - _BEGIN) * 0.01
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data_dir=Path(directory), analysis_memory_mb=4096)
        open_event_store(settings).close()
        _fill(settings.event_store_path, f"time < TIMESTAMP '{new}'")
        with open_event_store(settings) as store:
            for bots in _BOTS.values():
                analyse(store, replace(request(5), bots=bots))
        _fill(settings.event_store_path, f"time >= TIMESTAMP '{new}'")
        with open_event_store(settings) as store:
            _wait_until_idle()
            yield store


def _wait_until_idle() -> None:
    """After a start the store learns which ids came lately: seconds of one core, for 20 million of them."""
    used = math.inf
    while used > 0.1 * _LOOK_SECONDS:
        begin = time.process_time()
        time.sleep(_LOOK_SECONDS)
        used = time.process_time() - begin


def _fill(path: Path, when: str) -> None:
    with duckdb.connect(path, config={"preserve_insertion_order": False}) as file:
        file.execute("SET enable_progress_bar = false")
        for table, count, unit, columns in (
            ("exposures", UNITS, "i", _EXPOSURE),
            ("events", EVENTS, f"(hash(i * 31) % {UNITS})", _EVENT),
        ):
            step = (_END - _BEGIN) // count // timedelta(microseconds=1)
            file.execute(
                _FILL.format(
                    table=table,
                    unit_hash=UNIT_HASH,
                    unit=unit,
                    columns=columns,
                    begin=_BEGIN,
                    step=step,
                    count=count,
                    when=when,
                )
            ).fetchall()
        file.execute("CHECKPOINT").fetchall()
