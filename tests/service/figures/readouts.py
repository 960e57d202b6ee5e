"""Readouts for figures, reports and exports: a looked-at experiment with its history, and hostile names."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    START,
    WATERMARK,
    moments,
    plan,
    statistics,
)

from equipoise_service.analysis.segments import segment_label
from equipoise_service.analysis.statistics import ArmStatistics, SegmentStatistics, Statistics, StepCounts
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.looks import Look, next_look
from equipoise_service.plans.population import PlannedSegment
from equipoise_service.plans.schemas import Horizon, Looks, Method, Prior
from equipoise_service.readouts.building import build_readout, mature_units, statistics_digest
from equipoise_stats import Counts

HOSTILE = '"><script>alert(1)</script>{{`${7}`'


def watched(
    days: int = 6, lift: float = 0.1, seed: int = 3, second: Role = Role.GUARDRAIL
) -> list[dict[str, Any]]:
    """The readouts of daily looks at one experiment, the last one at the end; the second metric of a role."""
    generator = random.Random(seed)
    planned = plan(
        CONVERTED.model_copy(update={"mde": 0.05}),
        LOAD_TIME.model_copy(update={"role": second, "margin": 0.02 if second is Role.GUARDRAIL else None}),
        variants=("control", "new", "bold"),
        method=Method.GROUP_SEQUENTIAL,
        horizon=Horizon(units=60_000, days=28),
        looks=Looks(every_hours=24),
        tuning_units=30_000,
    )
    units, hits = [0, 0, 0], [0, 0, 0]
    looks: list[Look] = []
    readouts: list[dict[str, Any]] = []
    for day in range(1, days + 1):
        for i, share in enumerate((0.1, 0.1 * (1 + lift), 0.098)):
            more = round(generator.gauss(2_000, 40))
            units[i] += more
            hits[i] += round(generator.gauss(more * share, (more * share * (1 - share)) ** 0.5))
        arms: dict[str, Any] = {
            variant: {
                "converted": Counts(units[i], hits[i]),
                "load-time": moments(units[i], 812.5 - 3 * i, 90_000.0),
            }
            for i, variant in enumerate(("control", "new", "bold"))
        }
        found = statistics(**arms)
        now = START + timedelta(days=day)
        looks.append(
            next_look(
                planned,
                mature_units(planned, found),
                looks,
                statistics_digest=statistics_digest(planned, found),
                taken_at=now,
                started_at=START,
                ended_at=None,
            )
        )
        provenance = replace(PROVENANCE, started_at=START, generated_at=now)
        readouts.append(build_readout(planned, found, provenance, list(looks)))
    return readouts


def believed() -> dict[str, Any]:
    """A Bayesian plan with two metrics, at its end."""
    planned = plan(
        CONVERTED,
        CONVERTED.model_copy(update={"key": "signed-up"}),
        method=Method.BAYESIAN,
        horizon=Horizon(units=20_000),
        prior=Prior(mean=0.0, standard_deviation=0.1),
    )
    arms: dict[str, Any] = {
        variant: {"converted": Counts(10_000, bought), "signed-up": Counts(10_000, signed_up)}
        for variant, bought, signed_up in (("control", 1_000, 3_000), ("treatment", 1_070, 2_950))
    }
    return build_readout(planned, statistics(**arms), PROVENANCE)


def hostile() -> dict[str, Any]:
    """A readout in which every name that comes from outside tries to be more than a text."""
    metric = CONVERTED.model_copy(update={"key": HOSTILE})
    arms = {
        variant: ArmStatistics(n, {HOSTILE: Counts(n, hits)})
        for variant, n, hits in (("control", 900, 90), (HOSTILE, 910, 120))
    }
    values = [segment_label(value, others=False) for value in ("=1+1", HOSTILE)]
    parts = [
        SegmentStatistics(
            values[0], {name: ArmStatistics(500, {HOSTILE: Counts(500, 50)}) for name in arms}, 0
        ),
        SegmentStatistics(
            values[1],
            {
                "control": ArmStatistics(400, {HOSTILE: Counts(400, 40)}),
                HOSTILE: ArmStatistics(410, {HOSTILE: Counts(410, 70)}),
            },
            0,
        ),
    ]
    asked = plan(
        metric,
        variants=("control", HOSTILE),
        segments=[PlannedSegment(key="country", event="signed_up", property="country")],
    )
    found = Statistics(arms, 0, WATERMARK, segments={"country": parts})
    return build_readout(asked, found, replace(PROVENANCE, experiment=HOSTILE))


def funnelled() -> dict[str, Any]:
    """A readout with a funnel of three steps."""
    metric = PlannedMetric.model_validate(
        {
            "key": "bought",
            "type": "funnel",
            "role": "success",
            "direction": "increase",
            "event": "see",
            "steps": [{"event": "cart"}, {"event": "buy"}],
        }
    )
    reached = {"control": (600, 300, 90), "treatment": (610, 340, 140)}
    arms: dict[str, Any] = {
        variant: {"bought": StepCounts(1000, steps)} for variant, steps in reached.items()
    }
    return build_readout(plan(metric), statistics(**arms), PROVENANCE)
