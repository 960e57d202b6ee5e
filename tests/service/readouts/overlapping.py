"""A readout of an experiment whose units are in others too."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tests.service.readouts.documents import CONVERTED, PROVENANCE, START, WATERMARK, moments, plan

from equipoise_service.analysis.overlaps import Overlap
from equipoise_service.analysis.statistics import ArmStatistics, SegmentStatistics, Statistics
from equipoise_service.metrics.schemas import MetricType, Role
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.building import build_readout
from equipoise_service.readouts.overlaps import Overlaps
from equipoise_stats import Counts

SPENT = CONVERTED.model_copy(update={"key": "spent", "type": MetricType.MEAN, "window_hours": 24})
EFFECTS = {("banner", "off"): (40, 70), ("banner", "on"): (45, 20), ("search", "a"): (30, 44)}
"""For each other experiment and variant of it, how many of 400 units of control and treatment converted."""


def overlapping_readout(
    effects: Mapping[tuple[str, str], tuple[int, int]] = MappingProxyType(EFFECTS),
    units: Mapping[tuple[str, str], tuple[int, int]] = MappingProxyType({}),
    role: Role = Role.SUCCESS,
    held: Sequence[str] = ("converted", "spent"),
    **more: Any,
) -> dict[str, Any]:
    """A readout of an experiment whose units are in others too.

    Args:
        effects: For each other experiment and variant of it, how many units of each arm converted.
        units: How many units there are, where it is not 400 of each arm; 10 of each are immature for a mean.
        role: Of the mean.
        held: The metrics that the overlaps have values of.
        more: Of the plan.
    """
    overlaps: dict[str, list[SegmentStatistics]] = {}
    for key, converted_units in effects.items():
        arms = {
            variant: ArmStatistics(
                n,
                {
                    key: value
                    for key, value in (
                        ("converted", Counts(n, successes)),
                        ("spent", moments(n - 10, 5.0 + successes / n, 3.5)),
                    )
                    if key in held
                },
                {"spent": 10},
            )
            for variant, n, successes in zip(
                ("control", "treatment"), units.get(key, (400, 400)), converted_units, strict=True
            )
        }
        overlaps.setdefault(key[0], []).append(SegmentStatistics(key[1], arms, 0))
    whole = {
        variant: ArmStatistics(
            n, {"converted": Counts(n, n // 10), "spent": moments(n - 30, 5.25, 3.25)}, {"spent": 30}
        )
        for variant, n in (("control", 1_000), ("treatment", 1_010))
    }
    found = tuple(Overlap(key, parts) for key, parts in overlaps.items())
    planned = plan(CONVERTED, SPENT.model_copy(update={"role": role}), **more)
    provenance = replace(PROVENANCE, overlaps=Overlaps(4, found))
    if planned.method is Method.CONFIDENCE_SEQUENCE:
        provenance = replace(provenance, started_at=START, asked_at=PROVENANCE.generated_at)
    return build_readout(planned, Statistics(whole, 0, WATERMARK), provenance)
