"""Checks of when exposures happened and when they arrived."""

from equipoise_service.analysis.statistics import Statistics
from equipoise_service.readouts.checks import EarlyExposures, LateExposures
from equipoise_service.readouts.found import about
from equipoise_service.readouts.losses import LATE_AFTER, Arrivals
from equipoise_service.readouts.numerals import percent
from equipoise_service.texts.saying import counted, say
from equipoise_stats import CheckStatus

EARLY_WARNING_SHARE = 0.001
LATE_WARNING_SHARE = 0.01


def early_exposures(statistics: Statistics) -> EarlyExposures | None:
    """Units that were exposed before the revision began; None where nobody asked."""
    units = statistics.early
    if units is None:
        return None
    seen = sum(arm.units for arm in statistics.arms.values()) + statistics.crossovers
    share = units / seen if seen else None
    number = counted("units", units) + ("" if share is None else f" ({percent(share)})")
    early = share is not None and share > EARLY_WARNING_SHARE
    status = CheckStatus.WARNING if early else CheckStatus.OK
    reason = say("found.early_exposures", share=f"{100 * EARLY_WARNING_SHARE:g} %") if early else None
    return EarlyExposures(**about("early_exposures", status, number, reason), units=units, share=share)


def late_exposures(arrivals: Arrivals | None) -> LateExposures | None:
    """Exposures that arrived long after they happened; None where that is not known."""
    if arrivals is None:
        return None
    if arrivals.late is None:
        nothing = about(
            "late_exposures", CheckStatus.UNAVAILABLE, say("rests_on.not_known"), say("found.no_arrivals")
        )
        return LateExposures(**nothing, late=None, exposures=arrivals.exposures, share=None)
    share = arrivals.late / arrivals.exposures if arrivals.exposures else None
    number = counted("exposures", arrivals.late) + ("" if share is None else f" ({percent(share)})")
    late = share is not None and share > LATE_WARNING_SHARE
    status = CheckStatus.WARNING if late else CheckStatus.OK
    hours = round(LATE_AFTER.total_seconds() / 3600)
    reason = (
        say("found.late_exposures", share=f"{100 * LATE_WARNING_SHARE:g} %", hours=hours) if late else None
    )
    return LateExposures(
        **about("late_exposures", status, number, reason),
        late=arrivals.late,
        exposures=arrivals.exposures,
        share=share,
    )
