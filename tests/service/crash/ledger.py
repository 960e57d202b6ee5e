"""What was sent, what of it was acknowledged, and the numbers that a readout of all of it must show."""

import copy
import json
import random
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.service.crash.checks import EVENT, EXPERIMENT

VARIANTS = ("control", "treatment")


@dataclass(slots=True)
class Sent:
    """A batch: its number is in the ids of its items."""

    number: int
    body: bytes
    exposures: int
    events: int
    acknowledged: bool = False

    @property
    def size(self) -> int:
        return self.exposures + self.events

    @property
    def code(self) -> str:
        """What stands in the ids of its items."""
        return f"{self.number // 4096:03x}-8{self.number % 4096:03x}"


class Ledger:
    """All batches, the same ones for the same seed and sizes.

    Args:
        seed: Of the units that events are of, and their values.
    """

    def __init__(self, seed: int) -> None:
        self.batches: list[Sent] = []
        self._seed = seed
        self._lock = threading.Lock()
        self._begin = datetime.now(UTC) - timedelta(hours=2)
        self._variants: dict[str, str] = {}
        self._spent: dict[str, list[int]] = {}

    def new(self, exposures: int, events: int) -> Sent:
        """The next batch: units that are new, and events of any units before it or in it."""
        with self._lock:
            number = len(self.batches)
            chance = random.Random(f"{self._seed} {number}")
            sent = Sent(number, b"", exposures, events)
            units = [f"u{number}-{i}" for i in range(exposures)]
            variants = [VARIANTS[(number + i) % 2] for i in range(exposures)]
            self._variants.update(zip(units, variants, strict=True))
            shown = [
                self._item(sent, i, 0) | {"unit": unit, "experiment": EXPERIMENT, "variant": variant}
                for i, (unit, variant) in enumerate(zip(units, variants, strict=True))
            ]
            happened = [self._event(sent, exposures + i, chance) for i in range(events)]
            sent.body = json.dumps({"exposures": shown, "events": happened}).encode()
            self.batches.append(sent)
            return sent

    def pending(self) -> list[Sent]:
        """The batches that were not acknowledged."""
        return [each for each in self.batches if not each.acknowledged]

    def acknowledge(self, sent: Sent) -> None:
        sent.acknowledged = True

    def acknowledged(self) -> set[int]:
        """The numbers of the batches that were acknowledged."""
        return {each.number for each in self.batches if each.acknowledged}

    def looking_back(self, acknowledged: set[int]) -> "Ledger":
        """The same batches, of which these were acknowledged and no others."""
        found = copy.copy(self)
        found.batches = [replace(each, acknowledged=each.number in acknowledged) for each in self.batches]
        return found

    def arms(self) -> dict[str, tuple[int, int, float, float]]:
        """Of each arm the units, those that spent, what they spent, and how many times; of all batches."""
        found: dict[str, tuple[int, int, float, float]] = {}
        for variant in VARIANTS:
            units = [unit for unit, theirs in self._variants.items() if theirs == variant]
            spent = [self._spent[unit] for unit in units if unit in self._spent]
            if units:
                found[variant] = (len(units), len(spent), sum(map(sum, spent)), sum(map(len, spent)))
        return found

    def _event(self, sent: Sent, position: int, chance: random.Random) -> dict[str, Any]:
        unit = chance.choice(list(self._variants)) if len(self._variants) < 200 else self._any(chance)
        value = chance.randint(1, 1000)
        self._spent.setdefault(unit, []).append(value)
        return self._item(sent, position, 3600) | {"unit": unit, "name": EVENT, "value": value}

    def _any(self, chance: random.Random) -> str:
        batch = self.batches[chance.randrange(len(self.batches))] if self.batches else None
        return f"u{batch.number}-{chance.randrange(batch.exposures)}" if batch else next(iter(self._variants))

    def _item(self, sent: Sent, position: int, seconds: int) -> dict[str, Any]:
        moment = self._begin + timedelta(seconds=seconds, milliseconds=sent.number)
        stamp = f"{int(self._begin.timestamp() * 1000):012x}"
        return {"id": f"{stamp[:8]}-{stamp[8:]}-7{sent.code}-{position:012x}", "time": moment.isoformat()}
