"""One interpreter for those who wait for milliseconds and those who compute for seconds.

Requests are answered by an event loop; events are stored and readouts computed by threads beside it, and one
of them runs Python at a time. Who is asked must not wait for the others' turns to end.
"""

import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# The event loop takes its turn several times in a request, and each time waits for this long at most.
# Python's own 5 ms would make that tens of milliseconds while a readout is computed; 0.2 ms would take a
# quarter of the batches that are stored a second, and with half a millisecond they are as many as with one.
_TURN_SECONDS = 0.0005
_FULL = 2


@contextmanager
def shared_interpreter() -> Iterator[None]:
    """Share the interpreter as a service needs it: short turns, and no long search for garbage.

    A full collection visits every object while nothing else runs: with all the modules that analyses need,
    that takes a fifth of a second. So what is there at the start is left out of it, and, once more, what is
    there after the first full collection: by then the modules that the first readout imports.
    """
    turn = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    gc.freeze()
    gc.callbacks.append(_freeze_once)
    try:
        yield
    finally:
        if _freeze_once in gc.callbacks:
            gc.callbacks.remove(_freeze_once)
        gc.unfreeze()
        sys.setswitchinterval(turn)


def _freeze_once(phase: str, info: Mapping[str, int]) -> None:
    # Once only: of what is there at any moment some becomes garbage, which would never be found again.
    if phase == "stop" and info["generation"] == _FULL and _freeze_once in gc.callbacks:
        gc.callbacks.remove(_freeze_once)
        gc.freeze()
