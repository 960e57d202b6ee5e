"""Routes of API keys."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from equipoise_service.accounts import repository, service
from equipoise_service.accounts.principals import Admin
from equipoise_service.accounts.schemas import KeyIn, KeyOut, NewKeyOut
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession

router = APIRouter(prefix="/v1/keys", tags=["keys"], responses=problems(503))


@router.post(
    "",
    status_code=201,
    summary="Make an API key",
    response_model=NewKeyOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def make(
    payload: KeyIn, principal: Admin, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a key in your project. The answer shows its text, once."""

    def create() -> Created:
        made = service.make_key(
            session,
            name=payload.name,
            project=principal.project,
            environment=payload.environment,
            scopes=payload.scopes,
            expires_at=payload.expires_at,
        )
        return Created(made, {}, remembered=made.model_copy(update={"key": None}))

    return create_once(session, principal.public_id, idempotency_key, ("POST /v1/keys", payload), create)


@router.get("", summary="List the API keys", responses=problems(400, 401, 403, 422))
def list_keys(
    principal: Admin, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[KeyOut]:
    """The keys of your project, revoked ones too, without their secrets."""
    rows = repository.keys_page(session, principal.project_id, page_start(cursor), limit + 1)
    return build_page(rows, limit, lambda row: row[0].id or 0, lambda row: service.key_out(*row))


@router.post("/{id}/revoke", summary="Revoke an API key", responses=problems(401, 403, 404, 422))
def revoke(
    id: Annotated[str, Path(max_length=64, description="The key's public id.")],
    principal: Admin,
    session: WriteSession,
) -> KeyOut:
    """Revoke a key of your project. It cannot be undone."""
    return service.revoke_key(session, id, principal.project_id)
