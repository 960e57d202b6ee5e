"""Who came: the shares of the arms against their plan."""

from collections.abc import Iterator

from equipoise_service.figures.figure import Figure
from equipoise_service.figures.intervals import Row, interval_plot
from equipoise_service.readouts.found import CHECK_ALPHA
from equipoise_service.readouts.numerals import decimals_for, number, p_value, percent
from equipoise_service.readouts.schemas import Arm, Readout
from equipoise_service.readouts.summary import Outcome
from equipoise_stats import CheckStatus, Counts, wilson


def sample_ratio(readout: Readout) -> Iterator[Figure]:
    """How far the share of each arm is from the planned one."""
    units = sum(arm.units for arm in readout.arms)
    if not units:
        return
    check = readout.health.sequential_sample_ratio
    at_the_end = readout.health.sample_ratio
    broken = CheckStatus.FAILED in (check.status, at_the_end.status)
    rows = [_row(arm, units, Outcome.WORSE if broken else Outcome.FLAT) for arm in readout.arms]
    p = "" if check.p_value is None else f" p {p_value(check.p_value)}, valid whenever one looks."
    fine = "The shares agree with the plan."
    if at_the_end.status is CheckStatus.WARNING and at_the_end.reason is not None:
        fine = at_the_end.reason
    verdict = "The shares are not the planned ones." if broken else fine
    yield Figure(
        "sample-ratio",
        "Shares of the arms against their plan",
        f"{verdict}{p} " + " ".join(f"{row.label}: {row.shown}." for row in rows),
        interval_plot(
            rows,
            title="Shares of the arms against their plan",
            subtitle=f"{verdict}{p} {100 * (1 - CHECK_ALPHA):g} % intervals.",
            axis="share minus planned share, in percentage points",
            legend=False,
        ),
    )


def _row(arm: Arm, units: int, outcome: Outcome) -> Row:
    share = arm.units / units
    found = wilson(Counts(units, arm.units), alpha=CHECK_ALPHA)
    off = [100 * (each - arm.expected_share) for each in (share, found.lower, found.upper)]
    shown = number(off[0], decimals=decimals_for(off[1:]), signed=True)
    return Row(
        f"{arm.variant} ({arm.units:,} units)",
        outcome,
        f"{shown} pp  ({percent(share)} of {percent(arm.expected_share)})",
        off[0],
        (off[1], off[2]),
    )
