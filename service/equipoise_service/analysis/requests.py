"""What an analysis is asked for."""

from dataclasses import dataclass
from datetime import datetime

from equipoise_service.metrics.measures import Measure


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """An analysis of one revision of an experiment from the event store.

    Attributes:
        place: Project and environment, `project/environment`.
        experiment: The experiment's key.
        revision: Number of the revision.
        unit_type: What is randomised.
        measures: What is measured.
        as_of: When it is analysed; units whose window has not passed by then are immature.
        left_out: Units that are not analysed whatever they met: people chose their variant, chance did not.
    """

    place: str
    experiment: str
    revision: int
    unit_type: str
    measures: tuple[Measure, ...]
    as_of: datetime
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileRequest:
    """An analysis of a file whose rows are exposures and facts at once.

    Attributes:
        unit: Column of the unit ids.
        variant: Column of the variants.
        time: Column of the times, where there is one that counts.
        measures: What is measured; each `name` is a column.
    """

    unit: str
    variant: str
    time: str | None
    measures: tuple[Measure, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the analysis reads, each once."""
        columns = [self.unit, self.variant, *([self.time] if self.time else [])]
        return tuple(dict.fromkeys([*columns, *(measure.name for measure in self.measures)]))
