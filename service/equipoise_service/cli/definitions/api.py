"""Requests of the service's API that these commands send."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from equipoise_service.cli.failures import Failure

# A test of a source takes minutes.
_SECONDS = 600.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Entity:
    """What the service has, and the ETag that a change of it needs."""

    body: dict[str, Any]
    etag: str


class Api:
    """The API of one service, with one key.

    Args:
        url: The service's address.
        key: The key.
    """

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def all(self, path: str) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor = ""
        while True:
            page = self._ask("GET", f"{path}?limit=500{cursor}").body
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={quote(page['next_cursor'])}"

    def get(self, path: str) -> Entity:
        """One entity."""
        return self._ask("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What a question that is a POST is answered."""
        return self._ask("POST", path, body).body

    def create(self, path: str, body: dict[str, Any]) -> None:
        """Make an entity, once however often the request has to be sent."""
        self._ask("POST", path, body, {"Idempotency-Key": uuid.uuid4().hex})

    def send(
        self, method: str, path: str, body: dict[str, Any] | None = None, etag: str | None = None
    ) -> None:
        """Change something, when it still has the ETag."""
        self._ask(method, path, body, {} if etag is None else {"If-Match": etag})

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Entity:
        payload = None if body is None else msgspec.json.encode(body)
        sent = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        # Only what can be sent twice is: a change that was made answers 412 to its repetition.
        tries = _TRIES if method == "GET" or "Idempotency-Key" in sent else 1
        while True:
            tries -= 1
            try:
                status, etag, answer = self._exchange(method, path, sent, payload)
                break
            except (OSError, HTTPException) as error:
                if not tries:
                    raise Failure(f"The service at {self._url} cannot be reached: {error}.") from None
        decoded = self._decoded(answer)
        if status >= 400:
            said = decoded.get("detail", f"it answered {status}; is it an Equipoise service?")
            raise Failure(f"{method} {path.partition('?')[0]}: {said}")
        return Entity(decoded, etag)

    def _exchange(
        self, method: str, path: str, headers: dict[str, str], payload: bytes | None
    ) -> tuple[int, str, bytes]:
        parts = urlsplit(self._url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        try:
            connection.request(method, parts.path.rstrip("/") + path, payload, headers)
            response = connection.getresponse()
            return response.status, response.getheader("ETag") or "", response.read()
        finally:
            connection.close()

    def _decoded(self, body: bytes) -> dict[str, Any]:
        if not body:
            return {}
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            return {}
