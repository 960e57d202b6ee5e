"""One data set, every kind of metric, on the real engines: the numbers that exact arithmetic gives."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import ibis
import psycopg
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from psycopg.conninfo import conninfo_to_dict
from pyspark.sql import SparkSession
from tests.engines.lake import export, filled_service, reading
from tests.service.analysis.metric_reference import PLACE, START, assert_moments, assert_same, reference
from tests.service.analysis.test_ages import AS_OF as LATER
from tests.service.analysis.test_ages import ASKED as OF_AGES
from tests.service.analysis.test_ages import expected_rows
from tests.service.analysis.test_metrics import ADJUSTED, AS_OF, DEFINITIONS, SPANS, crowd, named, tables

from equipoise_service.analysis import spreading
from equipoise_service.analysis.ages import Ages, analyse_ages
from equipoise_service.analysis.distributions import ArmCounts, Counts
from equipoise_service.analysis.overlaps import Bounds, Other, analyse_overlaps
from equipoise_service.analysis.requests import Bots, Identity, Segment, StoreRequest
from equipoise_service.analysis.statistics import QuantileValues
from equipoise_service.analysis.store import analyse_store
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.readouts.calendar import together

# py4j leaves its sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    # pyspark 4.0 calls pandas as it was before version 3.
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),
]

EXPOSURES, EVENTS = crowd(7)
# Most of them met another experiment too, one of them several variants of it, and half of them a third one.
BESIDE = [
    replace(EXPOSURES[0], unit=f"unit-{i}", experiment=experiment, variant=variant, revision=revision)
    for i in range(24)
    for experiment, variant, revision, met in (
        ("banner", ("off", "on")[i // 2 % 2], 1, i % 5 != 0),
        ("banner", "on", 3, i == 1),
        ("search", "abc"[i % 3], 2, i < 12),
        ("search", "d", 1, True),
    )
    if met
]
FACTS = ([*EXPOSURES, *BESIDE], EVENTS)
FEW: list[dict[str, Any]] = [
    {"type": "mean", "pre_period_days": 2},
    {"type": "proportion", "window_hours": 24},
    {"type": "quantile", "quantile": 0.5, "level": "event"},
    {"type": "quantile", "quantile": 0.25, "level": "unit"},
    {"type": "funnel", "steps": [{"event": "see"}]},
]

SPREAD: list[dict[str, Any]] = [
    {"type": "mean"},
    {"type": "mean", "aggregation": "maximum", "window_hours": 24},
    {"type": "count_distinct", "property": "country"},
]


@pytest.fixture
def on_duckdb() -> Iterator[Any]:
    connection = duckdb.connect()
    for name, table in tables(*FACTS).items():
        connection.register("incoming", table)
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
    yield ibis.duckdb.from_connection(connection)
    connection.close()


@pytest.fixture
def on_postgres(postgres_url: str) -> Iterator[Any]:
    types = {pa.string(): "TEXT", pa.float64(): "DOUBLE PRECISION", pa.int32(): "INTEGER"}
    with psycopg.connect(postgres_url) as connection:
        for name, table in tables(*FACTS).items():
            columns = ", ".join(f"{f.name} {types.get(f.type, 'TIMESTAMP')}" for f in table.schema)
            connection.execute(f"CREATE TABLE {name} ({columns})".encode())
            with connection.cursor().copy(f"COPY {name} FROM STDIN".encode()) as copy:
                for row in table.to_pylist():
                    copy.write_row(list(row.values()))
    given = conninfo_to_dict(postgres_url)
    backend = ibis.postgres.connect(
        host=given["host"], port=int(given["port"] or 5432), user=given["user"], database=given["dbname"]
    )
    yield backend
    backend.disconnect()


@pytest.fixture
def on_clickhouse(clickhouse: Client) -> Any:
    fill(clickhouse)
    return ibis.clickhouse.from_connection(clickhouse)


def fill(clickhouse: Client) -> None:
    """Make the tables of the facts."""
    types = {pa.string(): "String", pa.float64(): "Float64", pa.int32(): "Int32"}
    for name, table in tables(*FACTS).items():
        columns = ", ".join(
            f"{f.name} {'Nullable(' if f.name in ('value', 'properties') else ''}"
            f"{types.get(f.type, 'DateTime64(6)')}{')' if f.name in ('value', 'properties') else ''}"
            for f in table.schema
        )
        clickhouse.command(f"CREATE OR REPLACE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY unit")
        clickhouse.insert_arrow(name, table)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `equipoise export --parquet` takes out of a service that has the facts."""
    directory = tmp_path_factory.mktemp("lake")
    with filled_service(directory, *FACTS) as environment:
        said = export(environment, directory / "lake")
    assert f"{len(FACTS[0])} rows" in said
    return directory / "lake"


@pytest.fixture
def on_spark(spark: SparkSession, lake: Path) -> Any:
    exec(reading(lake), {"spark": spark})
    return ibis.pyspark.connect(spark)


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "clickhouse", "spark"])
@pytest.mark.parametrize(
    ("metrics", "until"),
    [(DEFINITIONS, None), (ADJUSTED, None), (SPANS, START + timedelta(hours=48))],
    ids=["of every kind", "adjusted for others", "in many spans"],
)
def test_every_metric(
    engine: str, metrics: list[dict[str, Any]], until: datetime | None, request: pytest.FixtureRequest
) -> None:
    backend = request.getfixturevalue(f"on_{engine}")
    definitions = [named(each, i) for i, each in enumerate(metrics)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    end = None if until is None else until.replace(tzinfo=UTC)
    asked = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC), end)
    statistics = analyse_store(backend, asked)
    for definition in definitions:
        assert_same(statistics, definition, reference(definition, *FACTS, AS_OF, until))


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "clickhouse", "spark"])
def test_values_in_bins(engine: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few units, so that each bin is one number."""
    monkeypatch.setattr(spreading, "LEAST_IN_TAIL", 1)
    backend = request.getfixturevalue(f"on_{engine}")
    definitions = [named(each, i) for i, each in enumerate([{"type": "proportion"}, *SPREAD])]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    asked = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC))
    # Nothing is kept: every statement works the values out.
    found = analyse_store(backend, asked, keep=lambda _, query: query).distributions
    assert set(found) == {each["key"] for each in definitions[1:]}
    for definition in definitions[1:]:
        arms = {
            variant: ArmCounts(
                len(arm.rows), Counter(bin_by_digits(float(row["y"])) for row in arm.rows if row["y"])
            )
            for variant, arm in reference(definition, *FACTS, AS_OF).items()
        }
        assert found[definition["key"]] == spreading.spread(Counts(0, arms)), definition


def bin_by_digits(value: float) -> int:
    digits = Decimal(f"{abs(value):.9e}")
    number = 90 * (digits.adjusted() + 9) + int(digits.scaleb(1 - digits.adjusted())) - 9
    return number if value > 0 else -number


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "clickhouse", "spark"])
def test_segments_bots_and_identity(engine: str, request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue(f"on_{engine}")
    definitions = [named(each, i) for i, each in enumerate(FEW)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    asked = StoreRequest(
        PLACE,
        "exp",
        2,
        "user",
        measures,
        AS_OF.replace(tzinfo=UTC),
        segments=(Segment("country", "see", "country"), Segment("new", "buy", "new")),
        segment_values=2,
        bots=Bots(most_events=4),
        identity=Identity("device", "user", "see", "country"),
    )
    statistics = analyse_store(backend, asked)
    expected = analyse_store(request.getfixturevalue("on_duckdb"), asked)
    assert (statistics.joined, statistics.bots) == (expected.joined, expected.bots)
    assert statistics.bots_by_arm == expected.bots_by_arm
    assert_equal(statistics.arms, expected.arms)
    for key, parts in expected.segments.items():
        found = {part.label: part for part in statistics.segments[key]}
        assert found.keys() == {part.label for part in parts}
        for part in parts:
            assert found[part.label].crossovers == part.crossovers
            assert_equal(found[part.label].arms, part.arms)


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "clickhouse", "spark"])
def test_days_of_the_first_exposure(engine: str, request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue(f"on_{engine}")
    definitions = [named(each, i) for i, each in enumerate(FEW)]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    first: dict[str, datetime] = {}
    variants: dict[str, set[str]] = {}
    for shown in EXPOSURES:
        first[shown.unit] = min(shown.time, first.get(shown.unit, shown.time))
        variants.setdefault(shown.unit, set()).add(shown.variant)
    since = sorted(first.values())[len(first) // 4]
    # With segments, whose rows are of all days together.
    segments = (Segment("country", "see", "country"),)
    asked = StoreRequest(
        PLACE,
        "exp",
        2,
        "user",
        measures,
        AS_OF.replace(tzinfo=UTC),
        segments=segments,
        since=since.replace(tzinfo=UTC),
    )
    # Kept in no table: each statement works out what it reads.
    statistics = analyse_store(backend, asked, keep=lambda _, query: query)
    units = {day.day: sum(arm.units for arm in day.arms.values()) for day in statistics.days}
    stayed = [unit for unit, met in variants.items() if len(met) == 1]
    expected = Counter(max(first[unit], since).date() for unit in stayed)
    assert units == expected
    assert len(units) > 1
    assert statistics.early == sum(moment < since - timedelta(seconds=60) for moment in first.values())
    summed = together(day.arms for day in statistics.days)
    for variant, arm in statistics.arms.items():
        for metric, value in arm.values.items():
            same = summed[variant].values[metric]
            if isinstance(value, QuantileValues):
                # Of a quantile the days know the number of units only, and what it is among all units so far.
                assert_equal(same.n, value.n)
                of_days = statistics.quantiles_by_day[metric][variant]
                assert_equal(of_days[max(of_days)], value.found)
            else:
                assert_equal(same, value)
    reference = analyse_store(request.getfixturevalue("on_duckdb"), asked, keep=lambda _, query: query)
    assert_equal(tuple(statistics.days), tuple(reference.days))
    assert any(len(of_days) > 1 for arms in reference.quantiles_by_day.values() for of_days in arms.values())
    assert_equal(statistics.quantiles_by_day, reference.quantiles_by_day)


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "clickhouse", "spark"])
def test_units_that_are_in_other_experiments_too(engine: str, request: pytest.FixtureRequest) -> None:
    definitions = [named(each, i) for i, each in enumerate(FEW) if each["type"] != "quantile"]
    measures = tuple(PlannedMetric.model_validate(each).measure for each in definitions)
    asked = StoreRequest(PLACE, "exp", 2, "user", measures, AS_OF.replace(tzinfo=UTC))
    others = [Other("banner", (1, 3)), Other("search", (2,)), Other("nobody", (1,))]
    found, expected = (
        analyse_overlaps(
            backend, backend.table("exposures"), backend.table("events"), asked, others, Bounds(5, 1)
        )
        for backend in map(request.getfixturevalue, (f"on_{engine}", "on_duckdb"))
    )
    assert [(each.experiment, each.units) for each in found] == [
        (each.experiment, each.units) for each in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert_equal(tuple(one.parts), tuple(other.parts))
    met: dict[str, set[str]] = {}
    for shown in EXPOSURES:
        met.setdefault(shown.unit, set()).add(shown.variant)
    stayed = {unit for unit, variants in met.items() if len(variants) == 1}
    banner = {each.unit for each in BESIDE if each.experiment == "banner"} - {"unit-1"}
    search = {each.unit for each in BESIDE if each.experiment == "search" and each.revision == 2}
    units = {"banner": len(stayed & banner), "search": len(stayed & search)}
    assert {each.experiment: each.units for each in found} == units


@pytest.mark.parametrize("engine", ["duckdb", "postgres", "clickhouse", "spark"])
def test_ages(engine: str, request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue(f"on_{engine}")
    definitions = [named(each, i) for i, each in enumerate(OF_AGES)]
    asked = StoreRequest(
        PLACE,
        "exp",
        2,
        "user",
        tuple(PlannedMetric.model_validate(each).measure for each in definitions),
        LATER.replace(tzinfo=UTC),
    )
    ages = {each["key"]: Ages(3, 1) for each in definitions}
    found = analyse_ages(backend, backend.table("exposures"), backend.table("events"), asked, ages)
    for definition in definitions:
        expected = expected_rows(definition, *FACTS, None)
        assert found[definition["key"]].keys() == expected.keys()
        for variant, rows in expected.items():
            assert_moments(found[definition["key"]][variant], rows)


def assert_equal(found: Any, expected: Any) -> None:
    """Statistics agree to 1e-9."""
    if isinstance(expected, Mapping):
        assert found.keys() == expected.keys()
        for key in expected:
            assert_equal(found[key], expected[key])
    elif is_dataclass(expected):
        assert type(found) is type(expected)
        for each in fields(expected):
            assert_equal(getattr(found, each.name), getattr(expected, each.name))
    elif isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    else:
        assert found == expected
