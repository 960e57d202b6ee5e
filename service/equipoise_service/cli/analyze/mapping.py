"""Which columns of a file make which facts, as options say it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.importing.mapping import parse_event

if TYPE_CHECKING:
    from equipoise_service.analysis.requests import FileEvent, FileText
    from equipoise_service.metrics.schemas import Covariate, Definition
    from equipoise_service.plans.population import PlannedSegment


@dataclass(frozen=True, slots=True)
class Columns:
    """The options that say what the columns of a file mean, as they were typed.

    Attributes:
        unit: `--unit`.
        variant: `--variant`.
        time: `--time`.
        segments: `--segment`.
        covariates: `--covariate`.
        events: `--event`.
        properties: `--property`.
        arms: `--arm`.
    """

    unit: str | None
    variant: str | None
    time: str | None
    segments: tuple[str, ...]
    covariates: tuple[str, ...]
    events: tuple[str, ...]
    properties: tuple[str, ...]
    arms: tuple[str, ...]

    @property
    def given(self) -> bool:
        """Whether any of them was."""
        return any((self.unit, self.variant, self.time, self.segments, self.covariates)) or any(
            (self.events, self.properties, self.arms)
        )


def _parse_pair(option: str, text: str, *, separator: str = ":") -> tuple[str, str]:
    """Read `NAME: COLUMN`.

    Raises:
        Failure: It is none.
    """
    name, found, column = (part.strip() for part in text.partition(separator))
    if not (name and found and column):
        form = "NAME: COLUMN" if separator == ":" else "VARIANT=TEXT"
        raise Failure(f"{option} {text!r} cannot be read. Write '{form}'.")
    return name, column


def pairs(option: str, texts: Sequence[str], *, separator: str = ":") -> dict[str, str]:
    """Read several of them, each with a name of its own.

    Raises:
        Failure: One is none, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, column = _parse_pair(option, text, separator=separator)
        if name in found:
            raise Failure(f"{option} names {name!r} twice.")
        found[name] = column
    return found


def file_events(texts: Sequence[str]) -> "tuple[FileEvent, ...]":
    """The events that `--event` makes, in the form of `equipoise import`.

    Raises:
        Failure: One cannot be read, or a name is there twice.
    """
    from equipoise_service.analysis.requests import FileEvent

    events = [parse_event(text) for text in texts]
    if len({each.name for each in events}) != len(events):
        raise Failure("Each --event needs a name of its own: one name twice would count twice.")
    return tuple(FileEvent(each.name, each.column, each.has_value) for each in events)


def file_segments(texts: Sequence[str]) -> "tuple[list[PlannedSegment], tuple[FileText, ...]]":
    """The segments that `--segment` declares, and the events that have their values.

    Raises:
        Failure: One cannot be read, or its name is no key.
    """
    from pydantic import ValidationError

    from equipoise_service.analysis.file_facts import PROPERTY
    from equipoise_service.analysis.requests import FileText
    from equipoise_service.plans.population import PlannedSegment

    columns = pairs("--segment", [text if ":" in text else f"{text}: {text}" for text in texts])
    found = []
    for key in columns:
        try:
            found.append(PlannedSegment(key=key, event=key, property=PROPERTY))
        except ValidationError:
            raise Failure(
                f"--segment: {key!r} is no name of a segment, which has small letters, digits and . _ - "
                f"only. Write 'NAME: {key}'."
            ) from None
    return found, tuple(FileText(key, column) for key, column in columns.items())


def file_covariates(
    texts: Sequence[str], metrics: "Mapping[str, Definition]", names: Mapping[str, str]
) -> "tuple[set[str], tuple[FileEvent, ...]]":
    """Which metrics `--covariate` adjusts, and the events from before that it makes.

    Args:
        texts: The options.
        metrics: The metrics, by key.
        names: Of each, the name of its events, or of those of its covariate.

    Raises:
        Failure: One cannot be read, or there is no such metric, or it cannot be adjusted for a column.
    """
    from equipoise_service.analysis.requests import FileEvent
    from equipoise_service.metrics.schemas import Aggregation, MetricType

    found = pairs("--covariate", texts)
    for key in found:
        metric = metrics.get(key)
        if metric is None:
            raise Failure(f"--covariate names {key!r}; the metrics are: {', '.join(metrics)}.")
        if metric.covariate is not None:
            _require_column(key, metric.covariate)
            continue
        plain = not metric.filters and metric.aggregation is not Aggregation.COUNT
        if metric.type not in (MetricType.PROPORTION, MetricType.MEAN) or not plain:
            raise Failure(
                f"--covariate: {key} is no proportion, and no mean of values, without filters; a column says "
                "of these alone what they were before."
            )
    return set(found), tuple(
        FileEvent(names[key], column, metrics[key].covariate is not None or not metrics[key].type.is_share)
        for key, column in found.items()
    )


def _require_column(key: str, covariate: "Covariate") -> None:
    from equipoise_service.metrics.schemas import Aggregation

    counts = covariate.aggregation is Aggregation.COUNT or covariate.property is not None
    if counts or covariate.filters:
        raise Failure(
            f"--covariate: that of {key} counts, or has filters; a column says of a sum, a maximum or a last "
            f"value alone what it was before. Write --event '{covariate.event}: COLUMN' where the events are "
            "in the file."
        )
