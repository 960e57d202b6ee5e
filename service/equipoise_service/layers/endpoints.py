"""Routes of layers."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Principal, Reader, Writer
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.layers import repository, service
from equipoise_service.layers.models import Layer
from equipoise_service.layers.schemas import LayerIn, LayerOut, LayerPatch

router = APIRouter(prefix="/v1/layers", tags=["layers"], responses=problems(503))

LayerKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The layer's key.")]


@router.post(
    "",
    status_code=201,
    summary="Make a layer",
    response_model=LayerOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def make(
    payload: LayerIn, principal: Writer, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a layer that several experiments can share. Experiments in one layer exclude each other."""

    def create() -> Created:
        layer = service.make_layer(session, principal.project_id, payload)
        shown = service.present(session, principal, [layer])[0]
        return Created(shown, {"ETag": service.etag(layer), "Location": f"/v1/layers/{shown.key}"})

    return create_once(session, principal.public_id, idempotency_key, ("POST /v1/layers", payload), create)


@router.get("", summary="List the layers", responses=problems(400, 401, 403, 422))
def list_layers(
    principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[LayerOut]:
    """The layers of your project, oldest first, with who holds their slots in the key's environment."""
    rows = repository.layers_page(session, principal.project_id, page_start(cursor), limit + 1)
    shown = {each.key: each for each in service.present(session, principal, rows[:limit])}
    return build_page(rows, limit, lambda row: row.id or 0, lambda row: shown[row.key])


@router.get("/{key}", summary="Read a layer", responses=problems(401, 403, 404, 422))
def read(key: LayerKey, principal: Reader, session: ReadSession, response: Response) -> LayerOut:
    """One layer, with the ETag that an update needs."""
    return _answer(session, principal, service.find(session, principal, key), response)


@router.patch(
    "/{key}",
    summary="Change a layer",
    responses=problems(400, 401, 403, 404, 412, 413, 415, 422, 428),
)
def change(
    key: LayerKey,
    payload: LayerPatch,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> LayerOut:
    """Change name and description. Slots and salt stay."""
    layer = service.find(session, principal, key)
    check_if_match(if_match, service.etag(layer), required=True)
    service.change(session, layer, payload)
    return _answer(session, principal, layer, response)


@router.delete(
    "/{key}",
    status_code=204,
    summary="Delete a layer",
    responses=problems(401, 403, 404, 409, 412, 422),
)
def delete(key: LayerKey, principal: Writer, session: WriteSession, if_match: IfMatch = None) -> None:
    """Delete a layer in which no experiment was ever registered."""
    layer = service.find(session, principal, key)
    check_if_match(if_match, service.etag(layer), required=False)
    service.delete(session, layer)


def _answer(session: Session, principal: Principal, layer: Layer, response: Response) -> LayerOut:
    response.headers["ETag"] = service.etag(layer)
    return service.present(session, principal, [layer])[0]
