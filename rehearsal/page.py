"""The page of the documentation that the rehearsal's table is published on."""

import datetime
from collections.abc import Sequence

from rehearsal.bounds import FAMILY
from rehearsal.counting import Line
from rehearsal.elsewhere import Checked
from rehearsal.judging import RULES
from rehearsal.kinds import ALPHA, KINDS, MARGIN, MDE, POWER
from rehearsal.people import ENROLMENT_DAYS
from rehearsal.registering import LOOK_HOURS, PLANNED_DAYS

_HEAD = """# Rehearsals

<!-- Written by `make rehearse`; change the code in rehearsal/, not this page. -->

Before anybody relies on a readout, experiments whose truth is known go through the whole service.
`make rehearse` starts `equipoise serve` as it is, registers {number} experiments over HTTP and starts them. People
come on {days} days, the SDK assigns them from the configuration that the service publishes, and what they do is
sent to `POST /v1/events`. Days pass because the service's process is told another date; nothing of it is
replaced. Its worker takes the looks, one every {hours} hours, and computes the readouts.

After each look the recommendation is read and followed at once, by a decision over HTTP. What is counted is the
**first** recommendation that is not to keep running, so that one wrong “ship” at any look counts.

Every plan is the same: alpha {alpha:g}, power {power:g}, a success metric of which a lift of {mde:.0f} % is to be
found, a guardrail with a margin of {margin:.0f} %, O'Brien and Fleming's spending, and a horizon of as many units as
`POST /v1/plans/power` says, or {planned} days.

## What is right, said beforehand

| kind | what happens | right | at least |
|---|---|---|---:|
"""

_RESULTS = """
## What was recommended

*Right* and *ship* are counts. *Least right* and *most ship* are what chance allows if the planned rates hold:
binomial bounds, which all together are wrong less than once in {family:,.0f} runs. What is broken is never to be
shipped.

| kind | experiments | right | planned | least right | ship | most ship | days, median | verdict |
|---|---:|---:|---:|---:|---:|---:|---:|---|
"""

_AFTER = """
Run of {date}. In the readouts that decided, {held:,} of {intervals:,} intervals of the lift hold the truth
({share:.1f} %; {promised:.0f} % are promised).

## What the summaries say

Each of the {readouts:,} readouts that people could read was held against these rules, which know the numbers beside
the text and the truth behind it. The last readout of each experiment was held against the true number of units
in each arm, of crossovers and of items that were given up.

"""

_VERIFIED = """
All hold in all of them.

## Verified elsewhere

The service was stopped, and every readout was copied into an empty directory. `equipoise verify` ran there as a
process with an empty environment: no store, no settings, nothing but the files. **{agreed:,} of {readouts:,} agree.**
Readouts of such a run were verified on [another machine](../how-to/verify-on-another-machine.md) too.

Then one place of each was edited and its digest made to fit, as somebody would who knows how. *Told* are those
where `equipoise verify` failed and named the place; for statistics and units, numbers that follow from them.

| edited | readouts | told |
|---|---:|---:|
"""


def page(
    lines: Sequence[Line], checked: Checked, *, readouts: int, covered: tuple[int, int], date: datetime.date
) -> str:
    """The whole page.

    Args:
        lines: What came of each kind, and of kinds together.
        checked: What `equipoise verify` said.
        readouts: How many readouts were judged.
        covered: Intervals of conversion that hold the truth, and all of them, in the readouts that decided.
        date: Day of the run.
    """
    held, intervals = covered
    head = _HEAD.format(
        number=sum(line.number for line in lines if not line.several),
        days=ENROLMENT_DAYS,
        hours=LOOK_HOURS,
        alpha=ALPHA,
        power=POWER,
        mde=100 * MDE,
        margin=100 * MARGIN,
        planned=PLANNED_DAYS,
    )
    after = _AFTER.format(
        date=date.isoformat(),
        held=held,
        intervals=intervals,
        share=100 * held / max(1, intervals),
        promised=100 * (1 - ALPHA),
        readouts=readouts,
    )
    places = sorted(checked.edited.items())
    return "".join(
        [
            head,
            *(
                f"| {kind.name} | {kind.story} | `{kind.right}` | {100 * kind.planned:.1f} % |\n"
                for kind in KINDS
            ),
            _RESULTS.format(family=1 / FAMILY),
            *(table_line(line) + "\n" for line in lines),
            after,
            *(f"- {rule}\n" for rule in RULES),
            _VERIFIED.format(agreed=checked.agreed, readouts=checked.readouts),
            *(f"| {place} | {number:,} | {checked.told[place]:,} |\n" for place, number in places),
        ]
    )


def table_line(line: Line) -> str:
    """One line of the table of results."""
    name = f"*{line.name}*" if line.several else line.name
    verdict = "as planned" if line.holds else "**not as planned**"
    return (
        f"| {name} | {line.number} | {line.right} | {100 * line.planned:.1f} % | {line.least_right} "
        f"| {line.ship} | {line.most_ship} | {line.days:g} | {verdict} |"
    )
