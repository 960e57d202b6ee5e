"""The query that recomputes assignments: on DuckDB the same answers as the SDK, on every engine its SQL."""

from collections import Counter

import duckdb
import pytest
import sqlglot
from tests.service.recomputation.warehouse import configuration, expected, units

from equipoise.evaluation import evaluate
from equipoise_service.recomputation.engines import Engine
from equipoise_service.recomputation.query import CannotRecompute, Units, assignment_query

USERS = Units("units", {"user": "user id"})


def test_duckdb_gives_every_unit_what_the_sdk_gives_it() -> None:
    connection = duckdb.connect()
    connection.execute('CREATE TABLE units ("user id" VARCHAR)')
    connection.executemany("INSERT INTO units VALUES (?)", [[unit] for unit in [*units(), *units()[:50]]])
    rows = connection.execute(assignment_query(configuration(), "page", Engine.DUCKDB, USERS)).fetchall()
    assert sorted((unit, inside, variant) for unit, _, _, inside, variant in rows) == expected()


def test_the_warehouse_has_units_of_every_kind() -> None:
    kinds = Counter((inside, variant) for _, inside, variant in expected())
    enrolled = {(True, "control"), (True, "o'clock"), (True, "back\\slash")}
    assert set(kinds) == enrolled | {(False, None), (False, "o'clock"), (False, "back\\slash")}
    assert min(kinds[each] for each in enrolled) > 100


@pytest.mark.parametrize("engine", list(Engine))
def test_the_query_is_sql_of_its_engine(engine: Engine) -> None:
    text = assignment_query(configuration(), "page", engine, Units("analytics.visits", {"user": "user id"}))
    parsed = sqlglot.parse_one(text, dialect=engine.value)
    assert isinstance(parsed, sqlglot.exp.Select)
    assert [column.alias_or_name for column in parsed.selects] == [
        "unit",
        "slot",
        "arm_bucket",
        "in_experiment",
        "variant",
    ]
    table = next(each for each in parsed.find_all(sqlglot.exp.Table) if each.name == "visits")
    assert table.db == "analytics"
    literals = {each.this for each in parsed.find_all(sqlglot.exp.Literal) if each.is_string}
    assert "\\'; DROP TABLE units; --" in literals, "a unit id did not survive its quotes"


def test_integer_ids_are_hashed_as_their_digits() -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE visits AS SELECT range AS user_id FROM range(3000)")
    found = configuration()
    rows = connection.execute(
        assignment_query(found, "page", Engine.DUCKDB, Units("visits", {"user": "user_id"}))
    ).fetchall()
    for unit, _, _, inside, variant in rows:
        assert (evaluate(found, "page", unit).variant == variant) or not inside
    assert sum(inside for _, _, _, inside, _ in rows) > 1000


def test_a_holdout_of_another_unit_type_needs_its_column() -> None:
    found = configuration(holdout="account")
    with pytest.raises(CannotRecompute, match="account"):
        assignment_query(found, "page", Engine.DUCKDB, USERS)
    text = assignment_query(found, "page", Engine.DUCKDB, Units("units", {"user": "u", "account": "a"}))
    pairs: list[tuple[str, str | None]] = [(f"user-{i}", f"account-{i % 97}") for i in range(2_000)]
    pairs += [("no-account", None), ("empty-account", ""), ("user-5", "account-96"), ("", "account-1")]
    connection = duckdb.connect()
    connection.execute("CREATE TABLE units (u VARCHAR, a VARCHAR)")
    connection.executemany("INSERT INTO units VALUES (?, ?)", pairs)
    rows = connection.execute(text).fetchall()
    wanted = [
        (unit, account, evaluate(found, "page", unit, attributes={"account": account}).experiment == "page")
        for unit, account in pairs
        if unit
    ]
    assert sorted((unit, str(account), inside) for unit, account, _, _, inside, _ in rows) == sorted(
        (unit, str(account), inside) for unit, account, inside in wanted
    )
    assert {inside for _, _, inside in wanted} == {True, False}


@pytest.mark.parametrize("table", ["a; DROP TABLE b", "(SELECT 1)", "schema.my table"])
def test_an_odd_name_of_a_table_stays_one_name(table: str) -> None:
    text = assignment_query(configuration(), "page", Engine.POSTGRES, Units(table, {"user": "u"}))
    statements = sqlglot.parse(text, dialect="postgres")
    assert len(statements) == 1
    assert statements[0] is not None
    names = [each.name for each in statements[0].find_all(sqlglot.exp.Table)]
    assert table.removeprefix("schema.") in names


@pytest.mark.parametrize("table", ["", 'a" b'])
def test_what_is_no_table(table: str) -> None:
    with pytest.raises(ValueError, match="not the name of a table"):
        assignment_query(configuration(), "page", Engine.POSTGRES, Units(table, {"user": "u"}))


def test_an_experiment_that_is_not_there_or_never_started() -> None:
    found = configuration()
    with pytest.raises(CannotRecompute, match="no experiment"):
        assignment_query(found, "other", Engine.DUCKDB, USERS)
    draft = configuration(status="draft", salt=None, revision=None, ranges=[])
    with pytest.raises(CannotRecompute, match="never started"):
        assignment_query(draft, "page", Engine.DUCKDB, USERS)
