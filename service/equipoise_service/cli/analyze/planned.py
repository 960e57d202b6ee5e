"""An analysis by the plan of an experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equipoise_service.cli.analyze.documents import read_experiment
from equipoise_service.cli.analyze.mapping import (
    Columns,
    file_covariates,
    file_events,
    file_segments,
    pairs,
)
from equipoise_service.cli.failures import Failure

if TYPE_CHECKING:
    from equipoise_service.analysis.requests import FileFacts
    from equipoise_service.experiments.schemas import ExperimentIn
    from equipoise_service.plans.documents import Plan
    from equipoise_service.readouts.ad_hoc import Moment
    from equipoise_service.readouts.schemas import Readout


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of an analysis by a plan, as they were typed.

    Attributes:
        experiment: `--experiment`.
        definitions: `--definitions`.
        revision: `--revision`.
        as_of: `--as-of`.
        ended: `--ended`.
        look: `--look`.
        earlier: `--earlier`.
    """

    experiment: Path
    definitions: tuple[Path, ...]
    revision: int
    as_of: str | None
    ended: bool
    look: bool
    earlier: tuple[Path, ...]


def planned_readout(
    file: Path | None, columns: Columns, asked: Asked
) -> "tuple[dict[str, Any], list[Readout]]":
    """The readout of an experiment, and those of its looks that were given.

    Args:
        file: The file; None: the sources that the metrics name.
        columns: What the file's columns mean.
        asked: What is asked of them.

    Raises:
        Failure: Something cannot be read, or does not fit together.
    """
    from rich.console import Console

    from equipoise_service.analysis.tabular import FileProblem
    from equipoise_service.errors import Conflict
    from equipoise_service.plans.looks import NotDue
    from equipoise_service.readouts.ad_hoc import (
        CannotBeRead,
        plan_of,
        readout_of_facts_in_file,
        readout_of_sources,
    )
    from equipoise_service.settings import load_settings

    found = read_experiment(asked.experiment, list(asked.definitions))
    body, facts = found.body, None
    if file is not None:
        body, facts = _of_file(body, columns)
    elif columns.given:
        raise Failure(
            "Columns are of a file, and none is named; a source's definition says what its columns are."
        )
    before = _earlier(asked.earlier)
    with Console(stderr=True).status(f"Analysing {file or 'the sources'}"):
        try:
            plan = plan_of(body)
            moment = _moment(asked, plan, before)
            if file is None or facts is None:
                seconds = load_settings().source_seconds
                return readout_of_sources(body, plan, found.sources, seconds, moment), before
            return readout_of_facts_in_file(file, facts, body, plan, moment), before
        except FileProblem as problem:
            raise Failure(str(problem)) from None
        except (CannotBeRead, NotDue, Conflict) as problem:
            said = str(problem).rstrip(".")
            raise Failure(f"{asked.experiment} cannot be read: {said[0].lower()}{said[1:]}.") from None
        except ValueError as problem:
            raise Failure(f"The plan in {asked.experiment} does not fit: {_first(problem)}.") from None


def _of_file(body: "ExperimentIn", columns: Columns) -> "tuple[ExperimentIn, FileFacts]":
    """The experiment with the segments and covariates of the options, and what the columns make."""
    from equipoise_service.analysis.requests import FileFacts
    from equipoise_service.metrics.stored import PinnedMetric

    if columns.variant is None:
        raise Failure("--variant names the column of the variants.")
    defined = {each.key: each for each in body.metrics if isinstance(each, PinnedMetric)}
    elsewhere = [key for key, metric in defined.items() if metric.source is not None]
    if elsewhere:
        raise Failure(
            f"{', '.join(elsewhere)} would be read from a source and not from the file: leave it out."
        )
    events = file_events(columns.events)
    segments, texts = file_segments(columns.segments)
    names = {
        key: metric.event if metric.covariate is None else metric.covariate.event
        for key, metric in defined.items()
    }
    adjusted, before = file_covariates(columns.covariates, defined, names)
    if len({each.name for each in before}) < len(before):
        raise Failure(
            "--covariate: two of the metrics are made of the same events, so that both would have both."
        )
    made = {each.name for each in events} | {each.name for each in texts}
    _require_events(body, made, {each.name for each in before})
    metrics = [
        each.model_copy(update={"pre_period_days": each.pre_period_days or 1})
        if isinstance(each, PinnedMetric) and each.key in adjusted and each.covariate is None
        else each
        for each in body.metrics
    ]
    plan = body.plan.model_copy(update={"segments": [*body.plan.segments, *segments]})
    arms = tuple((text, key) for key, text in pairs("--arm", columns.arms, separator="=").items())
    _require_arms(body, [key for _, key in arms])
    facts = FileFacts(
        columns.unit,
        columns.variant,
        columns.time,
        arms=arms,
        events=events,
        texts=texts,
        before=before,
        properties=columns.properties,
    )
    return body.model_copy(update={"metrics": metrics, "plan": plan}), facts


def _require_events(body: "ExperimentIn", made: set[str], before: set[str]) -> None:
    from equipoise_service.metrics.stored import PinnedMetric

    wanted: dict[str, str] = {}
    for metric in body.metrics:
        if isinstance(metric, PinnedMetric):
            others = [step.event for step in metric.steps]
            others += [metric.denominator.event] if metric.denominator is not None else []
            covariate = metric.covariate
            others += [covariate.event] if covariate is not None and covariate.event not in before else []
            wanted |= dict.fromkeys((metric.event, *others), f"the metric {metric.key}")
    wanted |= {each.event: f"the segment {each.key}" for each in body.plan.segments}
    for name, by in wanted.items():
        if name not in made:
            raise Failure(
                f"No --event makes {name!r}, which {by} is made of. Write --event '{name}: COLUMN', or "
                f"'{name}: value(COLUMN)' where it has a value."
            )


def _require_arms(body: "ExperimentIn", keys: Sequence[str]) -> None:
    known = [each.key for each in body.variants]
    for key in keys:
        if key not in known:
            raise Failure(f"--arm names {key!r}; the variants are: {', '.join(known)}.")


def _earlier(files: Sequence[Path]) -> "list[Readout]":
    from equipoise_service.readouts.reading import NotAReadout, read_document, readout_of

    try:
        found = [readout_of(read_document(each)) for each in files]
    except NotAReadout as problem:
        raise Failure(str(problem)) from None
    return sorted(found, key=lambda each: each.generated_at)


def _moment(asked: Asked, plan: "Plan", before: "Sequence[Readout]") -> "Moment":
    from equipoise_service.canonical import digest
    from equipoise_service.readouts.ad_hoc import Moment

    looks, started_at = [], None
    if before:
        last = max(before, key=lambda each: len(each.looks))
        if last.plan_digest != digest(plan.document):
            raise Failure("--earlier: the readout is of another plan, so its looks are no looks of this one.")
        looks = list(last.looks)
        started_at = None if last.started_at is None else datetime.fromisoformat(last.started_at)
    return Moment(
        at=None if asked.as_of is None else _time(asked.as_of),
        ended=asked.ended,
        look=asked.look,
        looks=looks,
        started_at=started_at,
        revision=asked.revision,
    )


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Failure(f"--as-of {text}: this is no time. Write it as 2026-01-31T12:00:00Z.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _first(problem: ValueError) -> str:
    from pydantic import ValidationError

    said = problem.errors()[0]["msg"] if isinstance(problem, ValidationError) else str(problem)
    return said.removeprefix("Value error, ").rstrip(".")
