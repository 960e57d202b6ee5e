"""Estimates of which a test knows that they are there, and what they carry."""

from equipoise_stats import Estimate, NoEstimate


def known(estimate: Estimate | NoEstimate) -> Estimate:
    assert isinstance(estimate, Estimate)
    return estimate


def codes(estimate: Estimate | NoEstimate) -> list[str]:
    return [warning.code for warning in estimate.warnings]


def details(estimate: Estimate | NoEstimate) -> dict[str, float]:
    return {detail.name: detail.value for detail in estimate.details}
