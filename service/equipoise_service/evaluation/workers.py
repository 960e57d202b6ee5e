"""Where a large request is evaluated: beside the event loop, so that no other request waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_SMALL_BYTES = 2_048
"""A body of that size is answered in less time than a change of threads is worth noticing: it holds some
hundred units with short attributes, or few with long ones."""

_SMALL_FLAGS = 200

# Not the threads of the other routes: large requests wait for each other, and for nobody else. Few, because
# each that runs takes its turns from the event loop.
_workers = ThreadPoolExecutor(2, "evaluation")


async def answered(body: bytes, answer: Callable[[], T], flags: int = 1) -> T:
    """Answer a request: at once when it is small, in a thread when it could take long.

    Args:
        body: The request's body, with all that is evaluated.
        answer: Makes the answer; of immutable data, in any thread.
        flags: How many flags are evaluated.
    """
    if len(body) <= _SMALL_BYTES and flags <= _SMALL_FLAGS:
        return answer()
    return await asyncio.get_running_loop().run_in_executor(_workers, answer)
