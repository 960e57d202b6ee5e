"""Routes beside the service's own, by which a crash test looks into its event store."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ibis
from fastapi import FastAPI, Request

from equipoise_service.aggregates.service import Keeping, analyse
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.analysis.store import analyse_store
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, MetricType

EXPERIMENT = "crash"
EVENT = "spent"
PLACE = "default/production"
CLICKHOUSE_SETTLES_SECONDS = 3

# A base is kept whatever its size, and each refresh with something new makes the next one.
_KEEPING = Keeping(0, 0.0)
_ADDED = (
    Measure("converted", MetricType.PROPORTION, EVENT),
    Measure("spent", MetricType.MEAN, EVENT),
    Measure("times", MetricType.MEAN, EVENT, Aggregation.COUNT),
)
# The second has what is worked out anew for each unit that is touched.
_MEASURES = (_ADDED, (*_ADDED, Measure("most", MetricType.MEAN, EVENT, Aggregation.MAXIMUM)))


def with_checks(create_app: Callable[..., FastAPI]) -> Callable[..., FastAPI]:
    """The service's application with these routes."""

    def create(*arguments: Any) -> FastAPI:
        app = create_app(*arguments)
        app.get("/crash/stored")(stored)
        app.post("/crash/refresh")(refresh)
        app.get("/crash/compared")(compared)
        return app

    return create


def stored(request: Request) -> dict[str, dict[str, tuple[int, int]]]:
    """For each kind and each batch, as its items' ids name it, the rows and the distinct ids among them."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    with request.app.state.event_store.ibis() as backend:
        for kind in ("exposures", "events"):
            ids = backend.table(kind).select(id=ibis._.id.cast("string"))
            batches = ids.group_by(batch=ids.id.substr(15, 8)).agg(
                rows=ids.count(), distinct=ids.id.nunique()
            )
            found[kind] = {
                row["batch"]: (row["rows"], row["distinct"])
                for row in backend.to_pyarrow(batches).to_pylist()
            }
    return found


def refresh(request: Request, kind: int) -> float:
    """Analyse, keeping what was found; the seconds that it took."""
    begin = time.perf_counter()
    analyse(request.app.state.event_store, _request(kind), _KEEPING)
    return time.perf_counter() - begin


def compared(request: Request, kind: int) -> dict[str, Any]:
    """What a refresh finds, and where it is not what a full analysis finds; nothing may come meanwhile."""
    store, asked = request.app.state.event_store, _request(kind)
    if "clickhouse" in request.app.state.settings.event_store_url:
        time.sleep(CLICKHOUSE_SETTLES_SECONDS)
    refreshed = analyse(store, asked, _KEEPING)
    with store.workspace() as workspace:
        full = analyse_store(workspace.backend, asked, keep=workspace.keep)
    return {"differences": differences(refreshed, full), "arms": _arms(full)}


def differences(found: Any, expected: Any, where: str = "statistics") -> list[str]:
    """Where two results differ, but for the last bits of a sum."""
    if is_dataclass(expected):
        names = [each.name for each in fields(expected)]
        pairs = [(f"{where}.{each}", getattr(found, each), getattr(expected, each)) for each in names]
    elif isinstance(expected, Mapping) and found.keys() == expected.keys():
        pairs = [(f"{where}[{each!r}]", found[each], expected[each]) for each in expected]
    elif isinstance(expected, (tuple, list)) and len(found) == len(expected):
        pairs = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(found, expected, strict=True))]
    elif isinstance(expected, float) and math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9):
        return []
    else:
        return [] if found == expected else [f"{where}: {found} for {expected}"]
    return [each for there, one, other in pairs for each in differences(one, other, there)]


def _request(kind: int) -> StoreRequest:
    as_of = datetime.now(UTC) + timedelta(minutes=1)
    return StoreRequest(PLACE, EXPERIMENT, 1, "user", _MEASURES[kind % 2], as_of)


def _arms(statistics: Statistics) -> dict[str, tuple[int, int, float, float]]:
    """Of each arm the units, those that spent, what they spent, and how many times."""
    found = {}
    for variant, arm in statistics.arms.items():
        values: Any = arm.values
        found[variant] = (
            arm.units,
            values["converted"].successes,
            values["spent"].mean[0] * arm.units,
            values["times"].mean[0] * arm.units,
        )
    return found
