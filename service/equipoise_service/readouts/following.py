"""Whether effects are followed over the days since exposure in an analysis that no service plans."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from equipoise_service.analysis.ages import Ages
from equipoise_service.analysis.statistics import Statistics
from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import Look, is_spent
from equipoise_service.readouts.ages import asked_ages
from equipoise_service.readouts.building import mature_units, statistics_digest
from equipoise_service.readouts.progress import end_is_reached


def followed_ages(
    plan: Plan,
    statistics: Statistics,
    looks: Sequence[Look],
    *,
    at: datetime,
    began: datetime | None,
    ended_at: datetime | None,
    of_file: bool,
) -> Mapping[str, Ages] | None:
    """The ages that are looked at: at the planned end, or at any moment, but not after the last look.

    Args:
        plan: The plan.
        statistics: All the other statistics.
        looks: The looks that were taken before.
        at: When it is read.
        began: When the first unit was exposed; None where nobody knows.
        ended_at: When it ended, if it did.
        of_file: Whether the data are a file.

    Returns:
        The ages of each metric that can be looked at so, by key; None where nobody looks.
    """
    digest = statistics_digest(plan, statistics)
    if is_spent(plan, looks) and looks[-1].statistics_digest != digest:
        return None
    mature = mature_units(plan, statistics)
    end = end_is_reached(plan, mature, generated_at=at, started_at=began, ended_at=ended_at, of_file=of_file)
    if began is None or not (end or plan.is_always_valid):
        return None
    return asked_ages(plan, began, ended_at or at, always_valid=plan.is_always_valid)
