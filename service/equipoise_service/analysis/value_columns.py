"""What a column of values is made of; the same for two metrics is worked out once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from equipoise_service.metrics.conditions import Condition
from equipoise_service.metrics.measures import Measure
from equipoise_service.metrics.schemas import Aggregation, Covariate


@dataclass(frozen=True, slots=True)
class Ingredient:
    """These events, aggregated so, in this span of hours from the first exposure.

    Attributes:
        name: Name of the events.
        filters: Conditions that they meet.
        aggregation: How they are aggregated; None: whether there is any.
        distinct: The property whose values are counted, instead of an aggregation.
        start: When the span begins, in hours; below 0 before the exposure.
        end: When it ends, exclusively; None for no end.
    """

    name: str
    filters: tuple[Condition, ...]
    aggregation: Aggregation | None
    distinct: str | None
    start: int
    end: int | None

    @property
    def events(self) -> tuple[str, ...]:
        """Which events they are, by what tells two such sets apart."""
        # As texts, because to Python 1.0 and True are equal.
        return (self.name, *(condition.model_dump_json() for condition in self.filters))

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two that give the same values."""
        return (*self.of_any_span, self.start, self.end)

    @property
    def of_any_span(self) -> tuple[object, ...]:
        """Equal for two that differ in their spans at most."""
        return (self.events, self.aggregation, self.distinct)


def value_column(index: int, column: str = "y") -> str:
    """The column with the values of the measure at an index."""
    return f"m{index}_{column}"


def value_columns(index: int, measure: Measure) -> list[str]:
    """The columns of values of the measure at an index: none for a quantile of events."""
    if measure.is_funnel:
        return [value_column(index, f"s{step}") for step in range(1, 2 + len(measure.steps))]
    return [value_column(index, column) for column in measure.columns] if measure.is_aggregate else []


def ingredients(measures: Sequence[Measure]) -> dict[str, Ingredient]:
    """What each column of values is made of, but for those of funnels."""
    return dict(made for i, measure in enumerate(measures) for made in _of(i, measure))


def _of(index: int, measure: Measure) -> Iterator[tuple[str, Ingredient]]:
    if not measure.is_aggregate:
        return
    if measure.ages:
        yield from _of_ages(index, measure)
        return
    spans: dict[str, tuple[int, int | None]] = {"": (measure.delay_hours, measure.window_hours)}
    if measure.pre_period_days is not None:
        spans["_before"] = (-24 * measure.pre_period_days, 0)
    aggregation = None if measure.type.is_share else measure.aggregation
    under = measure.denominator
    for suffix, span in spans.items():
        yield (
            value_column(index, f"y{suffix}"),
            Ingredient(measure.name, measure.filters, aggregation, measure.distinct, *span),
        )
        if under is not None:
            yield (
                value_column(index, f"d{suffix}"),
                Ingredient(under.event, under.filters, under.aggregation, None, *span),
            )
    if measure.covariate is not None:
        yield value_column(index, "y_before"), _of_covariate(measure.covariate)


def _of_covariate(of: Covariate) -> Ingredient:
    return Ingredient(of.event, of.filters, of.aggregation, of.property, -24 * of.pre_period_days, 0)


def _of_ages(index: int, measure: Measure) -> Iterator[tuple[str, Ingredient]]:
    aggregation = None if measure.type.is_share else measure.aggregation
    part = measure.matures_after // measure.ages
    for age, column in enumerate(measure.columns):
        span = (part * age, part * (age + 1))
        yield (
            value_column(index, column),
            Ingredient(measure.name, measure.filters, aggregation, measure.distinct, *span),
        )
