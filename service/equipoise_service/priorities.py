"""Threads that compute for long give way to those that somebody waits for."""

import os
import sys

# Of the processor time that both want, such a thread gets a tenth of what the others get. More would leave
# those that it helps, such as a commit of events that it has a part of, waiting for it.
_STEP = 10


def give_way() -> None:
    """Have this thread, and the threads that it starts, run when others of the process leave time.

    Without rights it cannot be taken back: call it in a thread that does nothing else. On systems that know
    priorities of whole processes only, nothing happens.
    """
    if sys.platform == "linux":
        # On Linux this is of the thread, whatever POSIX says: see setpriority(2).
        os.nice(_STEP)
