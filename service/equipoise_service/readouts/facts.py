"""The facts of a plan, wherever they lie: each source is analysed, and the statistics are put together."""

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

from equipoise_service.aggregates.service import analyse
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.sources import Limits, analyse_source
from equipoise_service.analysis.statistics import ArmStatistics, DayStatistics, Statistics
from equipoise_service.events.stores.store import EventStore
from equipoise_service.plans.documents import Plan
from equipoise_service.sources.schemas import SourceIn


def analyse_plan(
    store: EventStore, plan: Plan, request: StoreRequest, sources: Mapping[str, SourceIn], limits: Limits
) -> Statistics:
    """Computes the statistics of all metrics of a plan.

    Arms, crossovers and the sample ratio are those of the first metric's source; without metrics, of the
    event store.

    Args:
        store: The service's own store.
        plan: What is measured.
        request: Which experiment, with all measures of the plan.
        sources: The sources that the plan names, by key.
        limits: What reading a source may take.

    Raises:
        Conflict: A source cannot be read.
    """
    of_source = {metric.key: metric.source for metric in plan.metrics}
    found: list[Statistics] = []
    for key in dict.fromkeys(of_source.values()) or [None]:
        measures = tuple(each for each in request.measures if of_source[each.metric] == key)
        part = replace(request, measures=measures)
        if key is None:
            found.append(analyse(store, part))
        else:
            found.append(analyse_source(sources[key], store, part.until_now(), limits))
    return together(found)


def together(found: list[Statistics]) -> Statistics:
    """The statistics of all metrics, from those of each source; the first one's arms are everybody's."""
    first, *others = found
    if not others:
        return first
    days = {day.day: day.arms for day in first.days}
    for other in others:
        for day in other.days:
            days[day.day] = with_metrics(days.get(day.day, {}), day.arms)
    watermarks = [each.watermark for each in found if each.watermark is not None]
    return replace(
        first,
        arms=reduce(with_metrics, (each.arms for each in found)),
        watermark=max(watermarks, default=None),
        cuts={metric: cut for each in found for metric, cut in each.cuts.items()},
        distributions={metric: spread for each in found for metric, spread in each.distributions.items()},
        days=[DayStatistics(day, days[day]) for day in sorted(days)],
        quantiles_by_day={metric: of for each in found for metric, of in each.quantiles_by_day.items()},
    )


def with_metrics(
    arms: Mapping[str, ArmStatistics], others: Mapping[str, ArmStatistics]
) -> dict[str, ArmStatistics]:
    """Arms with the metrics that the same arms of another source have."""
    both = dict(arms)
    for variant, arm in others.items():
        before = both.get(variant) or ArmStatistics(0, {})
        both[variant] = replace(
            before,
            values={**before.values, **arm.values},
            immature={**before.immature, **arm.immature},
        )
    return dict(sorted(both.items()))
