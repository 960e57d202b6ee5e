"""Which exposures have been logged, so that a unit's exposure to a revision is logged once."""

import threading
from collections import deque
from itertools import count
from time import monotonic
from typing import Final

MAX_REMEMBERED: Final = 65_536
"""How many exposures are remembered at most, of all arms together."""

LIFETIME_SECONDS: Final = 3600.0
"""How long an exposure is remembered; one that lasts longer is logged again, which analysis expects."""

Shortcut = dict[str, object]
"""By unit, the assignment that it met before."""

_TIDIES_A_LIFETIME: Final = 12


class Arm:
    """The units that lately met one variant of one revision; with the variant, a crossover is never hidden.

    Two generations approximate least-recently-used order: a unit found in the older one moves to the recent
    one, and now and then the recent one becomes the older. A unit is kept with a serial number of its own;
    `dict.setdefault` is one atomic step, so of many threads that insert a unit, the one whose number is in
    the dictionary afterwards was the first. No lock is taken for that.

    Attributes:
        unit_type: what is randomised.
        experiment: the experiment's key.
        revision: the revision that assigned the units.
        variant: the variant's key.
        generations: the recent and the older one; in one tuple, so that a thread sees both of one moment.
    """

    __slots__ = ("_exposures", "experiment", "generations", "revision", "unit_type", "variant")

    def __init__(
        self, exposures: "Exposures", unit_type: str, experiment: str, revision: int, variant: str
    ) -> None:
        self._exposures = exposures
        self.unit_type = unit_type
        self.experiment = experiment
        self.revision = revision
        self.variant = variant
        self.generations: tuple[dict[str, int], dict[str, int]] = ({}, {})

    def is_first(self, unit: str) -> bool:
        """Remember the unit; return whether it was not remembered before. One caller gets True.

        Whoever cares for speed looks into `generations[0]` before.
        """
        exposures = self._exposures
        serial = next(exposures.serials)  # one atomic step
        recent, older = self.generations
        moved = older.get(unit)
        mine = serial if moved is None else moved
        found = recent.setdefault(unit, mine)
        if self.generations[0] is not recent:
            # Turned or tidied meanwhile: others may have looked before the unit was in, and now look into
            # the present generation. There it is decided.
            with exposures.turning:
                recent, older = self.generations
                found = recent.setdefault(unit, older.get(unit, found))
        if serial % exposures.generation_size == 0:
            exposures.turn()
        return found == serial

    def forget(self, unit: str) -> None:
        """Let the unit count as new again: its exposure could not be queued."""
        with self._exposures.turning:
            for generation in self.generations:
                generation.pop(unit, None)
            self._exposures.clear_met()


class Exposures:
    """All arms, in bounded memory together.

    Only `tidy` looks at the time, so that an exposure costs its caller no clock.

    Attributes:
        generation_size: after how many units the generations are turned.
        serials: numbers what enters a generation.
        turning: held while generations are exchanged.
        tidy_at: the monotonic time at which `tidy` should be called.
    """

    def __init__(self, capacity: int = MAX_REMEMBERED, lifetime: float = LIFETIME_SECONDS) -> None:
        self.generation_size = max(1, capacity // 2)
        self.serials = count(1)
        self.turning = threading.RLock()  # a signal handler may expose while its own thread turns
        self.tidy_at = monotonic() + lifetime / _TIDIES_A_LIFETIME
        self._lifetime = lifetime
        self._arms: dict[tuple[str, str, int, str], Arm] = {}
        self._met: dict[str, Shortcut] = {}
        self._marks: deque[tuple[float, int]] = deque([(monotonic(), 0)])

    def arm(self, unit_type: str, experiment: str, revision: int, variant: str) -> Arm:
        """Return the arm of these, always the same one."""
        key = (unit_type, experiment, revision, variant)
        arm = self._arms.get(key)
        return self._arms.setdefault(key, Arm(self, *key)) if arm is None else arm

    def met(self, flag: str) -> Shortcut:
        """Return the flag's shortcut, always the same one.

        It holds nothing that is not in a recent generation, and is emptied whenever those change.
        """
        return self._met.setdefault(flag, {})

    def clear_met(self) -> None:
        """Empty the shortcuts of all flags."""
        for met in list(self._met.values()):
            met.clear()

    def turn(self) -> None:
        """Make the recent generations the older ones."""
        with self.turning:
            self.clear_met()
            for arm in list(self._arms.values()):
                arm.generations = ({}, arm.generations[0])

    def tidy(self) -> None:
        """Forget what was remembered a whole lifetime ago, or up to a twelfth longer."""
        with self.turning:
            self.clear_met()
            now = monotonic()
            serial = next(self.serials)
            if serial % self.generation_size == 0:
                self.turn()
            self._marks.append((now, serial))
            oldest = 0
            while self._marks[0][0] <= now - self._lifetime:
                oldest = self._marks.popleft()[1]
            for arm in list(self._arms.values()) if oldest else ():
                # Copied first, in one atomic step: other threads insert meanwhile.
                recent, older = (
                    {unit: serial for unit, serial in generation.copy().items() if serial > oldest}
                    for generation in arm.generations
                )
                arm.generations = (recent, older)
            self.tidy_at = now + self._lifetime / _TIDIES_A_LIFETIME

    def prune(self) -> None:
        """Let go of arms without units; when another configuration comes, so that old revisions go."""
        with self.turning:
            for key, arm in list(self._arms.items()):
                if not any(arm.generations):
                    del self._arms[key]
            self.clear_met()
