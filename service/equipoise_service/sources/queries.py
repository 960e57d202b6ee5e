"""Queries that a source may have: a single SELECT that reads and does nothing else.

This is the first fence. The second is the engine's: the session is read-only where the engine has such a
thing, and every statement has a deadline.
"""

import logging

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
_MAKES_ROWS_BY_NAME = frozenset({"numbers", "range", "string_split", "zeros"})
# Of Spark: a file, named as a table of a database of this name.
_FILE_FORMATS = frozenset({"avro", "binaryfile", "csv", "delta", "json", "orc", "parquet", "text", "xml"})

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
    }
)  # fmt: skip
_PREFIXES = ("pg_", "lo_", "dblink", "system$", "query_to_", "cursor_to_")


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
        return _said(statements[0])
    except SqlglotError as error:
        return f"this is no {dialect} SQL that can be read: {_first_line(error)}"
    except RecursionError:
        return "the query nests too deeply; make a view of it in the warehouse"
    except Exception:
        # Some text is too odd for the parser, which then fails in its own ways.
        _log.warning("a query of a source cannot be parsed", exc_info=True)
        return f"this is no {dialect} SQL that can be read; make a view of it in the warehouse"


def _said(statement: Expr) -> str | None:
    if not isinstance(statement.unnest(), _READS):
        return f"a source reads: write a single SELECT, not a {statement.key.upper()}"
    for node in statement.walk():
        if node.args.get("settings"):
            return "a source reads: take SETTINGS out of the query; limits are set with the connection"
        if isinstance(node, _DOES_MORE):
            return f"a source reads: the query holds {_called(node)}, which does more, or depends on more"
        if _is_quoted(node):
            return "a source reads: write the names of functions without quotes"
        if (source := _beyond_tables(node)) is not None:
            return (
                f"a source reads tables and views alone: {source} is none; make a view of it in the warehouse"
            )
        name = _function(node)
        if name in _FUNCTIONS or name.startswith(_PREFIXES):
            return f"a source reads tables and views alone: the function {name} does more; take it out"
    return None


def _beyond_tables(node: Expr) -> str | None:
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
    name, database = node.name, node.db.lower()
    # A function that the parser knows as none, such as dictionary('of'), reads as a table with columns.
    alias = node.args.get("alias")
    is_called = isinstance(alias, exp.TableAlias) and alias.this is None and bool(alias.columns)
    if is_called or isinstance(place, exp.Var) or "/" in name or "\\" in name or database in _FILE_FORMATS:
        return f"{name:.100}"
    return None


def _is_quoted(node: Expr) -> bool:
    """Whether it is a function whose name is in quotes, where it may be written in many ways."""
    return isinstance(node, exp.Anonymous) and isinstance(node.this, exp.Identifier)


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
