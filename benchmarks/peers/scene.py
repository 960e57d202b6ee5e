"""What every library is asked: one flag, two arms of one half each, for units of three countries."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FLAG = "checkout"
COUNTRIES = ("DE", "AT", "CH")
ARMS = ("control", "treatment")
OFF = "off"
HERE, ELSEWHERE = COUNTRIES[0], "US"
CHECKED = 4_000


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, set up offline from a local configuration.

    Attributes:
        name: What is measured, with what happens to exposures.
        run: Evaluates the flag for each unit from `HERE`: the loop that is measured, without a call between.
        arm: What a unit from a country gets; no arm elsewhere.
        close: Ends what the library has started.
    """

    name: str
    run: Callable[[Sequence[str]], None]
    arm: Callable[[str, str], object]
    close: Callable[[], object] = lambda: None


def check(peer: Peer) -> None:
    """Make sure that a library does what is measured.

    Raises:
        RuntimeError: It does not split units from `HERE` in halves, or gives an arm to one from elsewhere.
    """
    arms = Counter(peer.arm(f"unit-{number}", HERE) for number in range(CHECKED))
    if set(arms) != set(ARMS) or abs(arms[ARMS[0]] - CHECKED / 2) > 6 * CHECKED**0.5 / 2:
        raise RuntimeError(f"{peer.name} does not split in halves: {dict(arms)}")
    elsewhere = {peer.arm(f"unit-{number}", ELSEWHERE) for number in range(100)}
    if elsewhere & set(ARMS):
        raise RuntimeError(f"{peer.name} gives an arm to a unit outside the audience: {elsewhere}")
