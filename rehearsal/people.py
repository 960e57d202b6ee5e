"""The people of a simulated experiment: who comes on which day, what they meet, and what they do."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from equipoise import Assignment, Configuration, Reason, assign_many
from equipoise.identifiers import uuid7
from rehearsal.kinds import Broken, Kind

CONTROL, TREATMENT = "control", "treatment"
PURCHASE, LOADED = "purchase", "page_loaded"

RATE = 0.30
"""Share of the people who convert under the control."""
EARLY_RATE, LATER_RATE = 0.22, 0.36
"""The same before and after the day of other weights."""
LOAD_SECONDS, LOAD_DEVIATION = 2.0, 0.6
"""Mean and standard deviation of the load time under the control; it follows a gamma distribution."""

ENROLMENT_DAYS = 14
RETURNING = 0.1
"""Share of a day's people who come back on the next one and are exposed again."""
DELAY = timedelta(hours=80)
"""After how long people do what a plan counts that leaves out the first days."""

_FIRST_HOURS, _DAY = 20.0, 24.0


class Item(NamedTuple):
    """An exposure or event, and on which day it is sent."""

    day: int
    is_exposure: bool
    text: str


@dataclass(slots=True)
class People:
    """The people of one experiment, as they really are.

    Attributes:
        key: The experiment.
        kind: What happens in it.
        daily: New people a day at full traffic.
        random: How they behave.
        met: Units that were exposed and whose exposure was sent, by revision and variant.
        dropped: Exposures and events that one arm's sender gave up so far.
        sender: That sender's own id.
    """

    key: str
    kind: Kind
    daily: int
    random: np.random.Generator
    met: dict[tuple[int, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    dropped: int = 0
    sender: str = field(default_factory=uuid7)
    _yesterday: list[str] = field(default_factory=list)

    def come(self, day: int, begin: datetime, configuration: Configuration) -> list[Item]:
        """What the people of a day do, and what their senders send of it.

        Args:
            day: Which day after the start, from 0.
            begin: When it begins.
            configuration: As the service published it.
        """
        if day >= ENROLMENT_DAYS:
            return []
        new = [f"{self.key}-{day}-{i}" for i in range(self.daily)]
        back = [unit for unit in self._yesterday if self.random.random() < RETURNING]
        self._yesterday = new
        units = new + back
        enrolled = [
            (unit, found)
            for unit, found in zip(units, assign_many(configuration, self.key, units), strict=True)
            if found.reason is Reason.SPLIT
        ]
        first = len(set(new) & {unit for unit, _ in enrolled})
        hours = self.random.uniform(0, _FIRST_HOURS, len(enrolled))
        chances = self.random.random((len(enrolled), 3))
        loads = self.random.gamma(*_gamma(), len(enrolled))
        return [
            item
            for i, (unit, found) in enumerate(enrolled)
            for item in self._visit(
                unit,
                found,
                day,
                begin + timedelta(hours=float(hours[i])),
                tuple(chances[i].tolist()),
                float(loads[i]) if i < first else None,
            )
        ]

    def _visit(
        self,
        unit: str,
        found: Assignment[object],
        day: int,
        at: datetime,
        chances: tuple[float, ...],
        load: float | None,
    ) -> list[Item]:
        """A person meets the variant and does something; without a load time the person only came back."""
        kind, variant, revision = self.kind, str(found.variant), found.revision or 0
        treated = variant == TREATMENT
        broken = kind.broken if _of_unit(unit) < kind.hit else None
        exposure = _exposure(unit, at, self.key, variant, revision)
        items = [Item(day, True, exposure)]
        if load is not None:
            seconds = load * (1 + kind.slower if treated else 1)
            items.append(Item(day, False, _event(unit, at + timedelta(minutes=1), LOADED, round(seconds, 3))))
            purchases = self._purchases(unit, treated, day, at, chances)
            if broken is Broken.DROPPED_EVENTS and not treated:
                self.dropped += len(purchases)
                purchases = []
            items += purchases
        if broken is Broken.RATIO and treated:
            return items[1:]
        if broken is Broken.DROPPED_UNITS and treated:
            self.dropped += len(items)
            return []
        if broken is Broken.CROSSOVERS:
            other = _exposure(unit, at + timedelta(minutes=5), self.key, _other(variant), revision)
            items.append(Item(day, True, other))
            self.met[revision, _other(variant)].add(unit)
        self.met[revision, variant].add(unit)
        if not kind.late_days:
            return items
        return [self._later(item) for item in items]

    def _purchases(
        self, unit: str, treated: bool, day: int, at: datetime, chances: tuple[float, ...]
    ) -> list[Item]:
        kind = self.kind
        lift = kind.lift if treated else 0.0
        items = []
        if chances[0] < self._rate(day) * (1 + lift):
            items.append(Item(day, False, _event(unit, at + timedelta(hours=1), PURCHASE, None)))
        if kind.fades and chances[1] < self._rate(day):
            later = at + DELAY
            # It is sent on the day on which it happens.
            sent = day + int((DELAY.total_seconds() / 3600 + _DAY - 1) // _DAY)
            items.append(Item(sent, False, _event(unit, later, PURCHASE, None)))
        return items

    def _rate(self, day: int) -> float:
        if not self.kind.weights_day:
            return RATE
        return EARLY_RATE if day < self.kind.weights_day else LATER_RATE

    def _later(self, item: Item) -> Item:
        if self.random.random() >= self.kind.hit:
            return item
        return item._replace(day=item.day + int(self.random.integers(1, self.kind.late_days + 1)))

    def units(self, revision: int) -> dict[str, int]:
        """How many units a readout of a revision has to have in each arm: those that met one variant."""
        control, treatment = self.met[revision, CONTROL], self.met[revision, TREATMENT]
        return {CONTROL: len(control - treatment), TREATMENT: len(treatment - control)}

    def crossovers(self, revision: int) -> int:
        """How many units met both variants."""
        return len(self.met[revision, CONTROL] & self.met[revision, TREATMENT])


def _gamma() -> tuple[float, float]:
    """Shape and scale of the load time."""
    scale = LOAD_DEVIATION**2 / LOAD_SECONDS
    return LOAD_SECONDS / scale, scale


def _of_unit(unit: str) -> float:
    """A number from 0 to below 1 that is the unit's own, so that what is broken for it stays so."""
    return (hash_of(unit) % 10_000) / 10_000


def hash_of(text: str) -> int:
    """FNV-1a of a text, 64 bits: the same in every process, and none of the service's own hashes."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value >> 20


def _other(variant: str) -> str:
    return CONTROL if variant == TREATMENT else TREATMENT


def _exposure(unit: str, at: datetime, experiment: str, variant: str, revision: int) -> str:
    return (
        f'{{"id":"{uuid7()}","time":"{at.isoformat()}","unit":"{unit}","experiment":"{experiment}",'
        f'"variant":"{variant}","revision":{revision}}}'
    )


def _event(unit: str, at: datetime, name: str, value: float | None) -> str:
    worth = "" if value is None else f',"value":{value}'
    return f'{{"id":"{uuid7()}","time":"{at.isoformat()}","unit":"{unit}","name":"{name}"{worth}}}'
