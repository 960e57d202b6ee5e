"""From a request to a complete plan, the traffic that it would have, and where its metrics are measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from math import prod

from pydantic import TypeAdapter, ValidationError
from sqlmodel import Session

from equipoise import BUCKETS
from equipoise_service.accounts.principals import Principal
from equipoise_service.errors import InvalidPayload
from equipoise_service.experiments import repository as experiments
from equipoise_service.experiments import service as experiment_service
from equipoise_service.experiments.models import Experiment
from equipoise_service.flags import service as flags
from equipoise_service.holdouts import repository
from equipoise_service.holdouts.models import Holdout
from equipoise_service.metrics import service as metrics
from equipoise_service.metrics.stored import PinnedMetric
from equipoise_service.plans.documents import Plan, PlannedVariant, make_plan
from equipoise_service.plans.schemas import NoSuchEnd, PlanIn
from equipoise_service.power.history import Enrolment, Past
from equipoise_service.power.schemas import MAX_METRICS, PowerIn
from equipoise_service.readouts.pauses import Stretch
from equipoise_service.sources import service as sources
from equipoise_service.sources.schemas import SourceIn

_metrics = TypeAdapter(list[PinnedMetric])


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, complete.

    Attributes:
        plan: The plan.
        share: Share of the units that takes part.
        past: What is looked at.
        daily_units: New units a day where they are given; None: they are counted.
        sources: Where metrics are measured, by key, None being the store; the first one's units are counted.
        of_everybody: Whether all units with events are counted, of which the audience takes some.
        held_out: Keys of the holdouts that keep some of the counted units out, which `share` knows.
    """

    plan: Plan
    share: float
    past: Past
    daily_units: float | None
    sources: Mapping[str | None, SourceIn | None]
    of_everybody: bool = False
    held_out: tuple[str, ...] = ()


def read_request(session: Session, principal: Principal, payload: PowerIn) -> Asked:
    """Completes a request.

    Raises:
        InvalidPayload: It names what does not exist, or does not fit together.
        NotFound: There is no such experiment or flag.
    """
    experiment = (
        None
        if payload.experiment is None
        else experiment_service.find(session, principal, payload.experiment)
    )
    plan = _plan(session, principal, payload, experiment)
    traffic = payload.traffic or (experiment.traffic if experiment is not None else BUCKETS) or BUCKETS
    for key in payload.baselines.keys() - {metric.key for metric in plan.metrics}:
        raise invalid(f"/baselines/{key}", f"the plan has no metric {key}")
    end = datetime.now(UTC)
    of = payload.traffic_of
    measured = [metric for metric in plan.metrics if metric.key not in payload.baselines]
    named = dict.fromkeys(metric.source for metric in measured)
    exposed = _exposed(session, principal, payload, experiment)
    paused = experiments.pauses_in(session, exposed or (), principal.environment_id, principal.project_id)
    past = Past(
        principal.place,
        end - timedelta(days=payload.history_days),
        end,
        experiments=exposed,
        pauses=tuple(Stretch(each.started_at, each.ended_at) for each in paused),
        event=None if of is None else of.event,
        enrolments=_enrolments(session, principal, exposed or ()),
    )
    if past.experiments is not None and any(key is not None for key in named):
        raise invalid(
            "/traffic_of",
            "exposures are in the service's own store, and metrics of a source are measured where that is: "
            "name an event, or give baselines of these metrics",
        )
    # Who was exposed was in no holdout; given units are those that the experiment gets.
    counts_everybody = exposed is None and (of is None or of.daily_units is None)
    holdouts = _holdouts(session, experiment) if counts_everybody else ()
    return Asked(
        plan,
        traffic / BUCKETS * prod(1 - each.share / BUCKETS for each in holdouts),
        past,
        None if of is None else of.daily_units,
        {
            key: None if key is None else sources.definition(sources.find(session, principal, key))
            for key in named or [None]
        },
        of_everybody=counts_everybody and experiment is not None and experiment.audience is not None,
        held_out=tuple(each.key for each in holdouts),
    )


def _enrolments(session: Session, principal: Principal, keys: Sequence[str]) -> tuple[Enrolment, ...]:
    """What shares of the units some experiments took, from when until when."""
    ramps = experiments.ramps_in(session, keys, principal.environment_id, principal.project_id)
    # Each one lasts until the next one of the same revision, the last one until that ends.
    return tuple(
        Enrolment(
            each.experiment,
            each.ramp.since,
            later.ramp.since
            if later is not None and later.ramp.revision_id == each.ramp.revision_id
            else each.ended_at,
            each.ramp.slots / BUCKETS,
        )
        for each, later in zip_longest(ramps, ramps[1:])
    )


def _holdouts(session: Session, experiment: Experiment | None) -> Sequence[Holdout]:
    """The holdouts of an experiment. Their salts are their own, so that their shares multiply."""
    return () if experiment is None else repository.holdouts_of(session, experiment.id or 0)


def _plan(session: Session, principal: Principal, payload: PowerIn, experiment: Experiment | None) -> Plan:
    given = payload.metrics
    if given is not None:
        pinned = metrics.pin(session, principal.project_id, given)
    elif experiment is not None:
        pinned = _metrics.validate_python(experiment.metrics)
    else:
        raise invalid("/metrics", "there is nothing to plan for: give metrics, or name an experiment")
    if len(pinned) > MAX_METRICS:
        raise invalid("/experiment", f"it has more than {MAX_METRICS} metrics; give those that decide")
    if payload.weights is not None or experiment is None:
        weights = payload.weights or [1, 1]
        variants = [
            PlannedVariant(key=f"arm-{i}" if i else "control", weight=weight, control=not i)
            for i, weight in enumerate(weights)
        ]
    else:
        variants = [
            PlannedVariant(key=arm["key"], weight=arm["weight"], control=arm["control"])
            for arm in experiment.arms
        ]
    if not all(variant.weight for variant in variants):
        raise invalid("/weights", "an arm without units can show nothing; give each a weight")
    design = payload.plan
    if design is None:
        design = PlanIn() if experiment is None else PlanIn.model_validate(experiment.plan)
    for key in design.targets.keys() - {metric.key for metric in pinned}:
        raise invalid(f"/plan/targets/{key}", f"there is no metric {key}")
    unit_type = payload.unit_type or ("user" if experiment is None else experiment.unit_type)
    try:
        return make_plan(
            design,
            starts_at=datetime.now(UTC),
            unit_type=unit_type,
            variants=variants,
            metrics=pinned,
        )
    except NoSuchEnd as error:
        raise invalid("/plan/horizon/date", str(error)) from None
    except ValidationError as error:
        raise invalid("/plan", error.errors()[0]["msg"]) from None


def _exposed(
    session: Session, principal: Principal, payload: PowerIn, experiment: Experiment | None
) -> tuple[str, ...] | None:
    """The experiments whose exposed units are meant; None where units with events are."""
    of = payload.traffic_of
    if of is not None and of.experiment is not None:
        return (experiment_service.find(session, principal, of.experiment).key,)
    if of is not None and of.flag is not None:
        flag = flags.find(session, principal, of.flag)
        return tuple(each.key for each in experiments.experiments_of_flag(session, flag.id or 0))
    if of is None and experiment is not None:
        siblings = experiments.experiments_of_flag(session, experiment.flag_id)
        started = [
            each.key
            for each in siblings
            if experiments.run_of(session, each.id or 0, principal.environment_id) is not None
        ]
        return tuple(started) or None
    return None


def invalid(pointer: str, message: str) -> InvalidPayload:
    """The error for one place of the request."""
    return InvalidPayload(
        f"The payload does not validate. {pointer}: {message}",
        errors=[{"pointer": pointer, "message": message}],
    )
