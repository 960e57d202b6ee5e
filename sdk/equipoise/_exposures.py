"""Which exposures have been logged, so that a unit's exposure to a revision is logged once."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from time import monotonic
from typing import Final

MAX_REMEMBERED: Final = 16_384
"""How many exposures are remembered at most, of all arms together."""

LIFETIME_SECONDS: Final = 3600.0
"""How long an exposure is remembered; one that lasts longer is logged again, which analysis expects."""

MOST_PENDING: Final = 63
"""How many units of an arm wait at most to be counted."""

Meet = Callable[["Arm", str], object]
"""What is told of a unit that met an arm and was not in its recent generation."""

Generation = dict[str | None, int]
"""Units with the slot of time in which they were entered, beside a key that is no unit."""

_exact: Final = str.__str__  # what is remembered is asked for its equality when another unit is looked up
_NO_SLOT: Final = 0
_TIDIES_A_LIFETIME: Final = 12


class Arm:
    """The units that lately met one variant of one revision; with the variant, a crossover is never hidden.

    Two generations approximate least-recently-used order: a unit found in the older one moves to the recent
    one, and now and then the recent one becomes the older.

    Whoever reads a flag looks into `recent`, without a lock. A unit that is not there it hands to `note`, and
    calls `Exposures.settle` when more than `MOST_PENDING` are pending. So of a unit that is new much is left
    for later, when many are looked at together, which takes half the time.

    Attributes:
        unit_type: what is randomised.
        experiment: the experiment's key.
        revision: the revision that assigned the units.
        variant: the variant's key.
        recent: the generation that is entered.
        pending: units that were noted and not yet counted; always empty where exposures are logged.
        note: takes a unit that is not in `recent`.
    """

    __slots__ = (
        "_exposures",
        "_older",
        "experiment",
        "note",
        "pending",
        "recent",
        "revision",
        "unit_type",
        "variant",
    )

    def __init__(
        self, exposures: "Exposures", unit_type: str, experiment: str, revision: int, variant: str
    ) -> None:
        self._exposures = exposures
        self.unit_type = unit_type
        self.experiment = experiment
        self.revision = revision
        self.variant = variant
        self.recent = _generation()
        self._older = _generation()
        self.pending: list[str] = []
        self.note: Callable[[str], object] = (
            self.pending.append if exposures.met is None else partial(exposures.met, self)
        )

    def meet(self, unit: str) -> None:
        """Note a unit, if that is not superfluous: what is written out where a flag is read."""
        if unit not in self.recent:
            self.note(unit)
            if len(self.pending) > MOST_PENDING:
                self._exposures.settle(self)

    def enter(self, unit: str) -> bool:
        """Remember the unit; return whether it was not remembered before. One of many callers gets True."""
        unit = _exact(unit)
        with self._exposures.lock:
            # Looked up before: what `_enter` counts includes what a signal handler entered meanwhile.
            new = unit not in self.recent and unit not in self._older
            self._enter((unit,))
            return new

    def settle(self) -> int:
        """Enter what is pending, with the lock held; return how many units were not remembered before."""
        pending, count = self.pending, len(self.pending)
        units = list(map(_exact, pending[:count]))
        del pending[:count]  # other threads note more meanwhile
        return self._enter(units)

    def _enter(self, units: Iterable[str]) -> int:
        exposures, recent, older = self._exposures, self.recent, self._older
        before, moved, slot = len(recent), 0, exposures.slot
        for unit in units:
            if unit not in recent:
                if unit in older:
                    recent[unit] = older[unit]
                    moved += 1
                else:
                    recent[unit] = slot
        entered = len(recent) - before
        exposures.used.add(self)
        exposures.room -= entered
        if exposures.room <= 0:
            exposures.turn()
        return entered - moved

    def forget(self, unit: str) -> None:
        """Let the unit count as new again: its exposure could not be queued."""
        with self._exposures.lock:
            for generation in (self.recent, self._older):
                generation.pop(unit, None)

    def turn(self) -> None:
        """Make the recent generation the older one, with the lock held."""
        self.recent, self._older = _generation(), self.recent

    def forget_slots(self, last: int) -> None:
        """Forget what was entered up to a slot of time, with the lock held."""
        self.recent, self._older = _younger(self.recent, last), _younger(self._older, last)

    def is_empty(self) -> bool:
        """Return whether no unit is remembered or pending."""
        return len(self.recent) + len(self._older) == 2 * len(_generation()) and not self.pending


class Exposures:
    """All arms, in bounded memory together.

    Only `tidy` looks at the time, so that an exposure costs its caller no clock.

    Args:
        met: what is called with each unit that is not in its arm's recent generation, and finds out by
            `Arm.enter` whether it is new; None where exposures are counted and no more.
        capacity: how many units are remembered at most.
        lifetime: for how many seconds.

    Attributes:
        met: as given.
        lock: held while something is entered or forgotten.
        room: how many units may be entered until the generations are turned.
        slot: numbers the time between two calls of `tidy`.
        used: the arms whose recent generation has been entered; of thousands there may be few.
        tidy_at: the monotonic time at which `tidy` should be called.
    """

    def __init__(
        self, met: Meet | None, capacity: int = MAX_REMEMBERED, lifetime: float = LIFETIME_SECONDS
    ) -> None:
        self.met = met
        self.lock = threading.RLock()  # a signal handler may expose while its own thread holds it
        self.room = self._generation_size = max(1, capacity // 2)
        self.slot = _NO_SLOT + 1
        self.used: set[Arm] = set()
        self._used_before: set[Arm] = set()
        self.tidy_at = monotonic() + lifetime / _TIDIES_A_LIFETIME
        self._lifetime = lifetime
        self._arms: dict[tuple[str, str, int, str], Arm] = {}
        self._ends: deque[tuple[float, int]] = deque()  # of slots
        self._counted = 0
        self._settling = False

    def arm(self, unit_type: str, experiment: str, revision: int, variant: str) -> Arm:
        """Return the arm of these, always the same one."""
        key = (unit_type, experiment, revision, variant)
        arm = self._arms.get(key)
        return self._arms.setdefault(key, Arm(self, *key)) if arm is None else arm

    def settle(self, arm: Arm) -> None:
        """Count the pending units of an arm that are new."""
        with self.lock:
            if self._settling:  # a signal handler in the middle of it; the next time will do
                return
            self._settling = True
            try:
                self._counted += arm.settle()
            finally:
                self._settling = False

    def count(self) -> int:
        """Return how many exposures there were so far, where they are counted and no more."""
        with self.lock:
            for arm in list(self._arms.values()):
                self.settle(arm)
            return self._counted

    def turn(self) -> None:
        """Make the recent generations the older ones."""
        with self.lock:
            self.room = self._generation_size
            for arm in self.used | self._used_before:
                arm.turn()
            self.used, self._used_before = set(), self.used

    def tidy(self) -> None:
        """Forget what was remembered a whole lifetime ago, or up to a twelfth longer."""
        with self.lock:
            now = monotonic()
            self._ends.append((now, self.slot))
            self.slot += 1
            last = _NO_SLOT
            while self._ends[0][0] <= now - self._lifetime:
                last = self._ends.popleft()[1]
            for arm in list(self._arms.values()) if last else ():
                arm.forget_slots(last)
            self.tidy_at = now + self._lifetime / _TIDIES_A_LIFETIME

    def prune(self) -> None:
        """Let go of arms without units; before another configuration comes, so that old revisions go."""
        with self.lock:
            for key, arm in list(self._arms.items()):
                if arm.is_empty():
                    del self._arms[key]


def _generation() -> Generation:
    """Return an empty generation: one key that is no unit.

    With a key in it that is no text, CPython compares the hashes that the dictionary keeps before it looks at
    the texts, which lie anywhere in memory: a unit that is not there is found missing in half the time.
    """
    return {None: _NO_SLOT}


def _younger(generation: Generation, last: int) -> Generation:
    """Return what is left of a generation without the units up to a slot."""
    return _generation() | {unit: slot for unit, slot in generation.items() if slot > last}
