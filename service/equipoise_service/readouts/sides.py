"""One arm of a comparison: its statistics, and what a readout holds of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from equipoise_service.analysis.statistics import ArmValues, NotFinite, QuantileValues, StepCounts
from equipoise_service.readouts.measured import (
    ArmStatistics,
    FunnelStatistics,
    MeanStatistics,
    MomentsStatistics,
    ProportionStatistics,
    QuantileStatistics,
)
from equipoise_service.readouts.schemas import Detail
from equipoise_stats import ArmQuantile, Counts, Moments

CUT_NAMES = {
    "y": "cut",
    "d": "denominator_cut",
    "y_before": "cut_before",
    "d_before": "denominator_cut_before",
}
"""For each number of a unit what its cut is called in a readout."""


@dataclass(frozen=True, slots=True)
class Side:
    """One arm of a comparison.

    Attributes:
        variant: The variant's key.
        values: The statistics of its mature units.
        immature: How many units are not mature.
        winsorized: Of how many units a value was cut.
    """

    variant: str
    values: ArmValues
    immature: int
    winsorized: int = 0


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the numbers of a metric were cut.

    Attributes:
        known: The cut of each number, by its column; None where nothing was cut.
    """

    known: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def named(self) -> dict[str, float | None]:
        """All four that a metric can have, by their names in a readout."""
        return {name: self.known.get(column) for column, name in CUT_NAMES.items()}

    @property
    def details(self) -> list[Detail]:
        """Those that there are, as figures of a comparison."""
        return [Detail(name=name, value=value) for name, value in self.named.items() if value is not None]


def moments_of(side: Side) -> Moments | None:
    """The moments of an arm, where its statistics are moments."""
    return side.values if isinstance(side.values, Moments) else None


def has_third(sides: Iterable[Side]) -> bool:
    """Whether the third moments of all of them are known."""
    found = [moments_of(side) for side in sides]
    return all(each is not None and each.third is not None for each in found)


def values_in(statistics: ArmStatistics) -> ArmValues:
    """Reads what a readout holds of one arm.

    Raises:
        ValueError: The numbers are impossible.
    """
    if isinstance(statistics, FunnelStatistics):
        if statistics.steps[-1] != statistics.successes:
            raise ValueError("the last step of a funnel was not reached by as many units as completed it")
        return StepCounts(statistics.n, tuple(statistics.steps))
    if isinstance(statistics, QuantileStatistics):
        return _quantile_in(statistics)
    if isinstance(statistics, ProportionStatistics):
        return Counts(statistics.n, statistics.successes)
    if isinstance(statistics, MomentsStatistics):
        columns = tuple(statistics.columns)
        if statistics.means is None or statistics.comoments is None:
            return NotFinite(statistics.n, columns)
        rows = tuple(tuple(row) for row in statistics.comoments)
        third = None if statistics.third is None else tuple(statistics.third)
        return Moments(statistics.n, columns, tuple(statistics.means), rows, third)
    if statistics.mean is None or statistics.m2 is None:
        return NotFinite(statistics.n)
    third = None if statistics.m3 is None else (statistics.m3,)
    return Moments(statistics.n, ("y",), (statistics.mean,), ((statistics.m2,),), third)


def statistics_out(side: Side, *, third: bool) -> ArmStatistics:
    """What a readout holds of one arm.

    Args:
        side: The arm.
        third: Whether third moments are among it, where they are known.
    """
    values, immature = side.values, side.immature
    if isinstance(values, StepCounts):
        return FunnelStatistics(
            n=values.n,
            immature=immature,
            successes=values.completed.successes,
            steps=list(values.reached),
        )
    if isinstance(values, QuantileValues):
        return _quantile_out(values, immature)
    if isinstance(values, Counts):
        return ProportionStatistics(n=values.n, immature=immature, successes=values.successes)
    if values.columns != ("y",):
        known = values if isinstance(values, Moments) else None
        return MomentsStatistics.model_validate(
            {
                "n": values.n,
                "immature": immature,
                "columns": list(values.columns),
                "means": list(known.mean) if known else None,
                "comoments": [list(row) for row in known.comoments] if known else None,
                "third": list(known.third) if known and known.third is not None and third else None,
            }
        )
    if isinstance(values, NotFinite):
        return MeanStatistics(n=values.n, immature=immature, mean=None, m2=None)
    return MeanStatistics(
        n=values.n,
        immature=immature,
        mean=values.mean[0],
        m2=values.comoments[0][0],
        m3=values.third[0] if third and values.third is not None else None,
    )


def _quantile_in(statistics: QuantileStatistics) -> QuantileValues:
    value, means, comoments = statistics.value, statistics.means, statistics.comoments
    if value is None or means is None or comoments is None:
        return QuantileValues(statistics.n, statistics.quantile, None)
    counts = Moments(
        statistics.acting, ("below", "events"), tuple(means), tuple(tuple(row) for row in comoments)
    )
    found = ArmQuantile(statistics.quantile, counts, value, statistics.lower, statistics.upper)
    return QuantileValues(statistics.n, statistics.quantile, found)


def _quantile_out(values: QuantileValues, immature: int) -> QuantileStatistics:
    found = values.found
    return QuantileStatistics(
        n=values.n,
        immature=immature,
        quantile=values.q,
        value=found.value if found else None,
        lower=found.lower if found else None,
        upper=found.upper if found else None,
        acting=found.counts.n if found else 0,
        means=list(found.counts.mean) if found else None,
        comoments=[list(row) for row in found.counts.comoments] if found else None,
    )
