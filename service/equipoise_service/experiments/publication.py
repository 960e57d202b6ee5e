"""The experiments' part of the configuration document."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from equipoise_service.experiments import repository
from equipoise_service.experiments.lifecycle import Status
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.flags import repository as flags
from equipoise_service.flags.models import Flag
from equipoise_service.layers import repository as layers


@dataclass(frozen=True, slots=True)
class ExperimentDocuments:
    """What experiments add to an environment's document.

    Attributes:
        documents: The members of `experiments`, by key.
        rules: The rule of each experiment that its flag may serve, by the flag's id and the experiment's
            key, oldest experiment first.
    """

    documents: Mapping[str, dict[str, Any]]
    rules: Mapping[int, Mapping[str, dict[str, Any]]]


def experiment_documents(session: Session, project_id: int, environment_id: int) -> ExperimentDocuments:
    """The experiments of a project as an environment's document shows them."""
    runs = {run.experiment_id: run for run in repository.runs_of_environment(session, environment_id)}
    latest = repository.latest_revisions(session, environment_id)
    salts = layers.salts(session, project_id)
    by_id = {flag.id: flag for flag in flags.flags(session, project_id)}
    documents: dict[str, dict[str, Any]] = {}
    rules: dict[int, dict[str, dict[str, Any]]] = {}
    for experiment in repository.experiments(session, project_id):
        run = runs.get(experiment.id or 0)
        if run is not None and run.status == Status.ARCHIVED:
            continue
        revision = latest.get(run.id or 0) if run else None
        documents[experiment.key] = _document(
            experiment, by_id[experiment.flag_id], salts[experiment.layer_id], run, revision
        )
        rules.setdefault(experiment.flag_id, {})[experiment.key] = {"experiment": experiment.key}
    return ExperimentDocuments(documents, rules)


def _document(
    experiment: Experiment, flag: Flag, layer_salt: str, run: Run | None, revision: Revision | None
) -> dict[str, Any]:
    return {
        "status": run.status if run else Status.DRAFT,
        "unit_type": experiment.unit_type,
        "flag": flag.key,
        # The flag still knows variants that were taken out, and so do the exposures that still arrive.
        "variants": list(flag.values),
        "control": flag.default_variant,
        "layer_salt": layer_salt,
        "slots": revision.slots if revision else [],
        "revision": revision.number if revision else None,
        "salt": revision.salt if revision else None,
        "ranges": revision.ranges if revision else [],
    }
