"""Creating requests that may be sent again: the same Idempotency-Key gets the same answer."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Header, Response
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from sqlalchemy import delete
from sqlmodel import Field, Session, SQLModel, col

from equipoise_service.database import UtcDateTime
from equipoise_service.errors import Conflict, InvalidPayload

KEPT_FOR = timedelta(hours=24)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="A value of your own, for example a UUID. Sending the request again with it, within 24 "
        "hours, gives the first answer again and creates nothing.",
    ),
]


class IdempotentAnswer(SQLModel, table=True):
    """The answer that was given to a creating request with an Idempotency-Key."""

    __tablename__ = "idempotent_answer"

    caller: str = Field(primary_key=True)
    idempotency_key: str = Field(primary_key=True)
    request_digest: str
    status: int
    headers: str
    body: bytes
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)


@dataclass(frozen=True, slots=True)
class Created:
    """What a creating request made.

    Attributes:
        entity: Its representation, which the request is answered with.
        headers: Response headers.
        remembered: What a repetition is answered with, where that must differ: secrets are shown once.
    """

    entity: BaseModel
    headers: dict[str, str]
    remembered: BaseModel | None = None


def create_once(
    session: Session,
    caller: str,
    idempotency_key: str | None,
    request: tuple[str, BaseModel],
    create: Callable[[], Created],
) -> Response:
    """Create an entity and answer 201, at most once an Idempotency-Key.

    Args:
        session: The write transaction that the entity is created in; the answer is stored in it too.
        caller: Identifies who sends the request: keys of different callers never meet.
        idempotency_key: The header; absent, the entity is created in any case.
        request: Route and payload, to tell a repetition from another request under the same key.
        create: Creates the entity.

    Raises:
        Conflict: The Idempotency-Key was used with another request.
        InvalidPayload: A string of the payload is not valid Unicode.
    """
    digest = _digest(*request)
    if idempotency_key is not None:
        session.connection().execute(
            delete(IdempotentAnswer).where(col(IdempotentAnswer.created_at) < datetime.now(UTC) - KEPT_FOR)
        )
        before = session.get(IdempotentAnswer, (caller, idempotency_key))
        if before is not None:
            return _replay(before, digest)
    created = create()
    if idempotency_key is not None:
        session.add(
            IdempotentAnswer(
                caller=caller,
                idempotency_key=idempotency_key,
                request_digest=digest,
                status=201,
                headers="\n".join(f"{name}: {value}" for name, value in created.headers.items()),
                body=(created.remembered or created.entity).model_dump_json().encode(),
                created_at=datetime.now(UTC),
            )
        )
    return Response(
        created.entity.model_dump_json(),
        status_code=201,
        media_type="application/json",
        headers=created.headers,
    )


def _digest(route: str, payload: BaseModel) -> str:
    try:
        text = payload.model_dump_json()
    except PydanticSerializationError:
        message = "every string must be valid Unicode; one holds half of a surrogate pair"
        raise InvalidPayload(
            f"The payload does not validate: {message}.", errors=[{"pointer": "", "message": message}]
        ) from None
    return hashlib.sha256(f"{route}\n{text}".encode()).hexdigest()


def _replay(before: IdempotentAnswer, digest: str) -> Response:
    if before.request_digest != digest:
        raise Conflict(
            "This Idempotency-Key came before with another request. Use a new one for each thing you create.",
            type="idempotency-conflict",
        )
    headers = dict(line.split(": ", 1) for line in before.headers.splitlines())
    headers["Idempotency-Replayed"] = "true"
    return Response(before.body, status_code=before.status, media_type="application/json", headers=headers)
