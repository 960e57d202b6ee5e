"""What changed rows come to, as they were and as they are: their sums and counts, in one statement.

The rows as they are have to be worked out for both. In one statement they are worked out once, and it is
planned once. The sums of the rows as they were are the same ones as those of the rows as they are, so both
are rows of one table, each with its *look*: a statement that said all sums twice took longer to plan.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.analysis.units import naive, together

Row = Mapping[str, Any]

SUMS, COUNTS = "sums", "counts"
_WERE, _NOW = 0, 1
# What sums have not.
_ELSE = {"part", "look", "measure", "bins"}


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


def both_looks(were: ir.Table, now: ir.Table, moments: tuple[datetime, datetime] | None) -> ir.Table:
    """The rows of a base as they were and as they are, with `analysis.units.look_columns`.

    Args:
        were: As they were.
        now: As they are.
        moments: When they were analysed, and when they are; None where no unit matures.
    """
    looks: list[ir.Table] = []
    for look, rows in ((_WERE, were), (_NOW, now)):
        columns: dict[str, ir.Value] = {"look": ibis.literal(look, type="int8")}
        if moments is not None:
            columns["as_of"] = ibis.literal(naive(moments[look]), type=rows.first_time.type())
        looks.append(rows.mutate(**columns))
    return together(looks)


def packed(counts: ir.Table) -> ir.Table:
    """The counts of `both_looks`, a row an arm and measure: its bins and their units as one text.

    A row a bin was hundreds of rows with all columns of the sums, which took longer to read than to make.
    """
    each = counts.bin.cast("string") + ":" + counts.units.cast("string")
    return counts.group_by(["look", "measure", "variant"]).agg(bins=each.group_concat(","))


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
    """Reads the rows that `at_once` gives of the sums and the `packed` counts of `both_looks`."""
    found: dict[tuple[str, int], list[Row]] = {
        (part, look): [] for part in (SUMS, COUNTS) for look in (_WERE, _NOW)
    }
    for row in rows:
        theirs = found[row["part"], row["look"]]
        if row["part"] == COUNTS:
            theirs.extend(_unpacked(row))
        else:
            theirs.append({name: value for name, value in row.items() if name not in _ELSE})
    return Amounts(found[SUMS, _WERE], found[SUMS, _NOW], found[COUNTS, _WERE], found[COUNTS, _NOW])


def _unpacked(row: Row) -> Iterator[Row]:
    for each in row["bins"].split(","):
        number, units = each.split(":")
        yield {
            "measure": row["measure"],
            "variant": row["variant"],
            "bin": int(number),
            "units": int(units),
        }
