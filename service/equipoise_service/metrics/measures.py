"""What is measured of each unit for one metric."""

from dataclasses import dataclass

from equipoise_service.metrics.conditions import Condition
from equipoise_service.metrics.schemas import Aggregation, Covariate, EventMeasure, Level, MetricType, Step


@dataclass(frozen=True, slots=True)
class Measure:
    """How the value of a unit comes about for one metric.

    Attributes:
        metric: The metric's key, distinct within a request.
        type: `proportion`: 1 for a unit with at least one such fact, else 0. `mean`: the facts aggregated,
            where a fact without a value adds nothing and a unit without facts counts as zero. `ratio`: that,
            and a denominator. `retention`: like a proportion. `count_distinct`: how many values there are.
            `quantile`: no moments, but values found by their rank. `funnel`: a proportion a step.
        name: Name of the events, or of the column of a file.
        aggregation: Of a mean or a numerator; of a file only the sum.
        filters: Conditions that an event meets to be counted; of a file none.
        delay_hours: Events count from so long after the first exposure on.
        window_hours: Events count up to so long after the first exposure, exclusively; None without end.
        denominator: Of a ratio.
        distinct: Of a count of distinct values: the property whose values they are.
        winsorize: Quantile of all arms' values but zeros above which values are cut; None for no cut.
        pre_period_days: Days before the first exposure whose facts, aggregated the same way, are covariates;
            None for none.
        covariate: Another number from before the first exposure that is the covariate; None for none.
        quantile: Of a quantile: which one, to six decimals.
        level: Of a quantile: whether of events or of units.
        steps: Of a funnel: those after the first one.
        within_hours: Of a funnel: from the first step to before which moment the others count; None for none.
        ages: Into how many equal parts the window is cut, each with a number of its own: of a proportion or a
            mean without a delay, a cut or a pre-period; 0 for one number of the whole.
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
    covariate: Covariate | None = None
    quantile: float | None = None
    level: Level | None = None
    steps: tuple[Step, ...] = ()
    within_hours: int | None = None
    ages: int = 0

    @property
    def matures_after(self) -> int:
        """Hours from a unit's first exposure until all that is measured can have happened."""
        return self.delay_hours if self.window_hours is None else self.window_hours

    @property
    def is_count(self) -> bool:
        """Whether the units with the property are counted; otherwise moments are taken."""
        return self.type.is_share and self.days_before is None and not self.ages

    @property
    def days_before(self) -> int | None:
        """How many days before the first exposure make covariates; None where none do."""
        return self.pre_period_days if self.covariate is None else self.covariate.pre_period_days

    @property
    def is_funnel(self) -> bool:
        """Whether the units are counted that reached each of several steps."""
        return self.type is MetricType.FUNNEL

    @property
    def is_aggregate(self) -> bool:
        """Whether each unit's events become one number of it, or several."""
        return not self.is_funnel and self.level is not Level.EVENT

    @property
    def has_moments(self) -> bool:
        """Whether moments of the units' numbers are taken."""
        return self.is_aggregate and not self.is_count and self.quantile is None

    @property
    def has_third(self) -> bool:
        """Whether third moments are taken too: of ages there would be too many, and nobody asks for them."""
        return self.has_moments and not self.ages

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a unit's numbers: y, d for a denominator, and covariates; or those of ages.

        The covariates are both before the exposure, or where another is named the one that it is.
        """
        if self.ages:
            return tuple(f"a{age}" for age in range(self.ages))
        measured = ("y",) if self.denominator is None else ("y", "d")
        if self.days_before is None:
            return measured
        adjusted = measured if self.covariate is None else ("y",)
        return measured + tuple(f"{column}_before" for column in adjusted)

    @property
    def cut_columns(self) -> tuple[str, ...]:
        """Those of them that are winsorized, each at its own quantile."""
        return () if self.winsorize is None else self.columns
