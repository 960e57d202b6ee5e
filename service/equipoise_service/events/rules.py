"""What is refused, and why. Each rule looks at a whole column of items at once.

Called with all items of a batch, `exposures_refusal` and `events_refusal` say cheaply whether any is refused;
called with one item, they say why that one is.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from equipoise.configuration import Configuration, Experiment
from equipoise_service import keys
from equipoise_service.events.identifiers import id_bytes
from equipoise_service.events.schemas import (
    MAX_PROPERTIES_BYTES,
    MAX_PROPERTIES_DEPTH,
    EventIn,
    ExposureIn,
)
from equipoise_service.nesting import depth

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_KEY = re.compile(keys.PATTERN)
_NUL_ESCAPE = "\\u0000"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an item is refused.

    Attributes:
        field: JSON pointer to the field, from the item.
        reason: What is wrong with it, and what would be right.
    """

    field: str
    reason: str


TOO_DEEP = Refusal("/properties", f"must not nest deeper than {MAX_PROPERTIES_DEPTH} levels")


@dataclass(frozen=True, slots=True)
class Terms:
    """What items are judged by.

    Attributes:
        configuration: The environment's present configuration.
        latest: The latest time that an item may have.
    """

    configuration: Configuration
    latest: datetime


def latest_time(now: datetime, future_seconds: float) -> datetime:
    """The latest time that an item may have; a limit past the calendar's end is no limit."""
    room = datetime.max.replace(tzinfo=UTC) - now
    return now + min(timedelta(seconds=min(future_seconds, room.total_seconds())), room)


def exposures_refusal(exposures: Sequence[ExposureIn], terms: Terms) -> Refusal | None:
    """Why these exposures cannot all be stored; nothing when they can."""
    if not exposures:
        return None
    return (
        _common_refusal(exposures, terms)
        or _text_refusal("/experiment", (each.experiment for each in exposures))
        or _text_refusal("/variant", (each.variant for each in exposures))
        or _assignment_refusal(exposures, terms.configuration)
    )


def events_refusal(
    events: Sequence[EventIn], properties: Sequence[str | None], terms: Terms
) -> Refusal | None:
    """Why these events cannot all be stored; nothing when they can.

    Args:
        events: The events.
        properties: The properties of each as JSON, from `properties_text`.
        terms: What they are judged by.
    """
    if not events:
        return None
    return (
        _common_refusal(events, terms)
        or _text_refusal("/name", (each.name for each in events))
        or _properties_refusal(events, properties)
    )


def properties_text(events: Iterable[EventIn]) -> list[str | None]:
    """The properties of each event as compact JSON.

    Raises:
        RecursionError: They nest far too deeply.
    """
    return [None if each.properties is None else _encode(each.properties).decode() for each in events]


def _common_refusal(items: Sequence[ExposureIn] | Sequence[EventIn], terms: Terms) -> Refusal | None:
    try:
        id_bytes([each.id for each in items])
    except ValueError:
        return Refusal("/id", "must be a UUID such as 018f4c3e-8a00-7000-8000-00000000000a")
    times = [each.time for each in items]
    if min(times) < EARLIEST:
        return Refusal("/time", f"must not lie before {EARLIEST:%Y-%m-%d}")
    if max(times) > terms.latest:
        return Refusal("/time", f"lies too far ahead: the latest now is {terms.latest:%Y-%m-%dT%H:%M:%SZ}")
    if not all(_KEY.fullmatch(unit_type) for unit_type in {each.unit_type for each in items}):
        return Refusal("/unit_type", "must be lower-case letters, digits, '.', '_' and '-'")
    return _text_refusal("/unit", (each.unit for each in items))


def _text_refusal(field: str, texts: Iterable[str]) -> Refusal | None:
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


def _properties_refusal(events: Sequence[EventIn], properties: Sequence[str | None]) -> Refusal | None:
    for event, text in zip(events, properties, strict=True):
        if text is None:
            continue
        if len(text) * 4 > MAX_PROPERTIES_BYTES and len(text.encode()) > MAX_PROPERTIES_BYTES:
            return Refusal("/properties", f"must be at most {MAX_PROPERTIES_BYTES:,} bytes as compact JSON")
        # Both texts say 'perhaps', cheaply; the walk over the values decides. The depth comes first, because
        # the other walk needs stack.
        if text.count("{") + text.count("[") > MAX_PROPERTIES_DEPTH and depth(event.properties) > (
            MAX_PROPERTIES_DEPTH
        ):
            return TOO_DEEP
        if _NUL_ESCAPE in text and _holds_nul(event.properties):
            return Refusal("/properties", "must not hold a NUL character or half of a surrogate pair")
    return None


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _holds_nul(each) for name, each in value.items())
    return isinstance(value, list) and any(_holds_nul(each) for each in value)
