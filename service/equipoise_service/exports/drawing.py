"""Drawing in a process of its own: what draws holds the interpreter for as long as it draws.

In the process that answers requests, a figure would stop all of them for a tenth of a second or more.
"""

import asyncio
import multiprocessing
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from equipoise_service.errors import Unavailable
from equipoise_service.exports.making import Export, export

_MOST_WAITING = 8
_SECONDS = 60.0
# What draws keeps some memory of each figure.
_MOST_DRAWN = 100
_ENDED = "The process that draws ended; ask again."


class Drawing:
    """One process that draws, started when something is drawn for the first time."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()
        self._waiting = 0
        self._drawn = 0

    async def draw(
        self, form: Export, body: bytes, earlier: Sequence[bytes], figure: str | None
    ) -> bytes | None:
        """Have an export made, see `making.export`.

        Raises:
            Unavailable: Too many wait already, it takes too long, or the process ended.
        """
        if self._waiting >= _MOST_WAITING:
            raise Unavailable(
                f"{_MOST_WAITING} exports are being drawn; ask again in a moment.", retry_after=5
            )
        self._waiting += 1
        self._drawn += 1
        pool = self._started()
        try:
            work = asyncio.wrap_future(pool.submit(export, form, body, list(earlier), figure))
            return await asyncio.wait_for(work, _SECONDS)
        except TimeoutError:
            self._end(pool)
            raise Unavailable(f"Drawing took more than {_SECONDS:g} seconds.", retry_after=60) from None
        except BrokenProcessPool:
            self._end(pool)
            raise Unavailable(_ENDED) from None
        except asyncio.CancelledError:
            # The process ended for another one's export, or nobody waits for this one any more.
            if _is_cancelled():
                raise
            raise Unavailable(_ENDED) from None
        finally:
            self._waiting -= 1
            # Not the pool's own `max_tasks_per_child`: where several waited, it starts no process any more.
            if self._drawn >= _MOST_DRAWN and not self._waiting:
                self._end(pool)

    def close(self) -> None:
        """End the process; what is being drawn is given up."""
        if self._pool is not None:
            self._end(self._pool)

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    max_workers=1,
                    # Not forked: a fork of a process with threads and open databases is not safe.
                    mp_context=multiprocessing.get_context("spawn"),
                )
            return self._pool

    def _end(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool, self._drawn = None, 0
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)


def _is_cancelled() -> bool:
    """Whether who waits here was cancelled itself."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
