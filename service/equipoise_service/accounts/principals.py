"""Who sends a request: the keys of all environments, held in memory so that no request reads the database."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers

from equipoise_service.accounts import repository, secrets
from equipoise_service.database import Database
from equipoise_service.errors import Forbidden, Unauthenticated


class Scope(StrEnum):
    """What a key may do."""

    EVALUATE = "evaluate"
    INGEST = "ingest"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a valid key.

    Attributes:
        public_id: The key's public id.
        project_id: Internal id of the project.
        environment_id: Internal id of the environment.
        project: The project's key.
        environment: The environment's key.
        scopes: What the key may do.
        expires_at: When the key ends, in seconds since 1970, or infinity.
        secret_hash: Hash of the key's secret.
    """

    public_id: str
    project_id: int
    environment_id: int
    project: str
    environment: str
    scopes: frozenset[Scope]
    expires_at: float
    secret_hash: bytes

    @property
    def place(self) -> str:
        """Project and environment as one text, which facts in the event store are marked with."""
        return f"{self.project}/{self.environment}"


class Principals:
    """All valid keys, by public id; `refresh` swaps in a new table at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_id: Mapping[str, Principal] = {}
        # One refresh at a time, or a revoked key could come back with what was read before.
        self._refreshing = threading.Lock()

    def refresh(self) -> None:
        """Read the keys again."""
        with self._refreshing, self._database.read() as session:
            self._by_id = {
                key.public_id: Principal(
                    public_id=key.public_id,
                    project_id=environment.project_id,
                    environment_id=key.environment_id,
                    project=project.key,
                    environment=environment.key,
                    scopes=frozenset(Scope(scope) for scope in key.scopes.split()),
                    expires_at=key.expires_at.timestamp() if key.expires_at else float("inf"),
                    secret_hash=key.secret_hash,
                )
                for key, environment, project in repository.valid_keys(session)
            }

    def authenticate(self, request: Request, scope: Scope) -> Principal:
        """The principal of a request, read from `Authorization: Bearer KEY` or `X-API-Key: KEY`.

        Raises:
            Unauthenticated: No key, or not a valid one.
            Forbidden: The key has not the scope.
        """
        return self.admit(self.prove(request.headers), scope)

    def prove(self, headers: Headers) -> str:
        """The public id of a request's key, whose secret is right.

        Raises:
            Unauthenticated: No key, or not a valid one.
        """
        text = headers.get("authorization", "")
        text = text[7:].strip() if text[:7].lower() == "bearer " else headers.get("x-api-key", "")
        parts = secrets.split_key(text)
        found = self._by_id.get(parts[0]) if parts else None
        if parts is None or found is None:
            raise Unauthenticated
        if not secrets.same_hash(found.secret_hash, secrets.hash_secret(parts[1])):
            raise Unauthenticated
        return found.public_id

    def admit(self, public_id: str, scope: Scope) -> Principal:
        """The principal of a key that was proven already: whether it is still valid, and has the scope.

        Raises:
            Unauthenticated: There is no such key any more.
            Forbidden: The key has not the scope.
        """
        found = self._by_id.get(public_id)
        if found is None or found.expires_at <= time.time():
            raise Unauthenticated
        if scope not in found.scopes:
            raise Forbidden
        return found


_bearer = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer eq_…`.")

# OpenAPI's name of the scheme, for routes that authenticate without a dependency.
SECURITY: list[dict[str, list[str]]] = [{"HTTPBearer": []}]


def _requires(scope: Scope) -> object:
    def principal(request: Request, _documented: Annotated[object, Depends(_bearer)]) -> Principal:
        principals: Principals = request.app.state.principals
        return principals.authenticate(request, scope)

    return Depends(principal)


Reader = Annotated[Principal, _requires(Scope.READ)]
Writer = Annotated[Principal, _requires(Scope.WRITE)]
Admin = Annotated[Principal, _requires(Scope.ADMIN)]
