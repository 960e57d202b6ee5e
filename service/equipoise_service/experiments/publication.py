"""The experiments' part of the configuration document."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session

from equipoise_service.experiments import repository
from equipoise_service.experiments.lifecycle import ENDED, Status
from equipoise_service.experiments.repository import Definition, State
from equipoise_service.holdouts import repository as holdouts
from equipoise_service.holdouts.publication import holdout_documents
from equipoise_service.layers import repository as layers

ARCHIVED_FOR = timedelta(days=30)
"""How long an archived experiment stays in the document, so that exposures that arrive late are taken."""

_DRAFT = State(0, Status.DRAFT, None, None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class ProjectExperiments:
    """What the documents of all environments of a project take from its experiments.

    Attributes:
        project_id: Whose experiments.
        definitions: Oldest first.
        layer_salts: By the layer's id.
        kept_out: The keys of the holdouts that an experiment names, by its id.
    """

    project_id: int
    definitions: Sequence[Definition]
    layer_salts: Mapping[int, str]
    kept_out: Mapping[int, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ExperimentDocuments:
    """What experiments add to an environment's document.

    Attributes:
        documents: The members of `experiments`, by key.
        rules: The rule of each experiment that its flag may serve, by the flag's id and the experiment's
            key, oldest experiment first.
        holdouts: The members of `holdouts`: those that an experiment names, by key.
    """

    documents: Mapping[str, dict[str, Any]]
    rules: Mapping[int, Mapping[str, dict[str, Any]]]
    holdouts: Mapping[str, dict[str, Any]]


def project_experiments(session: Session, project_id: int) -> ProjectExperiments:
    """Read what all environments of a project have in common: it is read once a write."""
    return ProjectExperiments(
        project_id,
        repository.definitions(session, project_id),
        layers.salts(session, project_id),
        holdouts.keys_by_experiment(session, project_id),
    )


def experiment_documents(
    session: Session, defined: ProjectExperiments, environment_id: int
) -> ExperimentDocuments:
    """The experiments of a project as an environment's document shows them."""
    states = repository.states(session, environment_id)
    archived_since = datetime.now(UTC) - ARCHIVED_FOR
    documents: dict[str, dict[str, Any]] = {}
    rules: dict[int, dict[str, dict[str, Any]]] = {}
    named: set[str] = set()
    for experiment in defined.definitions:
        state = states.get(experiment.id, _DRAFT)
        if _left(state, archived_since):
            continue
        keys = defined.kept_out.get(experiment.id, ())
        named.update(keys)
        documents[experiment.key] = _document(
            experiment, state, defined.layer_salts[experiment.layer_id], keys
        )
        if state.shipped is None or state.status == Status.HOLDING_BACK:
            # An archived experiment keeps its rule too, so that the flag made with it stays as long as it.
            rules.setdefault(experiment.flag_id, {})[experiment.key] = _rule(experiment)
    return ExperimentDocuments(documents, rules, holdout_documents(session, defined.project_id, named))


def _left(state: State, archived_since: datetime) -> bool:
    """Whether an experiment is no longer in the document. No exposure can arrive of one never started."""
    if state.status != Status.ARCHIVED:
        return False
    return state.revision is None or state.archived_at is None or state.archived_at < archived_since


def _rule(experiment: Definition) -> dict[str, Any]:
    rule: dict[str, Any] = {"experiment": experiment.key}
    if experiment.audience is not None:
        rule["audience"] = experiment.audience
    return rule


def _document(
    experiment: Definition, state: State, layer_salt: str, holdouts: Sequence[str]
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "status": _status(Status(state.status)),
        "unit_type": experiment.unit_type,
        "flag": experiment.flag,
        # Exposures of variants that were taken out still arrive.
        "variants": [*(arm["key"] for arm in experiment.arms), *experiment.retired],
        "control": next(arm["key"] for arm in experiment.arms if arm["control"]),
        "layer_salt": layer_salt,
        "slots": state.slots or [],
        "revision": state.revision,
        "salt": state.salt,
        "ranges": state.ranges or [],
    }
    if holdouts:
        document["holdouts"] = list(holdouts)
    if experiment.overrides:
        document["overrides"] = experiment.overrides
    # Who was in the control and is not held back gets what was shipped, whatever a client remembers.
    if experiment.sticky and state.status != Status.HOLDING_BACK:
        document["sticky"] = True
    return document


def _status(status: Status) -> Status:
    """The status as clients know it: an experiment that holds back assigns units as one that runs."""
    if status in ENDED:
        return Status.STOPPED
    return Status.RUNNING if status is Status.HOLDING_BACK else status
