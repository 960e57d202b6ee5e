"""Fetches the configuration and keeps the newest one that could be read."""

import threading
from time import monotonic

from equipoise import _backoff, _last_good
from equipoise._exposures import Exposures
from equipoise._notices import Notices
from equipoise._settings import Settings
from equipoise._snapshot import Snapshot, View
from equipoise.configuration import Configuration, load
from equipoise.errors import ConfigurationError
from equipoise.transport import Answer, Transport, TransportError

_TOPIC = "configuration"
_FILE_TOPIC = "last_known_good"


class Polling:
    """When to ask for the configuration, and what to do with it. `step` is the worker's alone.

    Attributes:
        ready: set once there is a configuration.
        arrived: whether the service itself has sent one.
        due: the monotonic time of the next request.
    """

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        notices: Notices,
        snapshot: Snapshot,
        exposures: Exposures,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._notices = notices
        self._snapshot = snapshot
        self._exposures = exposures
        self._failures = 0
        self._asked = False
        self.ready = threading.Event()
        self.arrived = False
        self._etag: str | None = None
        self.due = 0.0

    def show(self, configuration: Configuration) -> None:
        """Put a configuration in force."""
        self._exposures.prune()  # before: a view holds its arms as long as it lives
        self._snapshot.view = View(configuration, self._exposures)
        self.ready.set()

    def ask(self) -> None:
        """Have the configuration fetched now, or again where it is being fetched. From any thread."""
        self._asked = True
        self.due = 0.0

    def step(self) -> None:
        """Ask for the configuration once; whatever comes, evaluation goes on with the last good one."""
        self._asked = False
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
        self.arrived = True
        self.show(configuration)
        self._succeed()
        self._keep(answer.body)

    def _keep(self, document: bytes) -> None:
        path = self._settings.last_known_good
        if path is None:
            return
        try:
            _last_good.save(path, document)
        except OSError as error:
            self._notices.warning(_FILE_TOPIC, "The configuration could not be kept in %s: %s", path, error)
        else:
            self._notices.settle(_FILE_TOPIC, "The configuration is kept again.")

    def _read_last_good(self) -> None:
        """Begin with the configuration that an earlier process kept."""
        path = self._settings.last_known_good
        if path is None:
            return
        try:
            self.show(_last_good.read(path))
        except FileNotFoundError:  # the first start
            return
        except (OSError, ConfigurationError) as error:
            self._notices.warning(_FILE_TOPIC, "The configuration kept in %s is unusable: %s", path, error)

    def _succeed(self) -> None:
        self._failures = 0
        self._notices.settle(_TOPIC, "The configuration arrives again.")
        self.due = monotonic() + _backoff.earlier(self._settings.poll_interval)
        if self._asked:  # after this one was on its way
            self.due = 0.0

    def _fail(self, retry_after: float | None, problem: str) -> None:
        self._failures += 1
        if self._snapshot.view is None:
            self._read_last_good()
        self.due = monotonic() + _backoff.delay(self._failures, retry_after)
        self._notices.warning(
            _TOPIC,
            "No new configuration from %s: %s. Evaluation goes on with %s; asking again.",
            self._settings.url,
            problem,
            "the callers' defaults" if self._snapshot.view is None else "the last one",
        )
