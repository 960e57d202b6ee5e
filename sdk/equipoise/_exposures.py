"""Which exposures have been logged, so that a unit's exposure to a revision is logged once."""

import threading
from time import monotonic
from typing import Final

ExposureKey = tuple[str, str, int | None, str | None]
"""(unit, experiment, revision, variant); with the variant, so that a crossover is never hidden."""

MAX_REMEMBERED: Final = 65_536
"""How many exposures are remembered at most."""

LIFETIME_SECONDS: Final = 3600.0
"""How long an exposure is remembered; one that lasts longer is logged again, which analysis expects."""

_TIDIES_A_LIFETIME: Final = 12


class Exposures:
    """Remembers recent exposures in bounded memory, and takes no lock to do so.

    Two generations approximate least-recently-used order: a key found in the older one moves to the recent
    one, and a full recent one becomes the older. A key is kept with the moment it was first seen, a float
    object of its own; `dict.setdefault` is one atomic step, so of many threads that insert a key, the one
    whose object is in the dictionary afterwards was the first.

    Only `tidy` looks at the time, so that an exposure seen before costs its caller one lookup and no clock.

    Attributes:
        tidy_at: the monotonic time at which `tidy` should be called.
    """

    def __init__(self, capacity: int = MAX_REMEMBERED, lifetime: float = LIFETIME_SECONDS) -> None:
        self._generation_size = max(1, capacity // 2)
        self._lifetime = lifetime
        self._turning = threading.RLock()  # a signal handler may expose while its own thread turns
        # One tuple, so that a thread sees both generations of one moment: the recent and the older one.
        self._generations: tuple[dict[ExposureKey, float], dict[ExposureKey, float]] = ({}, {})
        self.tidy_at = monotonic() + lifetime / _TIDIES_A_LIFETIME

    def is_first(self, key: ExposureKey) -> bool:
        """Remember the exposure; return whether it was not remembered before. One caller gets True."""
        recent, older = self._generations
        if key in recent:
            return False
        moved = older.get(key)
        mine = monotonic() if moved is None else moved
        found = recent.setdefault(key, mine)
        if self._generations[0] is not recent:
            # Turned or tidied meanwhile: others may have looked before the key was in, and now look into the
            # present generation. There it is decided.
            with self._turning:
                found = self._generations[0].setdefault(key, found)
        elif len(recent) >= self._generation_size:
            self._turn(recent)
        return moved is None and found is mine

    def forget(self, key: ExposureKey) -> None:
        """Let the exposure count as new again: it could not be queued."""
        with self._turning:
            for generation in self._generations:
                generation.pop(key, None)

    def tidy(self) -> None:
        """Forget what has been remembered for its whole lifetime."""
        with self._turning:
            oldest = monotonic() - self._lifetime
            # Copied first, in one atomic step: other threads insert meanwhile.
            recent, older = (
                {key: since for key, since in generation.copy().items() if since > oldest}
                for generation in self._generations
            )
            self._generations = (recent, older)
            self.tidy_at = monotonic() + self._lifetime / _TIDIES_A_LIFETIME

    def _turn(self, full: dict[ExposureKey, float]) -> None:
        with self._turning:
            if self._generations[0] is full:
                self._generations = ({}, full)
