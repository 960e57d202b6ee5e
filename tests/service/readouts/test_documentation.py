"""docs/reference/readout.md describes every member and status that a readout has."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.service.readouts.by_day import three_days
from tests.service.readouts.documents import (
    LOAD_TIME,
    PER_VIEW,
    PROVENANCE,
    bayesian_readout,
    converted,
    daily_readout,
    gap_readout,
    looked_readout,
    measured_readout,
    moments,
    plan,
    rich_readout,
    segmented_readout,
    spread_readout,
    statistics,
)
from tests.service.readouts.overlapping import overlapping_readout
from tests.service.readouts.repeated import numbers, repeated_readout
from tests.service.readouts.test_novelty import aged_readout, unfollowed_readout
from tests.service.readouts.test_quantile_days import quantile_readout
from tests.service.readouts.test_quantiles_and_funnels import readout as quantile_and_funnel
from tests.service.readouts.test_segments import late_readout
from tests.service.readouts.test_standing import newer_readout

from equipoise_service.analysis.statistics import NotFinite, Statistics
from equipoise_service.canonical import digest
from equipoise_service.metrics.conditions import Condition, Operator
from equipoise_service.metrics.schemas import (
    Aggregation,
    Covariate,
    Direction,
    EventMeasure,
    Metric,
    MetricType,
    Role,
)
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.population import BotRule, Conflicts, IdentityRule, PlannedSegment
from equipoise_service.plans.schemas import (
    Horizon,
    Looks,
    MarginScale,
    Method,
    Multiplicity,
    PlanIn,
    Prior,
    SpendingFunction,
    Target,
)
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.checks import Health
from equipoise_service.readouts.overlaps import Overlaps
from equipoise_service.readouts.recorded import SourceRead, TrafficStep
from equipoise_service.readouts.schemas import SCHEMA
from equipoise_stats import CheckStatus, DecisionOutcome, Moments

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
DOCUMENTED = set(re.findall(r"^\| `([^`]+)` \|", (REFERENCE / "readout.md").read_text(), re.MULTILINE))


# Members that several objects share are described once.
SHARED = (
    (r"^metrics\[\]\.between_treatments\[\]", "metrics[].comparisons[]"),
    (r"^segments\[\]\.parts\[\]\.arms\[\]\..*", "segments[].parts[].arms[]"),
    (
        r"^segments\[\]\.parts\[\]\.metrics\[\]\.comparisons\[\]\..*",
        "segments[].parts[].metrics[].comparisons[]",
    ),
    (r"^looks\[\]\.(fractions|units)\..*", r"looks[].\1.*"),
    (r"^looks\[\]\.alpha\.[^.]+\.", "looks[].alpha.*."),
    (r"^recommendation\.treatments\[\]\.reasons\[\]\..*", "recommendation.treatments[].reasons[]"),
    (r"^health\.[^.]+\.(status|reason|number|meaning|causes|action)$", r"health.*.\1"),
    (r"^by_day\.days\[\]\.units\..*", "by_day.days[].units.*"),
    (r"^stands_on\..*", "stands_on"),
    (r"^locked\.plan\..*", "locked.plan"),
    (r"^(.*\.parts)\.(numerator|denominator)\.", r"\1.*."),
    (r"^repeat\.decided\.effects\[\]\.(difference|lift)\..*", r"repeat.decided.effects[].\1"),
    (r"^repeat\.effects\[\]\.(then|now|change)\..*", r"repeat.effects[].\1"),
    (r"^health\.dropped_items\.reasons\..*", "health.dropped_items.reasons"),
    (r"^health\.bots\.arms\..*", "health.bots.arms.*"),
    (
        r"^health\.interactions\.overlaps\[\]\.parts\[\]\.arms\[\]\.metrics\[\]\.statistics\..*",
        "health.interactions.overlaps[].parts[].arms[].metrics[].statistics",
    ),
)


def named(path: str) -> str:
    """The name under which the documentation has a member."""
    for pattern, name in SHARED:
        path = re.sub(pattern, name, path)
    return path


def members(node: Any, path: str = "") -> Iterator[str]:
    """The path of every leaf, as the documentation writes it."""
    if isinstance(node, dict):
        for name, each in node.items():
            side = "*" if path.endswith(".statistics") and isinstance(each, dict) and "n" in each else name
            if side == "*":
                yield f"{path}.{name}"
            yield from members(each, f"{path}.{side}" if path else side)
    elif isinstance(node, list) and node and isinstance(node[0], dict):
        for each in node:
            yield from members(each, f"{path}[]")
    else:
        yield path


def adjusted_for_views() -> list[PlannedMetric]:
    views = Covariate(event="view", pre_period_days=14)
    condition = Condition(property="page", operator=Operator.EQUALS, value="shop")
    some = views.model_copy(update={"filters": (condition,)})
    named = {"load-time": views, "of-the-shop": some}
    return [LOAD_TIME.model_copy(update={"key": key, "covariate": of}) for key, of in named.items()]


def readouts() -> list[dict[str, Any]]:
    """Readouts in every state."""
    file = Statistics({}, 0, None, incomplete_rows=3)
    far = LOAD_TIME.model_copy(update={"source": "warehouse"})
    large = statistics(control={"load-time": moments(9, 5.0, 1.0)}, treatment={"load-time": NotFinite(9)})
    read = SourceRead(key="warehouse", digest=digest({}))
    ramped = TrafficStep(since="2026-03-01T12:30:00Z", traffic=0.1, seconds=86_400)
    views = Moments(9, ("y", "d"), (1.0, 0.0), ((2.0, 0.0), (0.0, 0.0)))
    pairs = [
        ((0, 1), (0, 1)),
        ((0, 50), (0, 50)),
        ((0, 500), (50, 500)),
        ((1, 500), (50, 500)),
        ((5, 50), (500, 5000)),
    ]
    return [
        rich_readout(),
        measured_readout(),
        looked_readout(),
        daily_readout(),
        segmented_readout(),
        late_readout(),
        spread_readout(),
        gap_readout(),
        overlapping_readout(),
        three_days(),
        quantile_readout(),
        quantile_and_funnel(),
        aged_readout(),
        unfollowed_readout(),
        bayesian_readout(),
        repeated_readout(),
        repeated_readout(then=numbers(0.1, 0.05, 0.15)),
        newer_readout(),
        converted((100, 1_000), (110, 1_000), method=Method.GROUP_SEQUENTIAL, horizon=Horizon(units=20_000)),
        build_readout(plan(LOAD_TIME), file, PROVENANCE),
        build_readout(plan(*adjusted_for_views()), file, PROVENANCE),
        build_readout(plan(far), file, replace(PROVENANCE, overlaps=Overlaps(1, None), sources=[read])),
        build_readout(plan(LOAD_TIME), large, PROVENANCE),
        build_readout(plan(LOAD_TIME), file, replace(PROVENANCE, steps=[ramped])),
        build_readout(plan(PER_VIEW), Statistics({}, 0, None), PROVENANCE),
        build_readout(
            plan(PER_VIEW), statistics(control={"per-view": views}, treatment={"per-view": views}), PROVENANCE
        ),
        *(converted(control, treatment) for control, treatment in pairs),
    ]


def test_every_member_is_documented_and_nothing_else() -> None:
    statuses = {status.value for status in CheckStatus} | found_statuses()
    objects = {"plan", "health.incomplete_rows", "metrics[].comparisons[].warnings"}
    objects |= {"health.interactions.overlaps", "digests", "sources"}
    found = {named(member) for readout in readouts() for member in members(readout)}
    assert found - DOCUMENTED == set()
    assert DOCUMENTED - found - statuses - objects == set()


def found_statuses() -> set[str]:
    return {
        comparison[effect]["status"]
        for readout in readouts()
        for metric in readout["metrics"]
        for comparison in metric["comparisons"]
        for effect in ("difference", "lift")
    }


def test_every_status_is_documented() -> None:
    expected = {
        "ok",
        "too_few_units",
        "no_variance",
        "control_not_positive",
        "unbounded",
        "not_finite",
        "denominator_not_positive",
    }
    assert found_statuses() == expected
    assert expected | {status.value for status in CheckStatus} <= DOCUMENTED


def test_the_schema_is_the_documented_one() -> None:
    assert f"`{SCHEMA}`" in (REFERENCE / "readout.md").read_text()


def test_plans_are_documented() -> None:
    text = (REFERENCE / "plans.md").read_text()
    models = (PlanIn, Horizon, Looks, Prior, Target, PlannedSegment, BotRule, IdentityRule)
    names = [name for model in models for name in model.model_fields]
    for name in [
        *names,
        *Method,
        *Multiplicity,
        *SpendingFunction,
        *MarginScale,
        *DecisionOutcome,
        *Conflicts,
    ]:
        assert f"`{name}`" in text
    for check in Health.model_fields:
        assert f"`{check}`" in text


def test_metrics_are_documented() -> None:
    text = (REFERENCE / "metrics.md").read_text()
    assert all(f"`{role}`" in (REFERENCE / "plans.md").read_text() for role in Role)
    names = [
        *Metric.model_fields,
        *EventMeasure.model_fields,
        *Covariate.model_fields,
        *MetricType,
        *Role,
        *Direction,
        *Aggregation,
    ]
    for name in [*names, *Condition.model_fields, *Operator]:
        assert f"`{name}`" in text
