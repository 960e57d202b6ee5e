"""What stands in the cells of a readout's tables, wherever they are drawn."""

from collections.abc import Sequence

from equipoise_service.metrics.schemas import MetricType
from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.looks import leading_metric
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.measured import ArmStatistics, ProportionStatistics
from equipoise_service.readouts.numerals import (
    decimals_for,
    number,
    p_value,
    percent,
)
from equipoise_service.readouts.schemas import (
    Comparison,
    Difference,
    Lift,
    RatioPart,
    Readout,
)
from equipoise_service.texts.saying import counted, say

NOTHING = say("no_number")
"""What stands where there is no number."""


def stand(readout: Readout) -> str:
    """Where the plan stands, in words."""
    progress, horizon = readout.progress, readout.plan.horizon
    fraction = percent(progress.fraction or 0, decimals=0)
    if readout.repeat is not None:
        return say("repeat.stand", days=counted("days", readout.repeat.days), units=f"{progress.units:,}")
    if readout.plan.method is Method.GROUP_SEQUENTIAL:
        return _stand_of_looks(readout, fraction)
    if horizon is not None and horizon.units is not None:
        return say("stand.horizon", units=f"{progress.units:,}", planned=f"{horizon.units:,}")
    if horizon is not None and horizon.days is not None:
        return say("stand.days", units=f"{progress.units:,}", days=counted("days", horizon.days))
    return say("stand.whole" if readout.revision is None else "stand.open", units=f"{progress.units:,}")


def _stand_of_looks(readout: Readout, fraction: str) -> str:
    """The same of a plan with looks, and its alpha: of the leading metric, and of those where it differs."""
    alpha, looks, lead = readout.plan.alpha, readout.looks, leading_metric(readout.plan)
    spent = looks[-1].spent if looks else 0.0
    parts = {"fraction": fraction, **alpha_shares(spent / alpha)}
    if readout.progress.look is not None:
        told = say("stand.look", number=readout.progress.look, **parts)
    else:
        told = say("stand.looks_so_far", looks=counted("looks", len(looks)), **parts)
    of_others = [
        say("stand.alpha", metric=metric, **alpha_shares(found.spent / alpha))
        for metric, found in (looks[-1].alpha if looks else {}).items()
        if metric != lead and found.spent != spent
    ]
    return " ".join([told, *of_others])


def alpha_shares(spent: float) -> dict[str, str]:
    """The share of alpha that is spent, and what is left: together the whole, as they are shown."""
    share = round(spent, 3)
    return {"spent": percent(share, decimals=1), "left": percent(1 - share, decimals=1)}


def difference_cells(type_: MetricType, difference: Difference) -> tuple[str, str]:
    """The difference and its interval; a share's in percentage points. Without a number, why, and nothing."""
    return _effect(difference, 100.0, f" {say('points')}") if type_.is_share else _effect(difference, 1.0, "")


def lift_cells(lift: Lift) -> tuple[str, str]:
    """The lift and its interval, in percent. Without a number, why, and nothing."""
    return _effect(lift, 100.0, " %")


def value_cells(type_: MetricType, statistics: ArmStatistics, decimals: int) -> tuple[str, str]:
    """The value of an arm, and of how many units it is.

    Args:
        type_: The metric's; of a share that is adjusted for a pre-period there are moments, no successes.
        statistics: The arm's.
        decimals: How many a mean is shown with, see `decimals_of`.
    """
    value = statistics.value
    shown = NOTHING
    if value is not None:
        shown = percent(value) if type_.is_share else number(value, decimals=decimals)
    if isinstance(statistics, ProportionStatistics):
        return shown, say("share_of", part=f"{statistics.successes:,}", whole=f"{statistics.n:,}")
    return shown, counted("units", statistics.n)


def part_cells(metric: PlannedMetric, comparison: Comparison) -> list[tuple[str, str, tuple[str, str]]]:
    """Of a ratio its parts: what they are of, the two means, and the difference with its interval."""
    parts, under = comparison.parts, metric.denominator
    if parts is None or under is None:
        return []
    rows = []
    for event, part in ((metric.event or metric.key, parts.numerator), (under.event, parts.denominator)):
        decimals = decimals_for([max(abs(part.variant), abs(part.baseline)), 0.0], digits=4)
        means = (number(mean, decimals=decimals) for mean in (part.variant, part.baseline))
        values = say("against", **dict(zip(("variant", "baseline"), means, strict=True)))
        rows.append((say("part.of", event=event), values, _part_difference(part)))
    return rows


def _part_difference(part: RatioPart) -> tuple[str, str]:
    if part.difference is None or part.interval is None:
        return NOTHING, ""
    return _shown([part.difference, *part.interval], "")


def decimals_of(comparisons: Sequence[Comparison]) -> int:
    """Decimals that show the means of all arms alike."""
    both = [side for c in comparisons for side in (c.statistics.variant, c.statistics.baseline)]
    means = [abs(each.value) for each in both if each.value is not None]
    return decimals_for([max(means, default=0.0), 0.0], digits=4)


def p_cell(p: float | None) -> str:
    """A p-value, where there is one."""
    return NOTHING if p is None else p_value(p)


def is_corrected(comparison: Comparison) -> bool:
    """Whether the correction changes the p-value."""
    corrected = comparison.corrected
    return corrected is not None and corrected.p_value != comparison.difference.p_value


def corrected_p(comparison: Comparison) -> float | None:
    """The corrected p-value, where there is one."""
    return None if comparison.corrected is None else comparison.corrected.p_value


def notes_of(readout: Readout) -> list[str]:
    """What to know before relying on the numbers: each once."""
    comparisons = [comparison for metric in readout.metrics for comparison in metric.comparisons]
    notes = [warning.message for each in comparisons for warning in each.warnings]
    if readout.progress.reason is not None:
        notes.insert(0, readout.progress.reason)
    return list(dict.fromkeys(notes))


def _effect(effect: Difference | Lift, scale: float, unit: str) -> tuple[str, str]:
    if effect.estimate is None or effect.interval is None:
        return say(f"no_effect.{effect.status}"), ""
    return _shown([scale * value for value in (effect.estimate, *effect.interval)], unit)


def _shown(shown: list[float], unit: str) -> tuple[str, str]:
    """An estimate and the ends of its interval."""
    decimals = decimals_for(shown[1:])
    first, low, high = (number(value, decimals=decimals, signed=True) for value in shown)
    return f"{first}{unit}", say("range", low=low, high=high)
