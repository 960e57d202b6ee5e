"""What happens to the clients of a process when it forks or ends."""

import atexit
import os
import sys
import threading
import weakref
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from equipoise._client import Client

EXIT_SECONDS: Final = 5.0
"""How long all clients of a process together may hold its exit to send what is queued."""

_living: "weakref.WeakSet[Client]" = weakref.WeakSet()
_lock = threading.RLock()
_registered_in: int | None = None


def enrol(client: "Client") -> None:
    """Let a client know of forks and exits for as long as it lives."""
    with _lock:
        _living.add(client)


def close_at_exit() -> None:
    """Arrange that the clients of this process are closed when it ends cleanly; once a process."""
    global _registered_in
    with _lock:
        if _registered_in == os.getpid():
            return
        if _registered_in is None:  # a forked child inherits the registration
            atexit.register(_close_all)
        _registered_in = os.getpid()
        _close_at_exit_of_multiprocessing()


def _close_at_exit_of_multiprocessing() -> None:
    """Register in a child of multiprocessing, which leaves by `os._exit` and so passes atexit by."""
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, _close_all, exitpriority=100)


def _close_all() -> None:
    deadline = monotonic() + EXIT_SECONDS
    for client in list(_living):
        client.close(timeout=max(0.0, deadline - monotonic()))


def _restart_all() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it
    for client in list(_living):
        client._restart_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
