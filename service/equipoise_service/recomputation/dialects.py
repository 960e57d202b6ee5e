"""Bucketing, version 1, in the SQL of eight engines: the one place where SQL is written for one engine only.

Ibis has no way to read a hexadecimal number, and a warehouse team wants text to paste. Names and strings are
quoted by sqlglot, which knows each engine's escapes.
"""

from dataclasses import dataclass

from sqlglot import exp

from equipoise_service.recomputation.engines import Engine


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine says what bucketing needs.

    Attributes:
        text: Casts `{0}` to text without changing it.
        joined: Concatenates the texts `{0}` and `{1}`.
        bucket: The first 52 bits of the SHA-256 of the UTF-8 of the text `{0}`, modulo 10,000.
    """

    text: str
    joined: str
    bucket: str


_PIPES = "{0} || {1}"

DIALECTS: dict[Engine, Dialect] = {
    Engine.DUCKDB: Dialect(
        "CAST({0} AS VARCHAR)", _PIPES, "CAST('0x' || substr(sha256({0}), 1, 13) AS BIGINT) % 10000"
    ),
    Engine.POSTGRES: Dialect(
        "CAST({0} AS TEXT)",
        _PIPES,
        "CAST(CAST('x000' || substr(encode(sha256(convert_to({0}, 'UTF8')), 'hex'), 1, 13) AS BIT(64)) "
        "AS BIGINT) % 10000",
    ),
    # The first eight bytes as a number, most significant first, without the last three digits.
    Engine.CLICKHOUSE: Dialect(
        "toString({0})",
        "concat({0}, {1})",
        "bitShiftRight(reinterpretAsUInt64(reverse(substring(SHA256({0}), 1, 8))), 12) % 10000",
    ),
    Engine.SPARK: Dialect(
        "CAST({0} AS STRING)",
        "concat({0}, {1})",
        "CAST(conv(substr(sha2({0}, 256), 1, 13), 16, 10) AS BIGINT) % 10000",
    ),
    Engine.BIGQUERY: Dialect(
        "CAST({0} AS STRING)",
        _PIPES,
        "MOD(CAST(CONCAT('0x', SUBSTR(TO_HEX(SHA256({0})), 1, 13)) AS INT64), 10000)",
    ),
    Engine.SNOWFLAKE: Dialect(
        "CAST({0} AS VARCHAR)",
        _PIPES,
        "MOD(TO_NUMBER(SUBSTR(SHA2({0}, 256), 1, 13), 'XXXXXXXXXXXXX'), 10000)",
    ),
    Engine.TRINO: Dialect(
        "CAST({0} AS VARCHAR)",
        _PIPES,
        "from_base(substr(lower(to_hex(sha256(to_utf8({0})))), 1, 13), 16) % 10000",
    ),
    # Without a length, Redshift's VARCHAR keeps 256 bytes.
    Engine.REDSHIFT: Dialect(
        "CAST({0} AS VARCHAR(65535))", _PIPES, "STRTOL(SUBSTRING(SHA2({0}, 256), 1, 13), 16) % 10000"
    ),
}


def bucket(engine: Engine, salt: str, text: str) -> str:
    """The SQL of a unit's bucket under a salt.

    Args:
        engine: Whose SQL.
        salt: The salt.
        text: SQL of the unit id, as text.
    """
    dialect = DIALECTS[engine]
    return dialect.bucket.format(dialect.joined.format(string(engine, f"{salt}:"), text))


def string(engine: Engine, value: str) -> str:
    """The literal of a string."""
    return exp.Literal.string(value).sql(dialect=engine.value)


def name(engine: Engine, value: str) -> str:
    """The quoted name of a column."""
    return exp.to_identifier(value, quoted=True).sql(dialect=engine.value)


def table(engine: Engine, value: str) -> str:
    """The quoted name of a table, whose parts are separated by dots.

    Raises:
        ValueError: It is no name of a table.
    """
    from sqlglot.errors import SqlglotError

    try:
        parsed = exp.to_table(value, dialect=engine.value)
    except SqlglotError:
        raise ValueError(f"{value!r} is not the name of a table") from None
    return ".".join(name(engine, part.name) for part in parsed.parts)
