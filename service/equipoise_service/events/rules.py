"""What is refused, and why. Each rule looks at a whole column of items at once.

Called with all items of a batch, `exposures_refusal` and `events_refusal` say cheaply whether any is refused;
called with one item, they say why that one is.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from equipoise.configuration import Configuration, Experiment
from equipoise_service import keys
from equipoise_service.events.identifiers import id_bytes
from equipoise_service.events.refusals import Refusal
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.events.units import settle, units_of, units_refusal
from equipoise_service.privacy.erased import NOBODY, Erased

_NOT_A_UUID = Refusal("/id", "must be a UUID such as 018f4c3e-8a00-7000-8000-00000000000a")
_NOT_A_KEY = "must be lower-case letters, digits, '.', '_' and '-'"
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_KEY = re.compile(keys.PATTERN)

ERASED = Refusal("/unit", "was erased after this happened; what happens from then on is stored again")
"""Of an item that is refused for this reason, nothing is kept."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What items are judged by.

    Attributes:
        configuration: The environment's present configuration.
        received_at: When their batch came.
        latest: The latest time that an item may have.
        erased: The units of the project that were erased.
    """

    configuration: Configuration
    received_at: datetime
    latest: datetime
    erased: Erased = NOBODY


def latest_time(now: datetime, future_seconds: float) -> datetime:
    """The latest time that an item may have; a limit past the calendar's end is no limit."""
    room = datetime.max.replace(tzinfo=UTC) - now
    return now + min(timedelta(seconds=min(future_seconds, room.total_seconds())), room)


def ids_of(items: Sequence[ExposureIn] | Sequence[EventIn]) -> bytes | Refusal:
    """Sixteen bytes for the id of each item, or why these ids cannot all be stored."""
    try:
        return id_bytes([each.id for each in items])
    except ValueError:
        return _NOT_A_UUID


def exposures_refusal(exposures: Sequence[ExposureIn], terms: Terms) -> Refusal | None:
    """Why these exposures cannot all be stored, their ids apart.

    Returns:
        Nothing when they can; each has its experiment's unit then.
    """
    if not exposures:
        return None
    return (
        _common_refusal(exposures, terms)
        or settle(exposures, terms.configuration)
        or _text_refusal("/experiment", [each.experiment for each in exposures])
        or _text_refusal("/variant", [each.variant for each in exposures])
        or _assignment_refusal(exposures, terms.configuration)
    )


def events_refusal(events: Sequence[EventIn], terms: Terms) -> Refusal | None:
    """Why these events cannot all be stored, ids and properties apart; nothing when they can."""
    if not events:
        return None
    return _common_refusal(events, terms) or _text_refusal("/name", [each.name for each in events])


def _common_refusal(items: Sequence[ExposureIn] | Sequence[EventIn], terms: Terms) -> Refusal | None:
    times = [each.time for each in items]
    earliest = min(times)
    if earliest < EARLIEST:
        return Refusal("/time", f"must not lie before {EARLIEST:%Y-%m-%d}")
    if max(times) > terms.latest:
        return Refusal("/time", f"lies too far ahead: the latest now is {terms.latest:%Y-%m-%dT%H:%M:%SZ}")
    unit_types = {each.unit_type for each in items}
    if not all(map(_KEY.fullmatch, unit_types)):
        return Refusal("/unit_type", _NOT_A_KEY)
    several = [each.units for each in items if each.units]
    if not all(map(_KEY.fullmatch, chain.from_iterable(several))):
        return Refusal("/units", f"unit types {_NOT_A_KEY}")
    units = [each.unit for each in items]
    # Nearly always each item names its unit, and no other.
    is_plain = not several and all(units)
    return (
        (None if is_plain else units_refusal(items))
        or _text_refusal("/unit", units)
        or _text_refusal("/units", [unit for units in several for unit in units.values()])
        or _erased_refusal(items, earliest, terms.erased)
    )


def _erased_refusal(
    items: Sequence[ExposureIn] | Sequence[EventIn], earliest: datetime, erased: Erased
) -> Refusal | None:
    # Hardly ever there is something so old: most batches are not looked at item by item.
    if erased.until is None or earliest > erased.until:
        return None
    late = (erased.is_late(kind, unit, each.time) for each in items for kind, unit in units_of(each))
    return ERASED if any(late) else None


def _text_refusal(field: str, texts: Sequence[str]) -> Refusal | None:
    # NUL: neither every warehouse nor every file format can hold it.
    if "\0" in "".join(texts):
        return Refusal(field, "must not hold a NUL character or half of a surrogate pair")
    return None


def _assignment_refusal(exposures: Sequence[ExposureIn], configuration: Configuration) -> Refusal | None:
    kinds = {(each.experiment, each.variant, each.unit_type, each.revision) for each in exposures}
    for key, variant, unit_type, revision in kinds:
        experiment = configuration.experiments.get(key)
        if experiment is None:
            return Refusal("/experiment", f"there is no experiment {key!r} in this environment")
        if experiment.revision is None:
            return Refusal("/experiment", "the experiment was never started; start it first")
        if revision is not None and revision > experiment.revision:
            return Refusal("/revision", f"lies ahead of the experiment's revision {experiment.revision}")
        if variant not in (known := _variants(configuration, experiment, revision)):
            return Refusal(
                "/variant", f"the experiment has no variant {variant!r}; it has {', '.join(sorted(known))}"
            )
        if unit_type != experiment.unit_type:
            return Refusal(
                "/unit_type", f"the experiment randomises {experiment.unit_type!r}, not {unit_type!r}"
            )
    return None


def _variants(configuration: Configuration, experiment: Experiment, revision: int | None) -> Collection[str]:
    if revision is None or revision == experiment.revision:
        return experiment.variants
    # The flag keeps the variants of earlier revisions, whose exposures may come late.
    return configuration.flags[experiment.flag].variants
