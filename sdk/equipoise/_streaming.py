"""Listens for changes of the configuration, as server-sent events, where the service offers them.

An event only says that there is something to fetch: the worker fetches it as it always does. So there is one
way in which configurations arrive, and polling goes on beside the stream, in case an event is lost.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Final

from equipoise import _backoff
from equipoise._event_stream import EventStream
from equipoise._settings import Settings
from equipoise.transport import Transport, TransportError

_SILENCE_SECONDS: Final = 60.0
"""How long a stream may say nothing, not even a comment, before it is taken for dead."""

_NOT_OFFERED: Final = (404, 405, 406, 501)
_ASK_AGAIN_SECONDS: Final = 600.0


class Streaming:
    """The thread that listens; it starts once the service has sent a configuration.

    Args:
        settings: where the service is.
        poll_now: has the configuration fetched; called from this thread.
    """

    def __init__(self, settings: Settings, poll_now: Callable[[], None]) -> None:
        self._settings = settings
        self._poll_now = poll_now
        self._lock = threading.Lock()
        self._started = False
        self._ended = threading.Event()
        self._stream: EventStream | None = None

    def start(self) -> None:
        """Start the thread, once; where the system gives none, polling has to do."""
        if self._started:
            return
        self._started = True
        with suppress(RuntimeError):
            threading.Thread(target=self._run, name="equipoise-stream", daemon=True).start()

    def stop(self) -> None:
        """End the thread. Never blocks."""
        with self._lock:
            self._ended.set()
            if self._stream is not None:
                self._stream.abort()

    def _run(self) -> None:
        failures = 0
        while not self._ended.is_set():
            wait = None
            try:
                stream = Transport(self._settings.url, self._settings.key).stream(
                    "/v1/config/stream", self._settings.timeout, _SILENCE_SECONDS
                )
            except TransportError:
                stream = None
            if stream is not None and stream.status == 200:
                if self._listen(stream):
                    failures = 0
            elif stream is not None:
                stream.close()
                wait = _ASK_AGAIN_SECONDS if stream.status in _NOT_OFFERED else stream.retry_after
            failures += 1
            self._ended.wait(_backoff.delay(failures, wait))

    def _listen(self, stream: EventStream) -> bool:
        """Have the configuration fetched at each event until the stream ends; return whether any came."""
        with self._lock:
            if self._ended.is_set():
                stream.close()
                return False
            self._stream = stream
        heard = False
        try:
            # The first one tells of the present configuration, so that nothing is missed.
            for event in stream.events():
                heard = True
                if event == "config":
                    self._poll_now()
        except (OSError, HTTPException, ValueError):
            pass  # it is opened again, and polling goes on meanwhile
        finally:
            with self._lock:
                self._stream = None
            stream.close()
        return heard
