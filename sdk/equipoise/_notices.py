"""What the client tells the application's log: each thing once, until it has been well again."""

import logging
import threading
from typing import Final

logger = logging.getLogger("equipoise")

_MAX_REMEMBERED: Final = 200


class Notices:
    """Says each thing once, so that an outage does not flood the log of a busy service."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._said: set[str] = set()

    def warning(self, topic: str, message: str, *arguments: object) -> None:
        """Log a warning unless this topic has been said since it was last settled."""
        if self._is_new(topic):
            logger.warning(message, *arguments)

    def error(self, topic: str, message: str, *arguments: object) -> None:
        """Log an error unless this topic has been said since it was last settled."""
        if self._is_new(topic):
            logger.error(message, *arguments)

    def settle(self, topic: str, message: str) -> None:
        """Log that a topic is well again, if it was said; it may be said again."""
        with self._lock:
            if topic not in self._said:
                return
            self._said.discard(topic)
        logger.info(message)

    def _is_new(self, topic: str) -> bool:
        with self._lock:
            if topic in self._said or len(self._said) >= _MAX_REMEMBERED:
                return False
            self._said.add(topic)
            return True
