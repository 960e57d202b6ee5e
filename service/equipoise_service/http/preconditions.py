"""Updates that cannot overwrite each other: ETag and If-Match (RFC 9110)."""

import hashlib
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel

from equipoise_service.errors import PreconditionFailed, PreconditionRequired

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match", max_length=256, description="The entity's ETag as last read. Required for updates."
    ),
]


def check_if_match(if_match: str | None, etag: str, *, required: bool) -> None:
    """Hold an update against the entity's present ETag.

    Raises:
        PreconditionRequired: There is no If-Match and `required`.
        PreconditionFailed: The entity has another ETag by now.
    """
    if if_match is None:
        if required:
            raise PreconditionRequired(
                "Send If-Match with the ETag of the entity as you read it, so that nobody's change is lost."
            )
        return
    given = [each.strip() for each in if_match.split(",")]
    if "*" not in given and etag not in given:
        raise PreconditionFailed(
            f"The entity changed since you read it; its ETag is now {etag}. Read it again, then repeat it."
        )


def matches_none(if_none_match: str | None, etag: str) -> bool:
    """Whether a conditional GET can be answered 304 (weak comparison)."""
    if if_none_match is None:
        return False
    if if_none_match == etag:
        return True
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in if_none_match.split(","))


def etag_of(entity: BaseModel) -> str:
    """A strong ETag of an entity's representation: it changes with whatever the representation shows."""
    return f'"{hashlib.sha256(entity.model_dump_json().encode()).hexdigest()[:32]}"'
