"""The routes of exports: a stored readout in other forms."""

from importlib.metadata import version
from typing import Annotated
from urllib.parse import quote

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Query, Request, Response

from equipoise_service.accounts.principals import Reader
from equipoise_service.errors import Conflict, NotFound
from equipoise_service.experiments.variants import invalid
from equipoise_service.exports.drawing import Drawing
from equipoise_service.exports.making import DRAWN, ENDINGS, MEDIA_TYPES, Export, export
from equipoise_service.figures.installed import FiguresMissing, need_figures
from equipoise_service.http.preconditions import matches_none
from equipoise_service.http.problems import problems
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.plans import repository as plans
from equipoise_service.readouts.reading import NotAReadout
from equipoise_service.readouts.serving import ExperimentKey, RevisionNumber
from equipoise_service.readouts.storage import Asked, Found, StoredReadouts

router = APIRouter(prefix="/v1", tags=["readouts"], responses=problems(503))

_IMAGES = (Export.SVG, Export.PNG)
_MOST_EARLIER = 60
_RELEASE = version("equipoise-service")


@router.get(
    "/experiments/{key}/readout/export",
    summary="Export the readout",
    response_class=Response,
    responses={
        200: {
            "description": "The readout in the form that was asked for.",
            "content": {media_type.partition(";")[0]: {} for media_type in MEDIA_TYPES.values()},
        },
        304: {"description": "The export is the one that If-None-Match names."},
        **problems(401, 403, 404, 409, 422),
    },
)
async def read_export(
    key: ExperimentKey,
    request: Request,
    principal: Reader,
    form: Annotated[Export, Query(alias="format", description="The form.")],
    figure: Annotated[
        str | None,
        Query(max_length=MAX_LENGTH, description="For `svg` and `png`: the name of the figure."),
    ] = None,
    revision: RevisionNumber = None,
) -> Response:
    """The latest readout of one revision as a table, a page, a notebook or a figure.

    It is made of the stored readout and of those of the looks, and nothing else. Figures are drawn in a
    process of their own.
    """
    if form in _IMAGES and figure is None:
        raise invalid("query/figure", f"format={form} is one figure: say which, as figure=lifts")
    state = request.app.state
    stored: StoredReadouts = state.stored_readouts
    asked = Asked(principal.environment_id, key, revision)
    found = await anyio.to_thread.run_sync(stored.read, principal, asked)
    if found.served is None:
        raise Conflict(f"There is no readout of {key} yet. GET /v1/experiments/{key}/readout has it made.")
    named = figure if form in _IMAGES else None
    # What is made follows from the readout, the form and the release; a name may be any text.
    made_of = [form, named and quote(named, safe=""), _RELEASE]
    etag = '"{}-{}"'.format(found.served.etag.strip('"'), "-".join(filter(None, made_of)))
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if matches_none(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    try:
        if form in DRAWN:
            made = await _drawn(request, found, found.served.body, form, named)
        else:
            made = await anyio.to_thread.run_sync(export, form, found.served.body, (), None)
    except NotAReadout:
        raise Conflict(
            f"The readout of {key} was made by another release. GET /v1/experiments/{key}/readout?wait=60 "
            "has it made anew."
        ) from None
    if made is None:
        raise NotFound(
            f"The readout of {key} has no figure {named!r}. The report (format=html) shows all that it has."
        )
    name = "-".join(filter(None, [key, str(found.number), named]))
    headers |= {
        "Content-Disposition": f'attachment; filename="{name}.{ENDINGS.get(form, form)}"',
        # What is in it comes from whoever sends events: no browser shall take it for a page of this service.
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(made, media_type=MEDIA_TYPES[form], headers=headers)


async def _drawn(
    request: Request, found: Found, body: bytes, form: Export, figure: str | None
) -> bytes | None:
    """Drawn with the readouts of the looks, for figures over time."""
    try:
        need_figures()
    except FiguresMissing as error:
        raise Conflict(str(error)) from None

    def earlier() -> list[bytes]:
        with request.app.state.database.read() as session:
            looks = plans.looks(session, found.revision_id)[-_MOST_EARLIER:]
            return [msgspec.json.encode(look.readout) for look in looks]

    drawing: Drawing = request.app.state.drawing
    return await drawing.draw(form, body, await anyio.to_thread.run_sync(earlier), figure)
