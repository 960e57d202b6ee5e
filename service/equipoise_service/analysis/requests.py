"""What an analysis is asked for."""

from dataclasses import dataclass
from datetime import datetime

from equipoise_service.metrics.conditions import Condition
from equipoise_service.metrics.schemas import Aggregation, EventMeasure, MetricType


@dataclass(frozen=True, slots=True)
class Measure:
    """How the value of a unit comes about for one metric.

    Attributes:
        metric: The metric's key, distinct within a request.
        type: `proportion`: 1 for a unit with at least one such fact, else 0. `mean`: the facts aggregated,
            where a fact without a value adds nothing and a unit without facts counts as zero. `ratio`: that,
            and a denominator. `retention`: like a proportion. `count_distinct`: how many values there are.
        name: Name of the events, or of the column of a file.
        aggregation: Of a mean or a numerator; of a file only the sum.
        filters: Conditions that an event meets to be counted; of a file none.
        delay_hours: Events count from so long after the first exposure on.
        window_hours: Events count up to so long after the first exposure, exclusively; None without end.
        denominator: Of a ratio.
        distinct: Of a count of distinct values: the property whose values they are.
        winsorize: Quantile of all arms' values but zeros above which values are cut; None for no cut.
        pre_period_days: Days before the first exposure whose facts make covariates; None for none.
    """

    metric: str
    type: MetricType
    name: str
    aggregation: Aggregation = Aggregation.SUM
    filters: tuple[Condition, ...] = ()
    delay_hours: int = 0
    window_hours: int | None = None
    denominator: EventMeasure | None = None
    distinct: str | None = None
    winsorize: float | None = None
    pre_period_days: int | None = None

    @property
    def matures_after(self) -> int:
        """Hours from a unit's first exposure until all that is measured can have happened."""
        return self.delay_hours if self.window_hours is None else self.window_hours

    @property
    def is_count(self) -> bool:
        """Whether the units with the property are counted; otherwise moments are taken."""
        return self.type.is_share and self.pre_period_days is None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers that a unit has: y, d for a denominator, and these before the exposure."""
        measured = ("y",) if self.denominator is None else ("y", "d")
        before = tuple(f"{column}_before" for column in measured)
        return measured if self.pre_period_days is None else measured + before

    @property
    def cut_columns(self) -> tuple[str, ...]:
        """Those of them that are winsorized, each at its own quantile."""
        return () if self.winsorize is None else self.columns


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
