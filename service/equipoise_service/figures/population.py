"""Who came: the shares of the arms against their plan."""

from collections.abc import Iterator

from equipoise_service.figures.figure import Figure
from equipoise_service.figures.intervals import Row, interval_plot
from equipoise_service.readouts.found import CHECK_ALPHA
from equipoise_service.readouts.numerals import decimals_for, number, p_value, percent
from equipoise_service.readouts.outcomes import Outcome
from equipoise_service.readouts.schemas import Arm, Readout
from equipoise_service.texts.saying import counted, say
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
    p = [] if check.p_value is None else [say("figure.shares.p", p=p_value(check.p_value))]
    fine = say("figure.shares.agree")
    if at_the_end.status is CheckStatus.WARNING and at_the_end.reason is not None:
        fine = at_the_end.reason
    verdict = [say("figure.shares.differ") if broken else fine, *p]
    intervals = say("intervals", level=f"{100 * (1 - CHECK_ALPHA):g} %")
    yield Figure(
        "sample-ratio",
        say("figure.shares"),
        " ".join([*verdict, *(say("figure.row", label=row.label, shown=row.shown) for row in rows)]),
        interval_plot(
            rows,
            title=say("figure.shares"),
            subtitle=" ".join([*verdict, say("figure.shares.intervals", intervals=intervals)]),
            axis=say("figure.share_axis"),
            legend=False,
        ),
    )


def _row(arm: Arm, units: int, outcome: Outcome) -> Row:
    share = arm.units / units
    found = wilson(Counts(units, arm.units), alpha=CHECK_ALPHA)
    off = [100 * (each - arm.expected_share) for each in (share, found.lower, found.upper)]
    shown = number(off[0], decimals=decimals_for(off[1:]), signed=True)
    return Row(
        say("figure.shares.arm", arm=arm.variant, units=counted("units", arm.units)),
        outcome,
        say(
            "figure.shares.off",
            off=shown,
            share=say("share_of", part=percent(share), whole=percent(arm.expected_share)),
        ),
        off[0],
        (off[1], off[2]),
    )
