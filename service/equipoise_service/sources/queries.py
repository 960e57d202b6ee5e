"""Queries that a source may have: a single SELECT that reads and does nothing else.

This is the first fence. An engine is given a query as it was understood here, never the text itself, which
it might take for something else. The last fence is the engine's: the session is read-only where the engine
has such a thing, and every statement has a deadline.
"""

import logging
import re
from collections import Counter

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.expressions.core import Expr

_log = logging.getLogger(__name__)

_READS = (exp.Select, exp.SetOperation)
_DOES_MORE = (
    exp.DML,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Command,
    exp.Copy,
    exp.Set,
    exp.Use,
    exp.Attach,
    exp.Detach,
    exp.Pragma,
    exp.Transaction,
    exp.Commit,
    exp.Rollback,
    exp.Kill,
    exp.Into,
    exp.Lock,
    exp.Parameter,
    exp.Placeholder,
    exp.QueryTransform,
    exp.NextValueFor,
    exp.Describe,
    exp.Show,
    exp.Summarize,
)

# What rows may come from beside tables, views and queries: what makes them of values alone. Any other
# function there may read files or other servers, and every engine has dozens.
_MAKES_ROWS = (
    exp.Explode,
    exp.GenerateSeries,
    exp.JSONTable,
    exp.OpenJSON,
    exp.Posexplode,
    exp.Unnest,
)
_MAKES_ROWS_BY_NAME = frozenset({"json_each", "json_tree", "numbers", "range", "string_split", "zeros"})
# Of Spark: a file, named as a table of a database of this name, or of one that is the name of a class.
_SPARK = ("databricks", "spark")
_FILE_FORMATS = frozenset(
    {
        "avro", "binaryfile", "csv", "delta", "hudi", "iceberg", "image", "json", "libsvm", "orc", "parquet",
        "text", "xml",
    }
)  # fmt: skip
# Where E'…' is a text with escapes.
_ESCAPES = ("duckdb", "materialize", "postgres", "risingwave")
# Where a function with a name before its own is a program: of a package that reaches files, or a script.
_PACKAGES = ("exasol", "oracle")
# Of DuckDB: a file, named as a table, where there is no such table.
_FILE = re.compile(
    r"\.(arrow|avro|csv|db|duckdb|feather|ipc|json|jsonl|ndjson|parquet|tsv|txt|xlsx)(\.\w+)?$"
)

# Functions that do more than read what lies in the database: they change the session, read files or other
# servers, hold locks, or end other people's sessions.
_FUNCTIONS = frozenset(
    {
        "set_config", "nextval", "setval", "database_to_xml", "schema_to_xml", "ts_stat", "ts_rewrite",
        "executable", "remote", "remotesecure", "cluster", "clusterallreplicas", "url", "urlcluster",
        "file", "filecluster", "s3", "s3cluster", "gcs", "hdfs", "jdbc", "odbc", "mysql", "postgresql",
        "mongodb", "redis", "sqlite", "iceberg", "deltalake", "hudi", "azureblobstorage", "input",
        "dictionary", "sleep", "sleepeachrow", "load_file", "benchmark", "getenv", "query", "query_table",
        "glob", "read_text", "read_blob", "read_csv", "read_csv_auto", "read_json", "read_json_auto",
        "read_ndjson", "read_parquet", "parquet_scan", "sniff_csv", "sqlite_scan", "postgres_scan",
        "mysql_scan", "xp_cmdshell", "openrowset", "opendatasource", "java_method", "reflect",
        "try_reflect", "http_get", "http_post", "http_request", "ai_query", "secret", "get_lock",
        "release_lock", "release_all_locks", "master_pos_wait", "source_pos_wait", "sys_exec", "sys_eval",
        "loread", "lowrite", "crosstab", "crosstabn", "connectby", "xpath_table", "gin_clean_pending_list",
        "sleep_ms", "write_log", "json_execute_serialized_sql", "aiclassify", "aiembed", "aiextract",
        "aifilter", "aigenerate", "airedact", "aisimilarity", "aitranslate", "catboostevaluate",
        "generateserialid", "logtrace", "set_var", "max_execution_time", "resource_group", "load_extension",
        "readfile", "writefile", "edit", "fts3_tokenizer", "httpuritype", "dburitype", "xdburitype",
        "xmltype", "xmlquery", "bfilename", "mz_sleep", "mz_panic",
    }
)  # fmt: skip
_PREFIXES = ("ai_", "binary_upgrade_", "brin_", "dblink", "lo_", "pg_", "system$")
_PARTS = ("_to_xml",)


def check_query(query: str, dialect: str) -> str | None:
    """What is wrong with a query, in words; nothing when it may run.

    Args:
        query: One statement in the engine's SQL.
        dialect: The engine's, as sqlglot calls it.

    Example:
        >>> check_query("SELECT user_id, at FROM orders", "duckdb")
        >>> check_query("DELETE FROM orders", "duckdb")
        'a source reads: write a single SELECT, not a DELETE'
    """
    try:
        statements = [each for each in sqlglot.parse(query, read=dialect) if each is not None]
        if len(statements) != 1:
            return f"a source has a single statement; this has {len(statements)}"
        return _said(statements[0], dialect) or _misread(statements[0], dialect)
    except SqlglotError as error:
        return f"this is no {dialect} SQL that can be read: {_first_line(error)}"
    except RecursionError:
        return "the query nests too deeply; make a view of it in the warehouse"
    except Exception:
        # Some text is too odd for the parser, which then fails in its own ways.
        _log.warning("a query of a source cannot be parsed", exc_info=True)
        return f"this is no {dialect} SQL that can be read; make a view of it in the warehouse"


def understood(query: str, dialect: str) -> str:
    """A query that may run, as it was understood when it was checked: this is what an engine is given.

    What engines read in other ways is gone, as are comments, which some run, and a semicolon at the end.

    Args:
        query: One of which `check_query` had nothing to say.
        dialect: The engine's, as sqlglot calls it.

    Example:
        >>> understood("SELECT id /*! INTO OUTFILE 'x' */ FROM orders; -- all", "mysql")
        'SELECT id FROM orders'
    """
    return sqlglot.parse_one(query, read=dialect).sql(dialect, comments=False)


def _said(statement: Expr, dialect: str) -> str | None:
    if not isinstance(statement.unnest(), _READS):
        return f"a source reads: write a single SELECT, not a {statement.key.upper()}"
    for node in statement.walk():
        if (clause := _unwanted_clause(node)) is not None:
            return f"a source reads: take {clause} out of the query; limits are set with the connection"
        if isinstance(node, _DOES_MORE):
            return f"a source reads: the query holds {_called(node)}, which does more, or depends on more"
        if (said := _unclear(node, dialect)) is not None:
            return said
        if (source := _beyond_tables(node, dialect)) is not None:
            return (
                f"a source reads tables and views alone: {source} is none; make a view of it in the warehouse"
            )
        if (name := _does_more(node, dialect)) is not None:
            return f"a source reads tables and views alone: the function {name} does more; take it out"
    return None


def _misread(statement: Expr, dialect: str) -> str | None:
    """What is wrong where a query that is written out holds other texts: then what was text may be SQL."""
    again = sqlglot.parse_one(statement.sql(dialect, comments=False), read=dialect)
    if _texts(statement) <= _texts(again):
        return None
    return "the query is understood in several ways; make a view of it in the warehouse"


def _texts(statement: Expr) -> Counter[str]:
    """What stands in quotes and is no name. Parts of dates are written in either case."""
    found = statement.find_all(exp.Literal, exp.ByteString, exp.National, exp.RawString, exp.UnicodeString)
    return Counter(each.name.casefold() for each in found if not each.is_number)


def _unwanted_clause(node: Expr) -> str | None:
    """What ClickHouse knows at the end of a query and changes how it runs, or what it gives out."""
    clauses = ("settings", "format") if isinstance(node, exp.Query) else ()
    return next((each.upper() for each in clauses if node.args.get(each)), None)


def _unclear(node: Expr, dialect: str) -> str | None:
    """What is wrong with a name or a text that may be written in many ways, or read in several."""
    if isinstance(node, exp.Anonymous) and isinstance(node.this, exp.Identifier):
        return "a source reads: write the names of functions without quotes"
    if isinstance(node, exp.Identifier) and "\\" in node.name:
        return "write names without backslashes, which engines read in several ways"
    if isinstance(node, exp.ByteString) and dialect in _ESCAPES and "\\" in node.name:
        return "the parser cannot tell what backslashes in E'…' stand for; write the text without E"
    return None


def _does_more(node: Expr, dialect: str) -> str | None:
    """The name of a function that does more than read what lies in the database."""
    if dialect in _PACKAGES and isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
        return f"{node.sql(dialect):.100}"
    name = _function(node)
    if isinstance(node, exp.Column) and node.table:
        # Of Snowflake: the next number of a sequence.
        return "nextval" if node.name.lower() == "nextval" else None
    found = name in _FUNCTIONS or name.startswith(_PREFIXES) or any(each in name for each in _PARTS)
    return name if found else None


def _beyond_tables(node: Expr, dialect: str) -> str | None:
    """What rows come from, where that is neither a table, a view, a query nor values; in words."""
    place: object = None
    if isinstance(node, exp.Table | exp.Lateral | exp.TableFromRows):
        place = node.this
    elif isinstance(node, exp.In):
        place = node.args.get("field")
    if isinstance(place, exp.Func | exp.Anonymous):
        name = _function(place)
        known = isinstance(place, _MAKES_ROWS) or name in _MAKES_ROWS_BY_NAME
        return None if known else f"the function {name or place.key}"
    if not isinstance(node, exp.Table):
        return None
    if isinstance(place, exp.Dot):
        return "a table of another server"
    # A function that the parser knows as none, such as dictionary('of'), reads as a table with columns.
    alias = node.args.get("alias")
    is_called = isinstance(alias, exp.TableAlias) and alias.this is None and bool(alias.columns)
    if is_called or isinstance(place, exp.Var) or _names_file(node, dialect):
        return f"{node.name:.100}"
    return None


def _names_file(table: exp.Table, dialect: str) -> bool:
    """Whether an engine may take it for a file."""
    name, database = table.name, table.db.lower()
    if dialect in _SPARK and (database in _FILE_FORMATS or "." in database):
        return True
    whole = ".".join(part.name.lower() for part in table.parts)
    return (
        name.startswith("@")
        or "/" in name
        or "\\" in name
        or (dialect == "duckdb" and _FILE.search(whole) is not None)
        # Of Oracle: a table of another server.
        or (dialect == "oracle" and "@" in whole)
    )


def _function(node: Expr) -> str:
    """The name of a function in lower case; empty for what is none."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.this).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else ""


def _called(node: Expr) -> str:
    return "FOR UPDATE" if isinstance(node, exp.Lock) else node.key.upper()


def _first_line(error: Exception) -> str:
    text = str(error).partition("\n")[0]
    return "".join(each for each in text if each.isprintable())[:200]
