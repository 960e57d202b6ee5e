"""Write the table of agreements and reasoned differences: `docs/explanation/statistics/compared.md`."""

import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import designs, means, shares
from benchmarks.peers.agreement import SAME, Agreement

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "statistics" / "compared.md"
LIBRARIES = ("scipy", "statsmodels", "tea-tasting", "gbstats", "spotify-confidence")

HEAD = """# Beside other libraries

Whoever changes engines wants to know which numbers stay and which do not, and why. This page answers with a
measurement: this engine and other libraries were asked the same questions about the same random data, and
the largest relative difference of their numbers was kept. `make peers` measures again and writes this page.

| library | version |
|---|---|
{versions}

## The same method, the same number

Relative differences up to {same:g} are rounding: raw sums of squares, as gbstats is fed with, lose more
digits than centred moments do.

| method | library | numbers | largest relative difference |
|---|---|---|---|
{same_rows}

## Another number, and the reason

| method | library | numbers | largest relative difference | reason |
|---|---|---|---|---|
{other_rows}

## What a number of another engine becomes here

A p-value of a mean, a ratio or a proportion stays what it was, where the other engine applies no continuity
correction. The interval of a *lift* changes a little, and for good: it excludes 0 exactly when the
difference is significant.

```python
>>> import equipoise_stats as es
>>> arms = {{"treatment": es.Moments.scalar(80, 11.2, 16.0), "control": es.Moments.scalar(80, 10.0, 16.0)}}
>>> effect = es.mean_difference(**arms)
>>> fieller, delta = es.fixed_horizon(effect), es.fixed_horizon_lift(effect, interval="delta")
>>> [round(end, 4) for end in (fieller.lift.interval.lower, fieller.lift.interval.upper)]
[-0.0046, 0.2622]
>>> [round(end, 4) for end in (delta.lift.interval.lower, delta.lift.interval.upper)]
[-0.0126, 0.2526]

```
"""


def main() -> None:
    """Measure, write the page, and fail where numbers differ that should not."""
    rows = [*means.agreements(), *shares.agreements(), *designs.agreements()]
    same = "\n".join(_row(row) for row in rows if row.reason is None)
    other = "\n".join(f"{_row(row)} {row.reason} |" for row in rows if row.reason is not None)
    versions = "\n".join(f"| {name} | {version(name)} |" for name in LIBRARIES)
    PAGE.write_text(HEAD.format(versions=versions, same=SAME, same_rows=same, other_rows=other))
    apart = [row for row in rows if not row.holds()]
    for row in apart:
        print(f"{row.method} and {row.peer} are {row.gap:.2g} apart.", file=sys.stderr)
    print(f"{len(rows)} comparisons, {len(apart)} apart without a reason; written to {PAGE}.")
    sys.exit(bool(apart))


def _row(row: Agreement) -> str:
    gap = "0" if row.gap == 0 else f"{row.gap:.1e}"
    return f"| {row.method} | {row.peer} | {row.numbers:,} | {gap} |"


if __name__ == "__main__":
    main()
