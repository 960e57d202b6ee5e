"""Winsorized metrics: what they cost. That their numbers are right is shown in test_metrics.py."""

from datetime import UTC

import ibis
import pytest
import sqlglot
from sqlglot import exp
from tests.service.analysis.metric_reference import PLACE
from tests.service.analysis.test_metrics import AS_OF, named, tables

from equipoise_service.analysis.arms import reduce_to_arms
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.unit_values import unit_values
from equipoise_service.analysis.units import first_exposures
from equipoise_service.plans.documents import PlannedMetric


def reads_of_events(metrics: int) -> int:
    """How often a query for so many metrics reads the events on ClickHouse, which puts in what has a name."""
    definitions = [named({"type": "mean", "winsorize": 0.9, "window_hours": 24 + i}) for i in range(metrics)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    request = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC))
    backend, made = ibis.duckdb.connect(), tables([], [])
    exposures, events = (backend.create_table(name, made[name]) for name in ("exposures", "events"))
    units = first_exposures(exposures, request)
    query = reduce_to_arms(units, unit_values(units, events, request), request)
    statement = sqlglot.parse_one(str(ibis.to_sql(query, dialect="clickhouse")), read="clickhouse")
    reads = {"events": 1}
    # In their order: each is popped before the statement itself is counted.
    for each in list(statement.find_all(exp.CTE)):
        reads[each.alias] = _reads(each.pop().this, reads)
    return _reads(statement, reads)


def _reads(query: exp.Expr, reads: dict[str, int]) -> int:
    return sum(reads.get(each.name, 0) for each in query.find_all(exp.Table))


@pytest.mark.parametrize("metrics", [2, 5])
def test_each_further_cut_costs_as_much_as_the_one_before(metrics: int) -> None:
    """Engines that put a query in wherever it is named read it as often as it is."""
    more = reads_of_events(metrics + 1) - reads_of_events(metrics)
    assert 0 < more == reads_of_events(2) - reads_of_events(1)
