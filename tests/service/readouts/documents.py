"""Plans, statistics and readouts for the tests."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from equipoise_service.analysis.segments import NO_VALUE, OTHER, segment_label
from equipoise_service.analysis.spreading import ArmSpread, Distribution
from equipoise_service.analysis.statistics import (
    ArmStatistics,
    ArmValues,
    Joined,
    SegmentStatistics,
    Statistics,
)
from equipoise_service.canonical import digest
from equipoise_service.metrics.schemas import Direction, MetricType, Role
from equipoise_service.plans.documents import Plan, PlannedMetric, PlannedVariant
from equipoise_service.plans.looks import Look, alpha_spent, next_look
from equipoise_service.plans.population import BotRule, IdentityRule, PlannedSegment
from equipoise_service.plans.schemas import Horizon, Looks, Method, Prior
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_service.readouts.checks import ExposureDay
from equipoise_service.readouts.losses import Arrivals, Dropped
from equipoise_service.readouts.provenance import Provenance
from equipoise_service.readouts.recomputed import Recomputation
from equipoise_service.readouts.recorded import Deviation, Locked
from equipoise_service.readouts.sealing import sealed
from equipoise_service.recomputation.drawn import Recomputed
from equipoise_stats import Counts, Moments

CONVERTED = PlannedMetric(
    key="converted",
    type=MetricType.PROPORTION,
    role=Role.SUCCESS,
    direction=Direction.INCREASE,
    event="converted",
)
LOAD_TIME = PlannedMetric(
    key="load-time", type=MetricType.MEAN, role=Role.GUARDRAIL, direction=Direction.DECREASE, event="page"
)
PER_VIEW = PlannedMetric.model_validate(
    {
        "key": "per-view",
        "type": "ratio",
        "role": "success",
        "direction": "increase",
        "event": "buy",
        "denominator": {"event": "view", "aggregation": "count"},
    }
)
PROVENANCE = Provenance("new-landing-page", 1, datetime(2026, 3, 8, 12, 30, tzinfo=UTC))
START = datetime(2026, 2, 22, 12, 30, tzinfo=UTC)
WATERMARK = datetime(2026, 3, 8, 12, 29, 59, 250_000, tzinfo=UTC)


def plan(*metrics: PlannedMetric, variants: tuple[str, ...] = ("control", "treatment"), **more: Any) -> Plan:
    """A plan with equal weights, whose first variant is the control."""
    return Plan(
        unit_type="user",
        variants=[
            PlannedVariant(key=key, weight=10_000 // len(variants), control=index == 0)
            for index, key in enumerate(variants)
        ],
        metrics=list(metrics),
        **more,
    ).complete()


def statistics(crossovers: int = 0, **arms: dict[str, ArmValues]) -> Statistics:
    """Statistics of arms, each given as the values of its metrics."""
    return Statistics(
        {
            variant: ArmStatistics(next(iter(values.values())).n, values) if values else ArmStatistics(0, {})
            for variant, values in arms.items()
        },
        crossovers,
        WATERMARK,
    )


def seal(readout: dict[str, Any]) -> None:
    """Write fitting digests into an edited readout, as somebody would who knows how."""
    readout.update(sealed(readout))


def spread_readout(halvings: int = 2) -> dict[str, Any]:
    """A readout with values in bins, most of them zero, of a sample where the units are halved."""
    drawn = 1_000 >> halvings
    arms = {
        variant: ArmSpread(drawn, (20 + more, 30, 10))
        for more, variant in enumerate(("control", "treatment"))
    }
    found = replace(
        statistics(
            control={"load-time": moments(1_000, 6.5, 750.0)},
            treatment={"load-time": moments(1_000, 6.5, 750.0)},
        ),
        distributions={"load-time": Distribution(halvings, (100.0, 200.0), arms)},
        cuts={"load-time": {"y": 150.0}},
    )
    metric = LOAD_TIME.model_copy(update={"winsorize": 0.99})
    return build_readout(plan(metric), found, PROVENANCE)


def gap_readout() -> dict[str, Any]:
    """A readout that lacks the exposures of one day, the sixth of ten from 2026-03-03 on."""
    days = [ExposureDay(day=f"2026-03-{3 + i:02}", exposures=200 * (i != 5), events=900) for i in range(10)]
    found = statistics(control={"converted": Counts(1_000, 100)}, treatment={"converted": Counts(1_000, 110)})
    return build_readout(plan(CONVERTED), found, replace(PROVENANCE, arrivals=Arrivals(2_000, 0, days)))


def moments(n: int, mean: float, variance: float) -> Moments:
    """Moments of a metric that is a mean."""
    return Moments.scalar(n, mean, variance)


def converted(control: tuple[int, int], treatment: tuple[int, int], **more: Any) -> dict[str, Any]:
    """The readout of successes and units in two arms."""
    found = statistics(
        more.pop("crossovers", 0),
        control={"converted": Counts(control[1], control[0])},
        treatment={"converted": Counts(treatment[1], treatment[0])},
    )
    return build_readout(plan(CONVERTED, **more), found, PROVENANCE)


def measured_readout() -> dict[str, Any]:
    """A readout of metrics with every setting that a definition has, where some units are immature."""
    condition = {"property": "plan", "operator": "in", "value": ["pro", 2, True]}
    metrics = [
        PlannedMetric.model_validate({"role": "success", "direction": "increase", "event": "buy"} | each)
        for each in (
            {
                "key": "spent-later",
                "type": "mean",
                "aggregation": "last",
                "filters": [condition],
                "delay_hours": 24,
                "window_hours": 72,
            },
            {
                "key": "per-view",
                "type": "ratio",
                "denominator": {"event": "view", "aggregation": "count", "filters": [condition]},
            },
            {"key": "capped", "type": "mean", "winsorize": 0.999, "pre_period_days": 14},
            {
                "key": "per-view-capped",
                "type": "ratio",
                "denominator": {"event": "view", "aggregation": "count"},
                "winsorize": 0.99,
            },
        )
    ]
    control = {
        "spent-later": moments(970, 5.0, 4.0),
        "per-view": Moments(1000, ("y", "d"), (2.0, 8.0), ((4000.0, 6000.0), (6000.0, 25000.0))),
        "capped": Moments(1000, ("y", "y_before"), (10.0, 8.0), ((4000.0, 3000.0), (3000.0, 4100.0))),
        "per-view-capped": Moments(1000, ("y", "d"), (1.9, 7.5), ((2000.0, 3000.0), (3000.0, 9000.0))),
    }
    treatment = {
        "spent-later": moments(990, 5.5, 4.5),
        "per-view": Moments(1001, ("y", "d"), (2.25, 8.125), ((4100.0, 6100.0), (6100.0, 25100.0))),
        "capped": Moments(1001, ("y", "y_before"), (10.3, 8.1), ((4200.0, 3100.0), (3100.0, 4000.0))),
        "per-view-capped": Moments(1001, ("y", "d"), (2.1, 7.625), ((2100.0, 3100.0), (3100.0, 9100.0))),
    }
    found = Statistics(
        {
            "control": ArmStatistics(1000, control, {"spent-later": 30}, {"capped": 4, "per-view-capped": 9}),
            "treatment": ArmStatistics(
                1001, treatment, {"spent-later": 11}, {"capped": 7, "per-view-capped": 8}
            ),
        },
        0,
        WATERMARK,
        cuts={"capped": {"y": 250.0, "y_before": 200.0}, "per-view-capped": {"y": 30.0, "d": 90.0}},
    )
    return build_readout(plan(*metrics), found, PROVENANCE)


def looked_readout() -> dict[str, Any]:
    """The second look of a group-sequential plan with every role, changed once after its start."""
    metrics = [
        CONVERTED.model_copy(update={"mde": 0.1}),
        LOAD_TIME.model_copy(update={"margin": 0.02}),
        LOAD_TIME.model_copy(update={"key": "errors", "role": Role.DETERIORATION}),
        LOAD_TIME.model_copy(update={"key": "logged", "role": Role.QUALITY}),
    ]
    planned = plan(
        *metrics,
        method=Method.GROUP_SEQUENTIAL,
        horizon=Horizon(units=30_000, days=28),
        looks=Looks(every_hours=168),
        tuning_units=15_000,
    )
    values = [(10_000, 1_000, 812.5), (10_050, 1_150, 801.25)]
    arms: list[dict[str, ArmValues]] = [
        {
            "converted": Counts(n, successes),
            "load-time": moments(n, mean, 90_000.0),
            "errors": moments(n, 1.0, 1.5),
            "logged": moments(n, 5.0, 2.0),
        }
        for n, successes, mean in values
    ]
    found = statistics(control=arms[0], treatment=arms[1])
    first = Look(
        number=1,
        taken_at="2026-03-01T12:00:00Z",
        fractions={"converted": 0.3},
        final=False,
        spent=0.0,
        statistics_digest="sha256:" + "0" * 64,
    )
    first = first.model_copy(update={"spent": alpha_spent(planned, [first])})
    second = next_look(
        planned,
        mature_units(planned, found),
        [first],
        statistics_digest=statistics_digest(planned, found),
        taken_at=PROVENANCE.generated_at,
        started_at=START,
        ended_at=None,
    )
    deviation = Deviation(
        at="2026-02-25T12:00:00Z",
        by="0123456789abcdef",
        reason="Half of the traffic went away.",
        changed=["/horizon/units"],
        digest=digest(planned.model_dump(mode="json")),
    )
    provenance = replace(
        PROVENANCE,
        started_at=START,
        traffic=0.5,
        locked=Locked(at="2026-02-22T12:30:00Z", digest="sha256:" + "1" * 64),
        deviations=[deviation],
        dropped=Dropped({"queue_full": 3, "closed": 0}, received=40_000),
        recomputed=Recomputation(Recomputed(3, 8_000, 40)),
    )
    return build_readout(planned, found, provenance, [first, second])


def daily_readout(
    days: Sequence[float] = (3.0, 7.0, 14.0), *, ended_at: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """The last look of a plan with a horizon of 14 days and no number of units, taken after so many days."""
    settings: dict[str, Any] = {
        "horizon": Horizon(days=14),
        "looks": Looks(every_hours=72),
        "tuning_units": 5_000,
    } | more
    planned = plan(CONVERTED, method=Method.GROUP_SEQUENTIAL, **settings)
    looks: list[Look] = []
    for k, day in enumerate(days, 1):
        n = 800 * k**2
        found = statistics(
            control={"converted": Counts(n, n // 10)}, treatment={"converted": Counts(n, n // 10 + n // 50)}
        )
        now = START + timedelta(days=day)
        looks.append(
            next_look(
                planned,
                mature_units(planned, found),
                looks,
                statistics_digest=statistics_digest(planned, found),
                taken_at=now,
                started_at=START,
                ended_at=ended_at if day == days[-1] else None,
            )
        )
    provenance = replace(PROVENANCE, started_at=START, generated_at=now, ended_at=ended_at)
    return build_readout(planned, found, provenance, looks)


def bayesian_readout() -> dict[str, Any]:
    """A Bayesian plan at its end."""
    prior = Prior(mean=0.0, standard_deviation=0.1)
    return converted(
        (1_000, 10_000), (1_150, 10_000), method=Method.BAYESIAN, prior=prior, horizon=Horizon(units=20_000)
    )


def rich_readout() -> dict[str, Any]:
    """A readout with several arms and metrics, a crossover warning, and a comparison without a number."""
    found = statistics(
        57,
        control={"converted": Counts(10_000, 1_000), "load-time": moments(10_000, 812.5, 90_000.0)},
        a={"converted": Counts(10_050, 1_150), "load-time": moments(10_050, 801.25, 90_500.0)},
        b={"converted": Counts(9_961, 3), "load-time": moments(9_961, 0.0, 0.0)},
    )
    return build_readout(plan(CONVERTED, LOAD_TIME, variants=("control", "a", "b")), found, PROVENANCE)


def segmented_readout() -> dict[str, Any]:
    """A readout with segments, bots and joined units."""

    def arms(control: tuple[int, int], treatment: tuple[int, int]) -> dict[str, ArmStatistics]:
        both = {"control": Counts(*control), "treatment": Counts(*treatment)}
        return {variant: ArmStatistics(found.n, {"converted": found}) for variant, found in both.items()}

    found = Statistics(
        arms((900, 90), (910, 120)),
        5,
        WATERMARK,
        segments={
            "country": [
                SegmentStatistics(segment_label("DE", others=False), arms((500, 50), (500, 80)), 3),
                SegmentStatistics(OTHER, arms((300, 30), (300, 30)), 2),
                SegmentStatistics(NO_VALUE, arms((100, 10), (110, 10)), 0),
            ]
        },
        overridden=4,
        bots=7,
        bots_by_arm={"control": 3, "treatment": 4},
        joined=Joined(anonymous=300, joined=200, conflicts=12, left_out=2, crossovers=1),
    )
    asked = plan(
        CONVERTED,
        segments=[PlannedSegment(key="country", event="signed_up", property="country")],
        bots=BotRule(most_events=5_000),
        identity=IdentityRule(anonymous="device", event="login", property="user_id"),
    )
    return build_readout(asked, found, PROVENANCE)


def viewless_readout() -> dict[str, Any]:
    """A readout of a ratio, where no unit of one arm in one part of a segment has anything to divide by."""

    def views(n: int, buys: float, viewed: float) -> Moments:
        spread = n * viewed
        return Moments(n, ("y", "d"), (buys, viewed), ((spread / 2, spread / 4), (spread / 4, spread)))

    def arms(control: Moments, treatment: Moments) -> dict[str, ArmStatistics]:
        both = {"control": control, "treatment": treatment}
        return {variant: ArmStatistics(found.n, {"per-view": found}) for variant, found in both.items()}

    parts = [
        SegmentStatistics(
            segment_label("DE", others=False), arms(views(500, 2.0, 8.0), views(510, 2.25, 8.125)), 0
        ),
        SegmentStatistics(NO_VALUE, arms(views(3, 0.0, 0.0), views(2, 0.5, 2.0)), 0),
    ]
    whole = arms(views(503, 1.99, 7.95), views(512, 2.24, 8.1))
    found = Statistics(whole, 0, WATERMARK, segments={"country": parts})
    segment = PlannedSegment(key="country", event="signed_up", property="country")
    return build_readout(plan(PER_VIEW, segments=[segment]), found, PROVENANCE)
