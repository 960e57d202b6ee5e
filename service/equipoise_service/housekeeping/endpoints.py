"""The routes of housekeeping. They are for admins: they delete for good, or hand out everything."""

import tempfile
from collections.abc import Callable
from datetime import date
from typing import IO, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request, Response

from equipoise_service.accounts.principals import Admin
from equipoise_service.housekeeping.backups import make_backup
from equipoise_service.housekeeping.erasing import erase, erasure_out, erasures_page
from equipoise_service.housekeeping.exports import exported_days, write_day
from equipoise_service.housekeeping.retention import delete_old
from equipoise_service.housekeeping.schemas import (
    BackupOut,
    EraseIn,
    ErasureOut,
    ExportedDays,
    ExportedTable,
    RetentionOut,
)
from equipoise_service.housekeeping.sending import FileAnswer
from equipoise_service.housekeeping.turn import Turn
from equipoise_service.http.pages import Cursor, Limit, Page, build_page, page_start
from equipoise_service.http.problems import problems
from equipoise_service.http.sessions import ReadSession
from equipoise_service.jobs.worker import one_at_a_time

router = APIRouter(prefix="/v1", tags=["housekeeping"], responses=problems(503))

# A client asks again until all is done.
_RETENTION_SECONDS = 30.0

T = TypeVar("T")


@router.post("/units/erase", summary="Erase a unit", responses=problems(400, 401, 403, 409, 413, 415, 422))
async def erase_unit(payload: EraseIn, request: Request, principal: Admin) -> ErasureOut:
    """Delete everything about a unit in all environments of your project, and search for it afterwards.

    It takes some seconds at least. The answer is the record that stays: it holds a keyed hash of the id. What
    happened until then and arrives later is refused; what happens afterwards is stored.
    """
    state = request.app.state
    # Others look for changes as often as this process does; the second look has ended by then.
    notice = 2 * state.settings.refresh_seconds if state.settings.is_shared else 0.0
    return await _in_turn(
        request,
        lambda: erase(state.database, state.event_store, principal, payload, notice),
        # What a readout keeps that began before would hold the unit.
        limiter=one_at_a_time(state),
    )


@router.get("/erasures", summary="List the erasures", responses=problems(400, 401, 403, 422))
def list_erasures(
    principal: Admin, session: ReadSession, cursor: Cursor = None, limit: Limit = 50
) -> Page[ErasureOut]:
    """The erasures of your project, oldest first, each with what proves it."""
    rows = erasures_page(session, principal.project_id, page_start(cursor), limit + 1)
    return build_page(rows, limit, lambda row: row.id or 0, erasure_out)


@router.post("/retention/run", summary="Delete what is old", responses=problems(401, 403, 409))
async def run_retention(request: Request, _principal: Admin) -> RetentionOut:
    """Delete what is older than the service's settings say, for half a minute at most; ask again to go on.

    The service does the same by itself every hour.
    """
    state = request.app.state
    deleted = await _in_turn(
        request,
        lambda: delete_old(state.database, state.event_store, state.settings, seconds=_RETENTION_SECONDS),
    )
    return RetentionOut(deleted=deleted.rows, finished=deleted.finished)


@router.post("/backups", status_code=201, summary="Make a backup", responses=problems(401, 403, 409))
async def back_up(request: Request, _principal: Admin) -> BackupOut:
    """Copy the embedded databases into a new directory on the service's machine, while it runs.

    It holds everything of all projects. Nothing of it is in the answer but where it lies and its digests.
    """
    state = request.app.state
    return await _in_turn(request, lambda: make_backup(state.event_store, state.settings))


@router.get(
    "/exports/{table}", summary="List the days that can be exported", responses=problems(401, 403, 422)
)
async def list_days(table: ExportedTable, request: Request, principal: Admin) -> ExportedDays:
    """The days of which your environment has exposures or events, with how many."""
    store = request.app.state.event_store
    return await anyio.to_thread.run_sync(exported_days, store, principal.place, table)


@router.get(
    "/exports/{table}/{day}",
    summary="Export a day as Parquet",
    response_class=Response,
    responses={
        200: {
            "description": "A Parquet file with the day's rows.",
            "content": {"application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(401, 403, 404, 422),
    },
)
async def export_day(table: ExportedTable, day: date, request: Request, principal: Admin) -> FileAnswer:
    """The exposures or events of your environment whose `time` lies in a day (UTC)."""
    store = request.app.state.event_store
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    try:
        await anyio.to_thread.run_sync(write_day, store, principal.place, table, day, file)
        return FileAnswer(file, "application/vnd.apache.parquet")
    except BaseException:
        file.close()
        raise


async def _in_turn(
    request: Request, work: Callable[[], T], limiter: anyio.CapacityLimiter | None = None
) -> T:
    """Do something in a thread, and nothing else of its kind beside it."""
    turn: Turn = request.app.state.turn

    def taken() -> T:
        with turn.taken():
            return work()

    return await anyio.to_thread.run_sync(taken, limiter=limiter)
