"""The plans that follow a decision: a holdback is watched, and what was decided on is asked again, twice."""

from collections.abc import Mapping
from typing import Any

from equipoise_service.plans.documents import Plan
from equipoise_service.plans.schemas import Method, Multiplicity

REPEATED_AFTER_DAYS = (30, 90)
"""How many days after a ship its readout is repeated, where units are held back."""


def monitored(plan: Plan, weights: Mapping[str, int]) -> Plan:
    """The plan of a holdback: the same metrics and levels, valid at any moment, with no end.

    It has no covariates: the days before are those of the experiment, when the arms were treated differently,
    and what a treatment moved must not be adjusted for.

    Args:
        plan: What was planned before.
        weights: The share of the control that is held back, and of the variant that everybody else gets.
    """
    members = plan.model_dump(mode="json")
    if plan.multiplicity is Multiplicity.DUNNETT:
        # One treatment is left, and Dunnett's correction is none for it.
        members["multiplicity"] = Multiplicity.HOLM
    return _with(
        members,
        variants=[
            {"key": key, "weight": weight, "control": key == plan.control} for key, weight in weights.items()
        ],
        metrics=[{**metric, "pre_period_days": None, "covariate": None} for metric in members["metrics"]],
        method=Method.CONFIDENCE_SEQUENCE,
        horizon=None,
        looks=None,
        prior=None,
    )


def repeated(plan: Plan, days: int) -> Plan:
    """The plan of a repeated readout: one analysis, so many days after the ship.

    Args:
        plan: The plan of the holdback.
        days: When.
    """
    horizon = {"units": None, "days": days}
    return _with(plan.model_dump(mode="json"), method=Method.FIXED_HORIZON, horizon=horizon)


def _with(members: dict[str, Any], **others: Any) -> Plan:
    return Plan.model_validate({**members, **others}).complete()
