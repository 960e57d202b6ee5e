"""Run the replays and write their page: `python -m calibration.replays`.

A figure outside its band makes it end with 1.
"""

import datetime
import sys
from pathlib import Path

from calibration.__main__ import conclude
from calibration.measure import SEED, Row
from calibration.page import line, summary
from calibration.real import DATA
from calibration.replays import history
from calibration.replays.measured import CELLS, RUNS

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "replays.md"

_HEAD = """# Replays of real experiments

<!-- Written by `make replay`; change the code in calibration/replays/, not this page. -->

How often would the platform ship a change that changes nothing? Here that is measured on real people: what
{files} real experiments recorded, with the variants forgotten and the units randomised anew, {runs} times
each. Nobody was treated differently, so whatever is shipped is an error.

Each replay is analysed as the service does it: the body of `POST /v1/experiments` gives the plan
(group-sequential looks every 24 hours up to all units, a success metric, guardrails with margins, tests for
harm); every day the statistics of all that came so far make the look that is due, the look makes the readout,
and the readout recommends. It ends with the first *ship*, as a team would end it. The plan allows *ship* in
alpha / 2 = 2.5 % of such experiments.

**Beside it, the naive way**: a fixed-horizon p-value is looked at every day, and the team ships on the first
day on which p < 0.05 with the treatment ahead.

*Band* is where a figure must lie: not above its level by more than three Monte Carlo standard errors. *Naive*
methods must be seen to leave it. Where a gain was planted in the treated arm, the same plan must ship it.

| history | days | success | beside it |
|---|---|---|---|
"""

_TABLE = """
Run of {date}, seed {seed}: {summary}.

| method | history | figure | experiments | measured | band | verdict |
|---|---|---|---:|---:|---|---|
"""

_TAIL = """
What it does not show: replays of one history share its people, so they say how the method errs on data like
these, with their tails and their rhythm of days, and nothing about other data. The simulated rows of
[calibration](statistics/calibration.md) vary what these cannot.
"""


def main() -> int:
    """Runs all cells, prints their rows and writes the page."""
    if not history.available():
        print(f"No data at {DATA}: there is nothing to replay.", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for cell in CELLS:
        found, seconds = cell.published()
        rows += found
        print(f"{cell.name} ({seconds:.0f} s)")
        print("\n".join("  " + line(row) for row in found), flush=True)
    PAGE.write_text(page(rows, datetime.datetime.now(datetime.UTC).date()), encoding="utf-8")
    print(f"Wrote {PAGE}.")
    return conclude(rows)


def page(rows: list[Row], date: datetime.date) -> str:
    """The whole page."""
    head = _HEAD.format(files={1: "one", 2: "two", 3: "three"}[len(history.HISTORIES)], runs=RUNS)
    table = _TABLE.format(date=date.isoformat(), seed=SEED, summary=summary(rows))
    return (
        head + "".join(map(_described, history.HISTORIES)) + table + "\n".join(map(line, rows)) + "\n" + _TAIL
    )


def _described(name: str) -> str:
    came = history.HISTORIES[name]()
    leading, *others = came.body["metrics"]
    margins = came.body["plan"]["targets"]
    beside = ", ".join(
        f"{each['key']} ({each['role']}"
        + (
            f" with a margin of {100 * margins[each['key']]['margin']:g} %)"
            if each["key"] in margins
            else ")"
        )
        for each in others
    )
    return (
        f"| {name}, {came.day.size:,} units | {came.days}; {came.days_are} | {leading['key']} | {beside} |\n"
    )


if __name__ == "__main__":
    sys.exit(main())
