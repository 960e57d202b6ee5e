"""What changed rows come to, as they were and as they are: their sums and counts, in one statement.

The rows as they are have to be worked out for both. In one statement they are worked out once, it is planned
once, and the engine works at what does not depend on each other at the same time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

Row = Mapping[str, Any]

SUMS_WERE, SUMS_NOW, COUNTS_WERE, COUNTS_NOW = "sums_were", "sums_now", "counts_were", "counts_now"
_OF_COUNTS = ("measure", "variant", "bin", "units")
# What sums have not.
_ELSE = {"part", "measure", "bin"}


@dataclass(frozen=True, slots=True)
class Amounts:
    """The sums and counts of changed rows.

    Attributes:
        sums_were: As `sums.arm_sums` gives them, of the rows as they were.
        sums_now: Of the rows as they are.
        counts_were: As `counts.unit_counts` gives them, of the rows as they were; none without distributions.
        counts_now: Of the rows as they are.
    """

    sums_were: list[Row]
    sums_now: list[Row]
    counts_were: list[Row]
    counts_now: list[Row]


def at_once(parts: Mapping[str, ir.Table]) -> ir.Table:
    """The rows of several queries, null in columns that only another one has.

    Args:
        parts: The queries; the column `part` says of which a row is.
    """
    types = {
        name: type.copy(nullable=True) for rows in parts.values() for name, type in rows.schema().items()
    }
    return ibis.union(
        *(
            rows.select(
                part=ibis.literal(part),
                **{
                    name: (rows[name] if name in rows.columns else ibis.null(type)).cast(type)
                    for name, type in types.items()
                },
            )
            for part, rows in parts.items()
        )
    )


def read_amounts(rows: Iterable[Row]) -> Amounts:
    """Reads the rows that `at_once` gives of the four."""
    found: dict[str, list[Row]] = {part: [] for part in (SUMS_WERE, SUMS_NOW, COUNTS_WERE, COUNTS_NOW)}
    for row in rows:
        # Of counts there are hundreds of rows, and most columns are those of sums.
        counts = row["part"] in (COUNTS_WERE, COUNTS_NOW)
        names = _OF_COUNTS if counts else (name for name in row if name not in _ELSE)
        found[row["part"]].append({name: row[name] for name in names})
    return Amounts(**found)
