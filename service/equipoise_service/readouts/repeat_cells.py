"""How effects of then and now are written: in sentences, and in the table of a repeated readout."""

from collections.abc import Sequence
from typing import NamedTuple

from equipoise_service.plans.documents import PlannedMetric
from equipoise_service.plans.schemas import MarginScale
from equipoise_service.readouts.numerals import decimals_for, number
from equipoise_service.readouts.repeat import EffectNumbers, LastingEffect, Repeat
from equipoise_service.texts.saying import say

Cell = tuple[str, str]
"""A number, and its interval below it."""


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        metric: The metric's key.
        effects: The effect then and now, and the change.
        finding: What became of it.
    """

    metric: str
    effects: tuple[Cell, ...]
    finding: str


def repeat_heads() -> list[str]:
    """The heads of the columns."""
    return [
        say("repeat.metric"),
        say("repeat.then"),
        say("repeat.now"),
        say("repeat.change"),
        say("repeat.finding"),
    ]


def repeat_rows(metrics: Sequence[PlannedMetric], repeat: Repeat) -> list[Row]:
    """A row for each metric."""
    planned = {metric.key: metric for metric in metrics}
    return [_row(planned[each.metric], each) for each in repeat.effects]


def effect_text(metric: PlannedMetric, scale: MarginScale, effect: EffectNumbers) -> str:
    """An effect with its interval, in a sentence."""
    factor, _ = _unit(metric, scale)
    unit = " %" if scale is MarginScale.LIFT else ""
    if factor > 1 and not unit:
        unit = f" {say('percentage_points')}"
    told, low, high = _numbers(effect, factor)
    return say("repeat.effect", effect=told + unit, low=low + unit, high=high + unit)


def _row(metric: PlannedMetric, effect: LastingEffect) -> Row:
    cells: list[Cell] = [(say("no_number"), "")] * 3
    if effect.scale is not None:
        factor, unit = _unit(metric, effect.scale)
        # Lifts differ by percentage points.
        points = f" {say('points')}" if factor > 1 else ""
        known = ((effect.then, unit), (effect.now, unit), (effect.change, points))
        cells = [_cell(each, factor, unit) for each, unit in known if each is not None]
    return Row(metric.key, tuple(cells), say(f"repeat.finding.{effect.finding}"))


def _unit(metric: PlannedMetric, scale: MarginScale) -> tuple[float, str]:
    """What an effect is multiplied by to be shown, and its unit in a table."""
    if scale is MarginScale.LIFT:
        return 100.0, " %"
    return (100.0, f" {say('points')}") if metric.type.is_share else (1.0, "")


def _cell(effect: EffectNumbers, factor: float, unit: str) -> Cell:
    told, low, high = _numbers(effect, factor)
    return told + unit, say("range", low=low, high=high)


def _numbers(effect: EffectNumbers, factor: float) -> tuple[str, str, str]:
    """The effect and the ends of its interval, with signs."""
    decimals = decimals_for([factor * end for end in effect.interval])
    told = [
        number(factor * value, decimals=decimals, signed=True)
        for value in (effect.estimate, *effect.interval)
    ]
    return told[0], told[1], told[2]
