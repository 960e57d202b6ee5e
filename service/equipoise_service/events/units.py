"""Items that name several units: who they belong to, and the rows that they become."""

from collections.abc import Iterator, Sequence

import msgspec

from equipoise.configuration import Configuration
from equipoise_service.events.refusals import Refusal
from equipoise_service.events.schemas import EventIn, ExposureIn


def units_refusal(items: Sequence[ExposureIn] | Sequence[EventIn]) -> Refusal | None:
    """Why some item's units cannot be told; nothing when all can."""
    for each in items:
        if each.units is None:
            if not each.unit:
                return Refusal("/unit", "is missing: an item names its `unit`, or its `units` by unit type")
        elif each.unit and each.units.get(each.unit_type, each.unit) != each.unit:
            return Refusal(f"/units/{each.unit_type}", "is another unit of this type than `unit`")
    return None


def settle(exposures: Sequence[ExposureIn], configuration: Configuration) -> Refusal | None:
    """Give each exposure the one unit that its experiment randomises, of those that it names.

    An exposure to something that is no experiment stays as it is.
    """
    for each in exposures:
        experiment = configuration.experiments.get(each.experiment)
        if each.units is None or experiment is None:
            continue
        units = dict(units_of(each))
        if experiment.unit_type not in units:
            return Refusal(
                "/units", f"the experiment randomises {experiment.unit_type!r}: name that unit, too"
            )
        each.unit_type, each.unit, each.units = experiment.unit_type, units[experiment.unit_type], None
    return None


def spread(
    events: Sequence[EventIn], properties: Sequence[str | None]
) -> tuple[Sequence[EventIn], Sequence[str | None], Sequence[int]]:
    """One event for each unit that an event names, by unit type, so that whatever order names them is one.

    Args:
        events: Those of a batch.
        properties: The properties of each.

    Returns:
        Events, the properties of each, and for each the position of the first one that comes of the same
        item: nothing when each item names one unit.
    """
    if not [True for each in events if each.units]:
        return events, properties, ()
    rows: list[EventIn] = []
    texts: list[str | None] = []
    heads: list[int] = []
    for event, text in zip(events, properties, strict=True):
        units = sorted(units_of(event))
        heads += [len(rows)] * len(units)
        texts += [text] * len(units)
        rows += [
            msgspec.structs.replace(event, unit_type=unit_type, unit=unit, units=None)
            for unit_type, unit in units
        ]
    return rows, texts, heads


def units_of(item: ExposureIn | EventIn) -> Iterator[tuple[str, str]]:
    """The units that an item names, by unit type, each once."""
    units = item.units or {}
    yield from units.items()
    if item.unit and item.unit_type not in units:
        yield item.unit_type, item.unit
