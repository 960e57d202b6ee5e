"""Routes of stored metrics."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from sqlmodel import Session

from equipoise_service.accounts.principals import Reader, Writer
from equipoise_service.http.idempotency import Created, IdempotencyKey, create_once
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.preconditions import IfMatch, check_if_match, etag_of
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession, WriteSession
from equipoise_service.keys import MAX_LENGTH
from equipoise_service.metrics import repository, service
from equipoise_service.metrics.models import StoredMetric
from equipoise_service.metrics.presentation import present, present_all, present_version
from equipoise_service.metrics.stored import MetricIn, MetricOut, MetricPatch, MetricVersionOut

router = APIRouter(prefix="/v1/metrics", tags=["metrics"], responses=problems(503))

MetricKey = Annotated[str, Path(max_length=MAX_LENGTH, description="The metric's key.")]


@router.post(
    "",
    status_code=201,
    summary="Store a metric",
    response_model=MetricOut,
    responses=problems(400, 401, 403, 409, 413, 415, 422),
)
def make(
    payload: MetricIn, principal: Writer, session: WriteSession, idempotency_key: IdempotencyKey = None
) -> Response:
    """Store a definition that experiments can name by its key."""

    def create() -> Created:
        shown = present(session, service.make_metric(session, principal, payload))
        return Created(shown, {"ETag": etag_of(shown), "Location": f"/v1/metrics/{shown.key}"})

    return create_once(session, principal.public_id, idempotency_key, ("POST /v1/metrics", payload), create)


@router.get("", summary="List the metrics", responses=problems(400, 401, 403, 422))
def list_metrics(
    principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[MetricOut]:
    """The stored metrics of your project, oldest first, also those that are archived."""
    rows = repository.metrics_page(session, principal.project_id, page_start(cursor), limit + 1)
    shown = {each.key: each for each in present_all(session, rows[:limit])}
    return build_page(rows, limit, lambda row: row.id or 0, lambda row: shown[row.key])


@router.get("/{key}", summary="Read a metric", responses=problems(401, 403, 404, 422))
def read(key: MetricKey, principal: Reader, session: ReadSession, response: Response) -> MetricOut:
    """One metric at its latest version, with the ETag that an update needs."""
    return _answer(session, service.find(session, principal, key), response)


@router.get(
    "/{key}/versions", summary="List the versions of a metric", responses=problems(400, 401, 403, 404, 422)
)
def list_versions(
    key: MetricKey, principal: Reader, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[MetricVersionOut]:
    """All versions of a metric, oldest first. A version never changes."""
    metric = service.find(session, principal, key)
    rows = repository.versions_page(session, metric.id or 0, page_start(cursor), limit + 1)
    return build_page(rows, limit, lambda row: row.number, present_version)


@router.patch(
    "/{key}",
    summary="Change a metric",
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 428),
)
def change(
    key: MetricKey,
    payload: MetricPatch,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
) -> MetricOut:
    """Make a new version. What experiments pinned before stays as it was.

    A change that leaves everything as it was makes none.
    """
    metric = service.find(session, principal, key)
    check_if_match(if_match, etag_of(present(session, metric)), required=True)
    service.change(session, principal, metric, payload)
    return _answer(session, metric, response)


@router.post("/{key}/archive", summary="Archive a metric", responses=problems(401, 403, 404, 409, 412, 422))
def archive(
    key: MetricKey,
    principal: Writer,
    session: WriteSession,
    response: Response,
    if_match: IfMatch = None,
    in_use: Annotated[
        bool, Query(description="Archive it although experiments name it; they keep what they pinned.")
    ] = False,
) -> MetricOut:
    """Put a metric away: no experiment can name it any more."""
    metric = service.find(session, principal, key)
    check_if_match(if_match, etag_of(present(session, metric)), required=False)
    service.archive(session, metric, in_use=in_use)
    return _answer(session, metric, response)


@router.post("/{key}/restore", summary="Restore a metric", responses=problems(401, 403, 404, 412, 422))
def restore(
    key: MetricKey, principal: Writer, session: WriteSession, response: Response, if_match: IfMatch = None
) -> MetricOut:
    """Take an archived metric back, at the version that it had."""
    metric = service.find(session, principal, key)
    check_if_match(if_match, etag_of(present(session, metric)), required=False)
    service.restore(session, metric)
    return _answer(session, metric, response)


def _answer(session: Session, metric: StoredMetric, response: Response) -> MetricOut:
    session.flush()
    shown = present(session, metric)
    response.headers["ETag"] = etag_of(shown)
    return shown
