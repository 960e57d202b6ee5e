"""Fetches the configuration and keeps the newest one that could be read."""

import threading
from time import monotonic

from equipoise import _backoff
from equipoise._notices import Notices
from equipoise._settings import Settings
from equipoise.configuration import Configuration, load
from equipoise.errors import ConfigurationError
from equipoise.transport import Answer, Transport, TransportError

_TOPIC = "configuration"


class Polling:
    """The latest configuration, and when to ask for the next. `step` is the worker's alone.

    Attributes:
        configuration: an immutable snapshot, swapped as a whole; None until the first arrives.
        ready: set once there is one.
        due: the monotonic time of the next request.
    """

    def __init__(
        self, settings: Settings, transport: Transport, notices: Notices, configuration: Configuration | None
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._notices = notices
        self._etag: str | None = None
        self._failures = 0
        self.configuration = configuration
        self.ready = threading.Event()
        if configuration is not None:
            self.ready.set()
        self.due = 0.0

    def step(self) -> None:
        """Ask for the configuration once; whatever comes, evaluation goes on with the last good one."""
        headers = {} if self._etag is None else {"If-None-Match": self._etag}
        try:
            answer = self._transport.get("/v1/config", headers, self._settings.timeout)
        except TransportError as error:
            self._fail(None, f"the service cannot be reached ({error})")
            return
        if answer.status == 200:
            self._adopt(answer)
        elif answer.status == 304 and self._etag is not None:
            self._succeed()
        elif answer.status in (401, 403):
            self._fail(
                answer.retry_after, f"the key is refused ({answer.status}): give one with scope evaluate"
            )
        else:
            self._fail(answer.retry_after, f"the service answered {answer.status}; check the url")

    def _adopt(self, answer: Answer) -> None:
        try:
            configuration = load(answer.body)
        except ConfigurationError as error:
            self._fail(answer.retry_after, f"the configuration cannot be read ({error})")
            return
        self._etag = answer.etag
        self.configuration = configuration
        self.ready.set()
        self._succeed()

    def _succeed(self) -> None:
        self._failures = 0
        self._notices.settle(_TOPIC, "The configuration arrives again.")
        self.due = monotonic() + _backoff.earlier(self._settings.poll_interval)

    def _fail(self, retry_after: float | None, problem: str) -> None:
        self._failures += 1
        self.due = monotonic() + _backoff.delay(self._failures, retry_after)
        self._notices.warning(
            _TOPIC,
            "No new configuration from %s: %s. Evaluation goes on with %s; asking again.",
            self._settings.url,
            problem,
            "the callers' defaults" if self.configuration is None else "the last one",
        )
