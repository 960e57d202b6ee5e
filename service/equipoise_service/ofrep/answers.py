"""Assignments as OFREP has them."""

from equipoise import Assignment, Configuration, Reason, evaluate
from equipoise_service.evaluation.configurations import Served
from equipoise_service.ofrep.contexts import Context
from equipoise_service.ofrep.failures import FailureOut
from equipoise_service.ofrep.schemas import EvaluationOut


def evaluation(configuration: Configuration, flag: str, context: Context) -> EvaluationOut | FailureOut:
    """What a flag of the configuration gives to the unit of a context."""
    assignment = evaluate(configuration, flag, context.unit, attributes=context.attributes)
    if assignment.reason is Reason.ERROR:
        return FailureOut("GENERAL", f"The flag {flag} cannot be evaluated for this unit.", flag)
    return EvaluationOut(
        key=flag,
        value=assignment.value,
        variant=assignment.variant,
        reason=assignment.reason,
        metadata=_metadata(configuration, assignment),
    )


def set_metadata(configuration: Configuration) -> dict[str, str | int | bool]:
    """What all evaluations by a configuration have in common."""
    return {
        "flagSetId": f"{configuration.project}/{configuration.environment}",
        "version": configuration.version,
    }


def _metadata(configuration: Configuration, assignment: Assignment[object]) -> dict[str, str | int | bool]:
    metadata = set_metadata(configuration)
    experiment, revision = assignment.experiment, assignment.revision
    metadata["inExperiment"] = experiment is not None
    if experiment is not None and revision is not None:
        metadata["experiment"] = experiment
        metadata["revision"] = revision
    return metadata


def all_evaluations(served: Served, context: Context) -> list[EvaluationOut | FailureOut]:
    """What every flag gives to the unit of a context, in the order of the document."""
    return [evaluation(served.configuration, flag, context) for flag in served.configuration.flags]
