"""What a source's query may be: in the words of each engine, however it is written."""

from collections.abc import Callable

import duckdb
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise_service.sources.queries import check_query, understood

# Of each engine, what writes, reads files, or reaches another server. Words are apart where a space is.
_WRITES = [
    ("clickhouse", "INSERT INTO t SELECT * FROM u"),
    ("clickhouse", "INSERT INTO FUNCTION file ('x.csv') SELECT * FROM t"),
    ("clickhouse", "INSERT INTO TABLE FUNCTION remote ('h', 'd', 't') SELECT * FROM t"),
    ("clickhouse", "INSERT INTO FUNCTION url ('http://127.0.0.1/x', 'CSV', 'a String') SELECT a FROM t"),
    (
        "clickhouse",
        "WITH x AS ( SELECT 1 AS a ) INSERT INTO FUNCTION s3 ('http://127.0.0.1/x') SELECT a FROM x",
    ),
    ("clickhouse", "SELECT a FROM t INTO OUTFILE 'x.csv'"),
    ("clickhouse", "SELECT a FROM url ('http://127.0.0.1/x')"),
    ("clickhouse", "SELECT a FROM executable ('x.sh', 'CSV', 'a String')"),
    ("duckdb", "COPY t TO 'x.csv'"),
    ("duckdb", "COPY ( SELECT 1 ) TO 'x.csv'"),
    ("duckdb", "SELECT * FROM read_text ('/etc/passwd')"),
    ("duckdb", "SELECT * FROM 'people.csv'"),
    ("duckdb", "INSERT INTO t BY NAME SELECT 1 AS a"),
    ("postgres", "COPY t TO PROGRAM 'x'"),
    ("postgres", "SELECT pg_read_file ('/etc/passwd')"),
    ("postgres", "SELECT lo_export ( 1 , '/tmp/x' )"),
    ("postgres", "SELECT * FROM dblink ('host=other', 'SELECT 1') AS t ( a int )"),
    ("postgres", "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE"),
    ("postgres", "DELETE FROM t RETURNING a"),
]
_PLACES = [
    "{}", "( {} )", "SELECT * FROM ( {} ) AS x", "WITH x AS ( {} ) SELECT * FROM x", "SELECT 1 ; {}",
    "{} ; SELECT 1", "SELECT 1 UNION ALL {}", "SELECT a FROM t WHERE a IN ( {} )", "/* SELECT 1 */ {}",
    "SELECT ( {} ) AS x",
]  # fmt: skip
# Words that belong together, where a comment is more than the parser takes.
_PAIR = "~"
_SPACES = st.sampled_from([" ", "\n", "\t\r\n", " /* SELECT */ ", "/**/", " -- ; SELECT 1\n", "\f"])
_READS = [
    ("clickhouse", "SELECT a , sum ( b ) AS n FROM shop.t FINAL WHERE c IN ( 'x' , 'y' ) GROUP~BY a"),
    ("clickhouse", "WITH x AS ( SELECT a , tag FROM t ARRAY JOIN tags AS tag ) SELECT * FROM x"),
    ("duckdb", "SELECT DISTINCT ON ( a ) a , b ->> '$.x' AS x FROM shop.t ORDER~BY a , b"),
    ("duckdb", "FROM t SELECT a , max ( b ) AS b GROUP~BY ALL"),
    ("postgres", "SELECT a , b ->> 'x' AS x FROM t JOIN u USING ( a ) WHERE at > now () - INTERVAL '1 day'"),
    ("postgres", "SELECT a , row_number () OVER ( PARTITION~BY b ORDER~BY at ) AS n FROM t"),
]  # fmt: skip


def _spaced(query: str, space: Callable[[], str]) -> str:
    """The query with other spaces between its words; those in quotes stay."""
    parts = query.split("'")
    return "'".join(
        "".join(space() if each == " " else each for each in part) if i % 2 == 0 else part
        for i, part in enumerate(parts)
    )


@given(st.data(), st.sampled_from(_WRITES), st.sampled_from(_PLACES))
def test_nothing_hides_what_a_query_must_not_do(
    data: st.DataObject, query: tuple[str, str], place: str
) -> None:
    dialect, text = query
    cased = "".join(data.draw(st.sampled_from([each, each.swapcase()])) for each in text)
    disguised = _spaced(place.format(cased), lambda: data.draw(_SPACES))
    assert check_query(disguised, dialect) is not None, disguised


@given(st.data(), st.sampled_from(_READS), st.sampled_from(["", ";", " -- all of it", " /* all */ ;"]))
def test_however_it_is_written_a_query_that_reads_may_run(
    data: st.DataObject, query: tuple[str, str], end: str
) -> None:
    dialect, text = query
    written = _spaced(text, lambda: data.draw(_SPACES)).replace(_PAIR, " ") + end
    assert check_query(written, dialect) is None, written
    plain = understood(text.replace(_PAIR, " "), dialect)
    assert understood(written, dialect) == understood(plain, dialect) == plain
    assert check_query(plain, dialect) is None


@pytest.mark.parametrize(
    ("dialect", "query", "given_on"),
    [
        ("mysql", "SELECT a /*! INTO OUTFILE '/tmp/x' */ FROM t", "SELECT a FROM t"),
        ("mysql", "SELECT a FROM t /*!50000 UNION SELECT load_file('x') */", "SELECT a FROM t"),
        ("tsql", "SELECT a FROM t SHUTDOWN", "SELECT a FROM t AS SHUTDOWN"),
        ("tsql", "SELECT 1 DELETE FROM t", "SELECT 1 AS DELETE FROM t"),
        ("clickhouse", "SELECT a FROM t -- )) SETTINGS readonly = 0", "SELECT a FROM t"),
    ],
)
def test_an_engine_is_given_what_was_understood(dialect: str, query: str, given_on: str) -> None:
    """What an engine would read in another way does not reach it."""
    assert check_query(query, dialect) is None
    assert understood(query, dialect) == given_on


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        # What the parser writes for these ends a name, or a text, too early: what follows would be SQL.
        ("clickhouse", r"SELECT 1 AS `a\\`, 2 AS ` FROM file('x.csv') -- `"),
        ("clickhouse", r"SELECT 1 AS `a\\`, 2 AS ` , 3 AS b`"),
        ("postgres", r"SELECT E'\\' AS a, ' FROM pg_ls_dir(''/etc'') --'"),
        ("postgres", r"SELECT E'\\d' AS a"),
        ("bigquery", r"SELECT b'\\' AS a, ' FROM EXTERNAL_QUERY(1) --' AS b"),
        (
            "bigquery",
            r"SELECT '\\' AS c, ' FROM EXTERNAL_QUERY(1) --' AS d,"
            r" b'\\' AS a, ' FROM EXTERNAL_QUERY(1) --' AS b",
        ),
        # What the parser takes for two names is one to the engine.
        ("bigquery", r"SELECT 1 AS `a\`, 2 AS ` FROM EXTERNAL_QUERY('c', 'SELECT 1') -- `"),
    ],
)
def test_what_may_be_read_in_several_ways_is_refused(dialect: str, query: str) -> None:
    assert check_query(query, dialect) is not None


_TEXTS = st.lists(st.sampled_from(["'", "\\", '"', "--", "/*", "*/", ";", "a", "\n", "é", "$$", "%"])).map(
    "".join
)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@given(_TEXTS)
def test_texts_in_a_query_are_given_on_as_they_are(text: str) -> None:
    query = f"SELECT {_quoted(text)} AS a"
    assert check_query(query, "duckdb") is None
    with duckdb.connect() as connection:
        assert connection.execute(understood(query, "duckdb")).fetchall() == [(text,)]


def test_texts_are_given_on_to_postgres_as_they_are(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:

        @given(_TEXTS)
        def same(text: str) -> None:
            query = f"SELECT {_quoted(text)} AS a"
            assert check_query(query, "postgres") is None
            given_on = understood(query, "postgres").encode()
            assert connection.execute(given_on).fetchall() == [(text,)]

        same()


def test_what_no_parser_can_read_is_refused_and_no_fault() -> None:
    said = check_query("""SELECT * FROM "remote"('elsewhere', secrets)""", "clickhouse")
    assert said is not None
    assert "view" in said


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("spark", "SELECT TRANSFORM(a) USING 'touch /tmp/x; cat' AS (b STRING) FROM t"),
        ("spark", "SELECT * FROM csv.`people.csv`"),
        ("spark", "SELECT * FROM `/etc/passwd`"),
        ("spark", "SELECT java_method('java.lang.Runtime', 'getRuntime') AS a FROM t"),
        ("databricks", "SELECT * FROM read_files('/volumes/x')"),
        ("databricks", "SELECT http_request(conn => 'c', method => 'POST') AS a FROM t"),
        ("databricks", "SELECT * FROM remote_query('c', query => 'DELETE FROM t')"),
        ("tsql", "SELECT * FROM OPENQUERY(other, 'DELETE FROM t')"),
        ("tsql", "SELECT * FROM OPENROWSET('SQLNCLI', 's', 'SELECT 1')"),
        ("tsql", "SELECT * FROM other.shop.dbo.orders"),
        ("tsql", "SELECT NEXT VALUE FOR ids AS a"),
        ("bigquery", "SELECT * FROM EXTERNAL_QUERY('c', 'SELECT 1')"),
        ("mysql", "SELECT GET_LOCK('a', 10) AS a FROM t"),
        ("mysql", "SELECT LOAD_FILE('/etc/passwd') AS a"),
        ("clickhouse", "SELECT * FROM filesystem('/etc')"),
        ("clickhouse", "SELECT * FROM oss('http://127.0.0.1/x.csv')"),
        ("clickhouse", "SELECT * FROM dictionary('d')"),
        ("clickhouse", "SELECT a FROM t WHERE a IN oss('http://127.0.0.1/x.csv')"),
        ("clickhouse", "SELECT * FROM t JOIN azureBlobStorageCluster('c', 'x') USING (a)"),
        ("snowflake", "SELECT * FROM @stage/file"),
        ("snowflake", "SELECT * FROM TABLE(RESULT_SCAN('a'))"),
        ("snowflake", "SELECT SYSTEM$CANCEL_QUERY('a') AS a"),
        ("trino", "SELECT * FROM TABLE(system.query(query => 'DELETE FROM t'))"),
        ("duckdb", "SELECT * FROM '/etc/passwd'"),
        ("duckdb", "SELECT * FROM sqlite_scan('a.db', 't')"),
        ("postgres", "SELECT * FROM dblink('host=other', 'SELECT 1') AS t(a int)"),
        ("postgres", "SELECT * FROM ROWS FROM (pg_ls_dir('/etc'))"),
        ("clickhouse", "SELECT * FROM (DESCRIBE url('http://127.0.0.1/x.csv'))"),
        ("clickhouse", "SELECT * FROM executable('x.sh', CSV, 'a String', (SELECT 1))"),
        ("clickhouse", "SELECT a FROM t WHERE in(a, remote('other', 'shop', 'orders'))"),
        ("clickhouse", "WITH (SELECT max(c1) FROM s3('http://127.0.0.1/x')) AS a SELECT a FROM t"),
        ("clickhouse", "SELECT arrayMap(x -> (SELECT 1 FROM file('x.csv')), [1]) AS a"),
        ("clickhouse", "SELECT a FROM t INTO OUTFILE 'x.csv'"),
        ("clickhouse", "SELECT a FROM t FORMAT CSV"),
        ("clickhouse", "SELECT a FROM (SELECT a FROM t SETTINGS readonly = 0)"),
        ("clickhouse", "SELECT aiGenerate('c', a) AS a FROM t"),
        ("clickhouse", "SELECT catboostEvaluate('/model', a) AS a FROM t"),
        ("clickhouse", "SELECT generateSerialID('s') AS a FROM t"),
        ("duckdb", "INSTALL httpfs"),
        ("duckdb", "LOAD httpfs"),
        ("duckdb", "ATTACH 'other.db'"),
        ("duckdb", "SELECT * FROM (SUMMARIZE 'people.csv')"),
        ("duckdb", "SELECT * FROM people.csv"),
        ("duckdb", 'SELECT a FROM t WHERE a IN (FROM "people.json.gz")'),
        ("duckdb", "SELECT * FROM t POSITIONAL JOIN 'people.parquet'"),
        ("duckdb", "SELECT sleep_ms(1000) AS a FROM t"),
        ("duckdb", "SELECT write_log('a') AS a FROM t"),
        ("mysql", "SELECT /*+ SET_VAR(max_execution_time = 0) */ a FROM t"),
        ("mysql", "SELECT a FROM t INTO DUMPFILE '/tmp/x'"),
        ("postgres", "COPY t TO PROGRAM 'x'"),
        ("postgres", "SELECT pg_catalog . pg_read_file ('/etc/passwd') AS a"),
        ("postgres", """SELECT U&"\\0070g_read_file"('/etc/passwd') AS a"""),
        ("postgres", "SELECT lo_export(1, '/tmp/x') AS a"),
        ("postgres", "SELECT lowrite(1, 'x') AS a"),
        ("postgres", "SELECT schema_to_xml_and_xmlschema('a', true, true, '') AS a"),
        ("postgres", "SELECT brin_summarize_new_values('i') AS a"),
        ("snowflake", "SELECT * FROM '@stage'"),
        ("snowflake", "SELECT ids.nextval AS a FROM t"),
        ("athena", "SELECT * FROM TABLE(system.query(query => 'DELETE FROM t'))"),
        ("athena", "UNLOAD (SELECT a FROM t) TO 's3://elsewhere'"),
        ("athena", "USING EXTERNAL FUNCTION f(a VARCHAR) RETURNS VARCHAR LAMBDA 'x' SELECT f(a) FROM t"),
        ("druid", "SELECT * FROM TABLE(EXTERN('{}', '{}'))"),
        ("druid", "REPLACE INTO t OVERWRITE ALL SELECT 1"),
        ("exasol", "SELECT * FROM (IMPORT FROM JDBC AT 'x' STATEMENT 'SELECT 1')"),
        ("exasol", "SELECT a FROM (EXPORT t INTO CSV AT 'http://127.0.0.1')"),
        ("exasol", "SELECT shop.script(a) AS b FROM t"),
        ("hive", "SELECT TRANSFORM(a) USING 'sh' AS b FROM t"),
        ("hive", "FROM t INSERT INTO u SELECT a"),
        ("materialize", "COPY (SELECT 1) TO 's3://elsewhere'"),
        ("materialize", "SELECT mz_unsafe.mz_sleep(10) AS a"),
        ("materialize", r"SELECT E'\\' AS a, ' FROM x --'"),
        ("oracle", "SELECT a FROM t@other"),
        ("oracle", "SELECT a FROM shop.t@other.world JOIN u USING (a)"),
        ("oracle", "SELECT utl_http.request('http://127.0.0.1') AS a FROM dual"),
        ("oracle", "SELECT sys.utl_inaddr.get_host_name('x') AS a FROM dual"),
        ("oracle", "SELECT dbms_xmlgen.getxml('SELECT 1') AS a FROM dual"),
        ("oracle", "SELECT httpuritype('http://127.0.0.1').getclob() AS a FROM dual"),
        ("oracle", "SELECT extractvalue(xmltype('<!DOCTYPE a SYSTEM \"x\">'), '/a') AS a FROM dual"),
        ("oracle", "WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual"),
        ("risingwave", "SELECT * FROM postgres_query('h', '5432', 'u', 'p', 'd', 'SELECT 1')"),
        ("risingwave", r"SELECT E'\\' AS a, ' FROM x --'"),
        ("singlestore", "SELECT a FROM t INTO S3 'x'"),
        ("singlestore", "SELECT LOAD_FILE('/etc/passwd') AS a"),
        ("singlestore", "SELECT * FROM f(1)"),
        ("sqlite", "ATTACH 'other.db' AS other"),
        ("sqlite", "VACUUM INTO 'x'"),
        ("sqlite", "PRAGMA table_info(t)"),
        ("sqlite", "SELECT * FROM pragma_table_info('t')"),
        ("sqlite", "SELECT load_extension('x') AS a"),
        ("sqlite", "INSERT INTO t VALUES (1) RETURNING a"),
        ("spark", "SELECT * FROM libsvm.`people`"),
        ("spark", "SELECT * FROM `org.apache.spark.sql.execution.datasources.csv.CSVFileFormat`.`people`"),
    ],
)
def test_in_the_words_of_each_engine_what_reaches_further_is_refused(dialect: str, query: str) -> None:
    assert check_query(query, dialect) is not None


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("athena", "SELECT a, from_unixtime(b) AS at FROM awsdatacatalog.shop.t"),
        ("druid", "SELECT __time AS at, a FROM t WHERE __time > TIMESTAMP '2026-01-01'"),
        ("exasol", "SELECT a, ADD_DAYS(b, 1) AS c FROM shop.t"),
        ("hive", "SELECT a, get_json_object(p, '$.a') AS b FROM shop.t"),
        ("materialize", "SELECT a, b ->> 'x' AS x FROM t"),
        ("oracle", "SELECT a, TO_CHAR(at, 'YYYY') AS y, NVL(b, 0) AS b FROM shop.t t WHERE rownum < 10"),
        ("oracle", "SELECT JSON_VALUE(p, '$.a') AS a, CAST(at AS TIMESTAMP) AS at FROM t"),
        ("risingwave", "SELECT a, b ->> 'x' AS x FROM t"),
        ("singlestore", "SELECT a, p::b AS b FROM shop.t"),
        ("sqlite", "SELECT a, datetime(at, 'unixepoch') AS at, p ->> '$.a' AS b FROM t, json_each(t.p)"),
        ("spark", "SELECT a, item FROM t LATERAL VIEW explode(items) x AS item"),
        ("databricks", "SELECT a, count(*) AS n FROM main.shop.orders GROUP BY a"),
        ("tsql", "SELECT a, value FROM shop.dbo.t CROSS APPLY string_split(tags, ',')"),
        ("tsql", "SELECT TOP 9 JSON_VALUE(p, '$.a'), dateadd(day, 1, at) FROM t WITH (NOLOCK)"),
        ("mysql", "SELECT p ->> '$.a', date_add(at, INTERVAL 1 DAY) FROM `shop`.`t` USE INDEX (i)"),
        ("bigquery", r"FROM t |> WHERE REGEXP_CONTAINS(a, r'\d+') |> SELECT a"),
        ("spark", r"SELECT regexp_replace(a, '\\d', 'é\n'), get_json_object(p, '$.a') FROM c.d.t"),
        ("clickhouse", r"SELECT extract(a, '\\d+'), toDateTime64(at, 6, 'UTC'), x.1 FROM t LIMIT 1 BY a"),
        ("tsql", "SELECT a FROM [my table] WHERE b IN (SELECT b FROM other)"),
        ("bigquery", "SELECT a, item FROM `my-project.shop.orders`, UNNEST(items) AS item"),
        ("mysql", "SELECT j.a FROM t, JSON_TABLE(t.doc, '$[*]' COLUMNS (a INT PATH '$')) AS j"),
        ("clickhouse", "SELECT a, tag FROM t ARRAY JOIN tags AS tag WHERE b IN (1, 2)"),
        ("clickhouse", "SELECT a FROM t WHERE b IN other"),
        ("clickhouse", "SELECT toStartOfDay(at) AS day FROM t FINAL"),
        ("snowflake", "SELECT a, f.value FROM t, LATERAL FLATTEN(input => t.items) AS f"),
        ("trino", "SELECT a, item FROM t CROSS JOIN UNNEST(items) AS u (item)"),
        ("duckdb", "WITH days AS (SELECT * FROM range(7) AS r (day)) SELECT * FROM days JOIN t USING (day)"),
        ("duckdb", "SELECT * FROM (VALUES (1, 2)) AS v (a, b)"),
        ("postgres", "SELECT t.a, d FROM t, LATERAL (SELECT max(at) AS d FROM o WHERE o.a = t.a) AS x"),
        ("postgres", "SELECT a FROM t CROSS JOIN generate_series(1, 3) AS g UNION ALL SELECT b FROM o"),
    ],
)
def test_in_the_words_of_each_engine_what_reads_may_run(dialect: str, query: str) -> None:
    assert check_query(query, dialect) is None
