"""An experiment as the service takes it, from a file, with the definitions that it names."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise_service.cli.failures import Failure

if TYPE_CHECKING:
    from equipoise_service.experiments.schemas import ExperimentIn
    from equipoise_service.sources.schemas import SourceIn


@dataclass(frozen=True, slots=True)
class Asked:
    """What documents ask for.

    Attributes:
        body: The experiment, whose metrics are all defined in it.
        sources: Sources by their keys.
    """

    body: "ExperimentIn"
    sources: "dict[str, SourceIn]"


def read_experiment(path: Path, definitions: list[Path]) -> Asked:
    """Read an experiment and what it names.

    Args:
        path: A body of `POST /v1/experiments`, or an answer of `GET /v1/experiments/KEY`; YAML or JSON.
        definitions: Files as `equipoise apply` reads them, with stored metrics and sources.

    Raises:
        Failure: Something cannot be read, is not valid, or is not there.
    """
    from pydantic import ValidationError

    from equipoise_service.cli.definitions.files import read_documents, read_files
    from equipoise_service.experiments.schemas import ExperimentIn, ExperimentOut
    from equipoise_service.sources.schemas import SourceIn

    found = list(read_documents(path))
    if len(found) != 1 or not isinstance(found[0], dict):
        raise Failure(f"{path} holds {len(found)} documents; an experiment is one, and a mapping.")
    answers = ExperimentOut.model_fields.keys() - ExperimentIn.model_fields.keys()
    given = {name: value for name, value in found[0].items() if name not in answers}
    known = read_files(definitions)
    given["metrics"] = [_defined(each, known["metric"]) for each in _list(given.get("metrics"))]
    try:
        body = ExperimentIn.model_validate(given)
    except ValidationError as error:
        places = [f"/{'/'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5]]
        raise Failure(
            f"{path} is no experiment as POST /v1/experiments takes it. {'; '.join(places)}."
        ) from None
    return Asked(body, {key: SourceIn.model_validate(each) for key, each in known["source"].items()})


def _list(metrics: Any) -> list[Any]:
    return metrics if isinstance(metrics, list) else []


def _defined(metric: Any, known: dict[str, dict[str, Any]]) -> Any:
    """A metric, in the place of its key where a definition is given."""
    if not isinstance(metric, dict) or metric.get("metric") not in known:
        return metric
    definition = known[metric["metric"]]
    role = {"role": metric["role"]} if metric.get("role") else {}
    return {name: value for name, value in definition.items() if name not in ("name", "description")} | role
