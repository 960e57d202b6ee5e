"""A readout of an experiment that no service knows: its definition, and facts in a file or a warehouse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from equipoise import BUCKETS
from equipoise_service.analysis.ages import Ages
from equipoise_service.analysis.file_facts import FileAnalysis, analyse_file_facts
from equipoise_service.analysis.requests import FileFacts, StoreRequest
from equipoise_service.analysis.sources import (
    ages_of_own,
    analyse_own,
    events_by_day_of_own,
    exposures_by_day_of_own,
    first_moment,
)
from equipoise_service.analysis.statistics import ArmValues, Statistics
from equipoise_service.experiments.schemas import ExperimentIn
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans.documents import Plan, PlannedVariant, make_plan
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.readouts.ages import ages_by_source
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.facts import together
from equipoise_service.readouts.following import followed_ages
from equipoise_service.readouts.losses import NO_REPORTS, Arrivals
from equipoise_service.readouts.missing import arrivals_in_file, arrivals_of_facts
from equipoise_service.readouts.population import asked_bots, asked_identity, asked_segments
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.recorded import SourceRead
from equipoise_service.sources.schemas import SourceIn
from equipoise_service.sources.service import digest_of

PLACE = "ad-hoc/analysis"


class CannotBeRead(ValueError):
    """An experiment cannot be read from these facts; the message says why."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When an experiment is read.

    Attributes:
        at: The moment as of which; None: of a file its latest time, else now.
        ended: Whether no unit is to come.
        look: Whether the look that is due is taken.
        looks: The looks that were taken before.
        started_at: When it began; None: with its first exposure.
        revision: Number of its revision.
    """

    at: datetime | None = None
    ended: bool = False
    look: bool = False
    looks: Sequence[Look] = ()
    started_at: datetime | None = None
    revision: int = 1


def plan_of(body: ExperimentIn) -> Plan:
    """The plan that the service locks when such an experiment starts.

    Raises:
        CannotBeRead: A metric is named that only a service knows.
        ValueError: The plan does not fit the metrics.
    """
    stored = [each.key for each in body.metrics if not isinstance(each, PinnedMetric)]
    if stored:
        raise CannotBeRead(f"no definition of the metrics {', '.join(stored)} is given")
    return make_plan(
        body.plan,
        starts_at=None,
        unit_type=body.unit_type,
        variants=[
            PlannedVariant(key=each.key, weight=each.weight or 0, control=each.control)
            for each in body.variants
        ],
        metrics=[each for each in body.metrics if isinstance(each, PinnedMetric)],
    )


def readout_of_facts_in_file(
    path: Path, facts: FileFacts, body: ExperimentIn, plan: Plan, moment: Moment
) -> dict[str, Any]:
    """Analyses a file by a plan.

    Args:
        path: A CSV or Parquet file.
        facts: Which columns make which facts.
        body: The experiment.
        plan: Its plan.
        moment: When it is read.

    Raises:
        FileProblem: The file cannot be analysed as asked.
        CannotBeRead: The plan needs what a file has not, or no look is due.
    """
    if plan.identity is not None:
        raise CannotBeRead("identity joins units of two types, and the rows of a file are of one")
    waiting = [metric.key for metric in plan.metrics if metric.matures]
    if facts.time is None and waiting:
        raise CannotBeRead(
            f"the windows of {', '.join(waiting)} need the times of the rows: name their column"
        )
    request = _request(body, plan, moment, moment.at or datetime.now(UTC), until=moment.at)

    def read_at(found: FileAnalysis) -> datetime:
        return moment.at or found.last or request.as_of

    def follow(found: FileAnalysis) -> Mapping[str, Ages] | None:
        at, began = read_at(found), moment.started_at or found.first
        return _followed(plan, found.statistics, moment, at, began, of_file=True)

    found = analyse_file_facts(path, facts, request, follow, newest=moment.at is None)
    unplanned = sorted(found.statistics.arms.keys() - plan.weights.keys())
    if unplanned:
        raise CannotBeRead(
            f"column {facts.variant!r} of {path} holds {', '.join(map(repr, unplanned[:5]))}, and the "
            f"variants are: {', '.join(plan.weights)}"
        )
    at, began = read_at(found), moment.started_at or found.first
    arrivals = arrivals_in_file(found.exposures, found.events, replace(request, as_of=at, since=began))
    return _readout(body, plan, found.statistics, replace(moment, at=at), began, arrivals, revision=None)


def readout_of_sources(
    body: ExperimentIn, plan: Plan, sources: Mapping[str, SourceIn], seconds: float, moment: Moment
) -> dict[str, Any]:
    """Analyses the facts of sources by a plan, where they lie.

    Args:
        body: The experiment.
        plan: Its plan; each metric names one of the sources.
        sources: The sources, by key, each with exposures of its own.
        seconds: What reading one of them may take.
        moment: When it is read.

    Raises:
        Conflict: A source cannot be read.
        CannotBeRead: A metric names none of them, or no look is due.
    """
    at = moment.at or datetime.now(UTC)
    # A warehouse may hold what is planned and has yet to happen.
    request = _request(body, plan, moment, at, until=at)
    of_source = {metric.key: metric.source for metric in plan.metrics}
    found: list[Statistics] = []
    began = moment.started_at
    for key in dict.fromkeys(of_source.values()):
        metrics = ", ".join(metric for metric, source in of_source.items() if source == key)
        if key is None:
            raise CannotBeRead(f"{metrics} names no source, and no file is given")
        if key not in sources:
            raise CannotBeRead(f"no definition of the source {key} is given, which {metrics} is read from")
        if sources[key].exposures is None:
            raise CannotBeRead(
                f"the source {key} has no exposures of its own, and there is no service to ask"
            )
        measures = tuple(each for each in plan.measures if of_source[each.metric] == key)
        found.append(analyse_own(sources[key], replace(request, measures=measures), seconds))
        began = began or first_moment(sources[key], request, seconds)
    if not found:
        raise CannotBeRead("the experiment has no metric, so no source is named")
    statistics = together(found)
    ages = _followed(plan, statistics, moment, at, began, of_file=False)
    if ages is not None:

        def read(key: str | None, asked: Mapping[str, Ages]) -> dict[str, dict[str, ArmValues]]:
            return ages_of_own(sources[key or ""], request, seconds, asked)

        statistics = replace(statistics, ages=ages_by_source(plan, ages, read))
    # The arms are those of the first source, and so are the exposures.
    source = sources[plan.metrics[0].source or ""]
    exposures = exposures_by_day_of_own(source, request, seconds)
    count = partial(events_by_day_of_own, source, request, seconds)
    arrivals = arrivals_of_facts(exposures, replace(request, since=began), count)
    defined = [SourceRead(key=each, digest=digest_of(sources[each])) for each in plan.sources]
    read_then = replace(moment, at=at)
    return _readout(
        body, plan, statistics, read_then, began, arrivals, revision=moment.revision, sources=defined
    )


def _request(
    body: ExperimentIn, plan: Plan, moment: Moment, at: datetime, *, until: datetime | None
) -> StoreRequest:
    return StoreRequest(
        PLACE,
        body.key,
        moment.revision,
        plan.unit_type,
        plan.measures,
        at,
        until=until,
        left_out=tuple(body.overrides),
        segments=asked_segments(plan),
        bots=asked_bots(plan),
        identity=asked_identity(plan),
    )


def _followed(
    plan: Plan,
    statistics: Statistics,
    moment: Moment,
    at: datetime,
    began: datetime | None,
    *,
    of_file: bool,
) -> Mapping[str, Ages] | None:
    ended_at = at if moment.ended else None
    return followed_ages(
        plan, statistics, moment.looks, at=at, began=began, ended_at=ended_at, of_file=of_file
    )


def _readout(
    body: ExperimentIn,
    plan: Plan,
    statistics: Statistics,
    moment: Moment,
    started_at: datetime | None,
    arrivals: Arrivals,
    *,
    revision: int | None,
    sources: Sequence[SourceRead] = (),
) -> dict[str, Any]:
    at = moment.at or datetime.now(UTC)
    looks = tuple(moment.looks)
    if moment.look:
        looks = (*looks, _due(plan, statistics, moment, at, started_at))
    provenance = Provenance(
        body.key,
        revision,
        at,
        started_at=started_at,
        ended_at=at if moment.ended else None,
        traffic=body.traffic / BUCKETS,
        dropped=NO_REPORTS,
        arrivals=arrivals,
        sources=sources,
    )
    return build_readout(plan, statistics, provenance, looks)


def _due(
    plan: Plan, statistics: Statistics, moment: Moment, at: datetime, started_at: datetime | None
) -> Look:
    if started_at is None:
        raise CannotBeRead("a look has a moment, and these facts have no times")
    return next_look(
        plan,
        mature_units(plan, statistics),
        moment.looks,
        statistics_digest=statistics_digest(plan, statistics),
        taken_at=at,
        started_at=started_at,
        ended_at=at if moment.ended else None,
    )
