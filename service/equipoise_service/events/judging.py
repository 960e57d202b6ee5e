"""One item after the other: decoded and judged by itself, so that a bad one costs no good one its place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import msgspec

from equipoise_service.events.batches import MOST_ITEM_CHARACTERS, Kind, Rejected
from equipoise_service.events.clocks import correct
from equipoise_service.events.properties import properties_text
from equipoise_service.events.refusals import Refusal
from equipoise_service.events.rules import ERASED, Terms, events_refusal, exposures_refusal, ids_of
from equipoise_service.events.schemas import EventIn, ExposureIn
from equipoise_service.http import payloads

_exposure = msgspec.json.Decoder(ExposureIn)
_event = msgspec.json.Decoder(EventIn)
_any = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text = msgspec.json.Decoder(str)

T = TypeVar("T")


@dataclass(slots=True)
class Judged:
    """The items of a body, sorted into those that can be stored and those that cannot.

    Attributes:
        terms: What they are judged by.
        correction: What is added to their times.
        exposures: The exposures that can be stored.
        exposure_ids: Sixteen bytes for the id of each.
        exposure_positions: Where each stood in its list, or on which line.
        events: The events that can be stored.
        event_ids: Sixteen bytes for the id of each.
        properties: The properties of each.
        event_positions: Where each stood in its list, or on which line.
        refused_exposures: The exposures that cannot be stored, by their position.
        refused_events: The events that cannot be stored, by their position.
        refused_lines: The lines that are neither, by their position.
    """

    terms: Terms
    correction: timedelta | None
    exposures: list[ExposureIn] = field(default_factory=list)
    exposure_ids: bytearray = field(default_factory=bytearray)
    exposure_positions: list[int] = field(default_factory=list)
    events: list[EventIn] = field(default_factory=list)
    event_ids: bytearray = field(default_factory=bytearray)
    properties: list[str | None] = field(default_factory=list)
    event_positions: list[int] = field(default_factory=list)
    refused_exposures: dict[int, Rejected] = field(default_factory=dict)
    refused_events: dict[int, Rejected] = field(default_factory=dict)
    refused_lines: dict[int, Rejected] = field(default_factory=dict)

    def take_all(
        self,
        exposures: Sequence[ExposureIn],
        events: Sequence[EventIn],
        exposure_positions: Sequence[int],
        event_positions: Sequence[int],
    ) -> bool:
        """Judge all items at once; false when something is wrong with one, and nothing was taken."""
        if correct(exposures, self.correction) or correct(events, self.correction):
            return False
        exposure_ids, event_ids = ids_of(exposures), ids_of(events)
        if isinstance(exposure_ids, Refusal) or isinstance(event_ids, Refusal):
            return False
        if exposures_refusal(exposures, self.terms) or events_refusal(events, self.terms):
            return False
        properties = _properties([each.properties for each in events])
        if properties is None:
            return False
        self.exposures, self.exposure_positions = list(exposures), list(exposure_positions)
        self.events, self.event_positions, self.properties = list(events), list(event_positions), properties
        self.exposure_ids, self.event_ids = bytearray(exposure_ids), bytearray(event_ids)
        return True

    def take_exposure(self, raw: bytes | msgspec.Raw, position: int, pointer: str) -> None:
        """Judge an exposure.

        Args:
            raw: Its JSON, without half surrogate pairs.
            position: Where it stands in its list, or on which line.
            pointer: JSON pointer to it, from the body.
        """
        item = decoded(_exposure, raw)
        if not isinstance(item, Refusal):
            ids = correct([item], self.correction) or exposures_refusal([item], self.terms) or ids_of([item])
            if not isinstance(ids, Refusal):
                self.exposures.append(item)
                self.exposure_ids += ids
                self.exposure_positions.append(position)
                return
            item = ids
        self.refused_exposures[position] = self._rejected("exposure", raw, pointer, item)

    def take_event(self, raw: bytes | msgspec.Raw, position: int, pointer: str) -> None:
        """Judge an event; the arguments are those of `take_exposure`."""
        item = decoded(_event, raw)
        if not isinstance(item, Refusal):
            ids = correct([item], self.correction) or events_refusal([item], self.terms) or ids_of([item])
            if isinstance(ids, Refusal):
                item = ids
            elif isinstance(text := properties_text(item.properties), Refusal):
                item = text
            else:
                self.events.append(item)
                self.event_ids += ids
                self.properties.append(text)
                self.event_positions.append(position)
                return
        self.refused_events[position] = self._rejected("event", raw, pointer, item)

    def refuse_line(self, raw: bytes, position: int, pointer: str, refusal: Refusal) -> None:
        """Refuse a line that is neither an exposure nor an event."""
        self.refused_lines[position] = self._rejected("line", raw, pointer, refusal)

    def rejections(self) -> Sequence[Rejected]:
        """Everything that is refused."""
        refused = (self.refused_exposures, self.refused_events, self.refused_lines)
        return [each for some in refused for each in some.values()]

    def _rejected(self, kind: Kind, raw: bytes | msgspec.Raw, pointer: str, refusal: Refusal) -> Rejected:
        """What is kept of an item that is not stored; every text of it can be stored anywhere."""
        # No character takes more than four bytes.
        content = bytes(memoryview(raw)[: 4 * MOST_ITEM_CHARACTERS])
        text = content.decode(errors="replace").replace("\0", "\ufffd")[:MOST_ITEM_CHARACTERS]
        if refusal is ERASED or self.terms.erased.named_in(text):
            text = ""
        return Rejected(kind, _readable_id(raw), pointer + refusal.field, refusal.reason, text)


def _properties(raws: Sequence[msgspec.Raw | msgspec.UnsetType]) -> list[str | None] | None:
    """The properties of events as texts; nothing when some are refused."""
    if raws.count(msgspec.UNSET) == len(raws):
        # So are those of most batches, and comparing costs nothing.
        return [None] * len(raws)
    texts = [properties_text(each) for each in raws]
    properties = [each for each in texts if not isinstance(each, Refusal)]
    return properties if len(properties) == len(texts) else None


def decoded(decoder: msgspec.json.Decoder[T], raw: bytes | msgspec.Raw) -> T | Refusal:
    """An item, or why it cannot be decoded."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        return Refusal(*payloads.place_and_message(error))
    except UnicodeDecodeError:
        return _not_utf8(raw)
    except msgspec.DecodeError as error:
        return Refusal("", f"is not JSON: {error}")
    except RecursionError:
        return Refusal("", "nests far too deeply")


def _not_utf8(raw: bytes | msgspec.Raw) -> Refusal:
    try:
        bytes(raw).decode()
    except UnicodeDecodeError as error:
        return Refusal("", f"is not UTF-8: byte {error.start} of the item is wrong")
    return Refusal("", "is not UTF-8")


def _readable_id(raw: bytes | msgspec.Raw) -> str | None:
    """The id to answer with: a text of a UUID's length at most, so that an answer stays small."""
    try:
        found = _text.decode(_any.decode(raw)["id"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return None
    return found if len(found) <= 36 and "\0" not in found else None
