"""The page of the documentation that the table is published on."""

import datetime
from itertools import groupby

from calibration.measure import SEED, STANDARD_ERRORS, Row

_HEAD = """# Calibration

<!-- Written by `make calibrate`; change the code in calibration/, not this page. -->

Every method is run many times on data whose truth is known. A test at level 5 % must reject a true null
hypothesis in 5 % of the runs; a 95 % interval must cover the truth in 95 %; power must be what the plan said.
This is measured here, not asserted, and `make calibrate` measures it again: it ends with an error if a figure
leaves its band.

**How to read the table.** *Measured* is the share (or ratio) over all runs. *Band* is where it must lie: for
a method that is exact, its level ± {errors} Monte Carlo standard errors (0.05 ± 0.0066 with 10,000 runs); for
a conservative one, not above (of coverage, not below) its level by more than that; for an approximation, the
band that is written in the code with its reason. *Naive* methods are what people do instead; they are run on
the same data and must be seen to fail.

Of {rows} figures, one in 370 leaves a band of three standard errors by chance. The seed is fixed, so that
a run gives the same table again; where a figure left its band, more runs decided, not another seed.

What the table teaches beyond its verdicts:

- **Revenue in arms of unequal size** is where Welch's test and confidence sequences fail (up to 20 % instead
  of 5 %). `guarded_mean_difference` mends it under both. Where the smaller arm has some fifty buyers of
  wildly different amounts, winsorize too: the guard alone leaves 6 %.
- **Equal arms** make skewed metrics conservative: too few false alarms, and a little less power.
- **Proportions** are discrete: the error of a score test swings about 5 % with n and p, here up to 5.7 %.
- **Shrinkage with a learnt prior** takes that prior as true; its intervals cover 93 %, not 95 %.
- **A confidence sequence** errs less than it may, because an experiment ends: that is its price.

Any design of one's own can be measured the same way, here five looks at 1.96:

```python
>>> import equipoise_stats as es
>>> same = es.BernoulliPopulation(0.1)
>>> naive = es.Design("naive", 0.05, "two-sided", (0.2, 0.4, 0.6, 0.8, 1.0), (1.96,) * 5)
>>> result = es.simulate(naive, treatment=same, control=same, units=10_000, seed=1)
>>> result.rejected > 0.12
True

```
"""

_TABLE = """
| method | condition | figure | runs | measured | band | verdict |
|---|---|---|---:|---:|---|---|
"""


def page(sections: list[tuple[str, list[Row]]], *, date: datetime.date, real: bool) -> str:
    """The whole page.

    Args:
        sections: Heading and rows of each cell; those of one section follow each other.
        date: Day of the run.
        real: Whether the real data were there.
    """
    number = sum(len(rows) for _, rows in sections)
    parts = [_HEAD.format(errors=STANDARD_ERRORS, rows=number)]
    parts.append(
        f"\nRun of {date.isoformat()}, seed {SEED}: {summary([r for _, rows in sections for r in rows])}.\n"
    )
    if not real:
        parts.append("\nThe real data were not there: the resampled A/A tests are left out.\n")
    for heading, group in groupby(sections, key=lambda one: one[0]):
        parts.append(f"\n## {heading}\n{_TABLE}")
        parts.extend(line(row) + "\n" for _, rows in group for row in rows)
    return "".join(parts)


def line(row: Row) -> str:
    """One line of the table."""
    method = f"*naive:* {row.method}" if row.naive else row.method
    verdict = row.verdict if row.as_claimed else f"**{row.verdict}**"
    return (
        f"| {method} | {row.condition} | {row.quantity} | {row.replications:,} | {number(row.measured)} "
        f"| {number(row.low)} … {number(row.high)} | {verdict} |"
    )


def number(value: float) -> str:
    """Four decimals of a share, none of a large number.

    Example:
        >>> number(0.05), number(45_100.0)
        ('0.0500', '45,100')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4f}"


def summary(rows: list[Row]) -> str:
    """How many figures are as claimed."""
    wrong = sum(not row.as_claimed for row in rows)
    naive = sum(row.naive for row in rows)
    return f"{len(rows)} figures, of which {naive} of naive methods; " + (
        "all as claimed" if wrong == 0 else f"{wrong} not as claimed"
    )
