"""The application: what is opened at the start, the routes, what is closed at the end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi

from equipoise_service.accounts import endpoints as accounts
from equipoise_service.decisions import endpoints as decisions
from equipoise_service.errors import Unavailable
from equipoise_service.evaluation import endpoints as evaluation
from equipoise_service.events import endpoints as events
from equipoise_service.events import inspection as events_inspection
from equipoise_service.events.tail import Tails
from equipoise_service.experiments import endpoints as experiments
from equipoise_service.experiments import source_endpoints as source_changes
from equipoise_service.exports import endpoints as exports
from equipoise_service.exports.drawing import Drawing
from equipoise_service.flags import endpoints as flags
from equipoise_service.glossary import endpoints as glossary
from equipoise_service.holdouts import endpoints as holdouts
from equipoise_service.housekeeping import endpoints as housekeeping
from equipoise_service.housekeeping.background import keep_house
from equipoise_service.housekeeping.turn import Turn
from equipoise_service.http import payloads
from equipoise_service.http.admission import Admission
from equipoise_service.http.bodies import BoundedBodies
from equipoise_service.http.failures import AnsweredFailures
from equipoise_service.http.problems import Problem, install, problems
from equipoise_service.http.routes import add_first
from equipoise_service.jobs import endpoints as jobs
from equipoise_service.jobs.worker import one_at_a_time
from equipoise_service.layers import endpoints as layers
from equipoise_service.metrics import endpoints as metrics
from equipoise_service.ofrep import documentation as ofrep_documentation
from equipoise_service.ofrep import endpoints as ofrep
from equipoise_service.ofrep import failures as ofrep_failures
from equipoise_service.ofrep.origins import PageOrigins
from equipoise_service.power import endpoints as power
from equipoise_service.previews import endpoints as previews
from equipoise_service.readouts import endpoints as readouts
from equipoise_service.readouts import serving as stored_readouts
from equipoise_service.readouts.background import compute_readouts
from equipoise_service.recomputation import endpoints as recomputation
from equipoise_service.resources import Resources, open_resources
from equipoise_service.rollouts import endpoints as rollouts
from equipoise_service.rollouts.service import advance_due
from equipoise_service.segments import endpoints as segments
from equipoise_service.settings import Settings, load_settings
from equipoise_service.sources import endpoints as sources

_log = logging.getLogger(__name__)
_VERSION = version("equipoise-service")


def create_app(settings: Settings | None = None, resources: Resources | None = None) -> FastAPI:
    """Make the service.

    Args:
        settings: Its settings; read from the environment when absent.
        resources: What it works on, opened by the caller, who closes it too; opened and closed with the
            application when absent.
    """
    settings = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with nullcontext(resources) if resources else open_resources(settings) as opened:
            app.state.database = opened.database
            app.state.publisher = opened.publisher
            app.state.event_store = opened.event_store
            app.state.changes = opened.changes
            app.state.configurations = opened.configurations
            app.state.principals = opened.principals
            app.state.erased_units = opened.erased_units
            app.state.stored_readouts = opened.stored_readouts
            ended = asyncio.Event()
            watcher = asyncio.create_task(_watch(opened, settings.refresh_seconds, ended))
            keeper = asyncio.create_task(
                keep_house(
                    opened.database,
                    opened.event_store,
                    settings,
                    app.state.turn,
                    ended,
                )
            )
            wake = app.state.wake_worker = asyncio.Event()
            computing = asyncio.create_task(
                compute_readouts(
                    opened.database,
                    opened.event_store,
                    settings,
                    one_at_a_time(app.state),
                    wake,
                    ended,
                )
                if settings.is_worker
                else asyncio.sleep(0)
            )
            yield
            app.state.drawing.close()
            opened.changes.close()
            # Not cancelled: its thread would go on with a database that is closed.
            ended.set()
            wake.set()
            await watcher
            await keeper
            await computing

    app = FastAPI(
        title="Equipoise",
        version=_VERSION,
        summary="An open experimentation platform.",
        lifespan=lifespan,
        # The interactive pages load their scripts from elsewhere; the document itself needs nothing.
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.admission = Admission(settings.event_body_mb << 20)
    app.state.drawing = Drawing()
    app.state.turn = Turn()
    app.state.tails = Tails(settings.tail_subscribers)
    app.add_middleware(
        BoundedBodies,
        limit=settings.max_body_bytes,
        limits={segments.router.prefix: settings.max_segment_bytes},
        admission=Admission(settings.event_body_mb << 20),
        prove=lambda headers: app.state.principals.prove(headers),
        unread={events.PATH},
    )
    app.add_middleware(AnsweredFailures)
    if origins := settings.cors_origins.split():
        app.add_middleware(PageOrigins, origins=origins)
    install(app, {ofrep_failures.PREFIX: ofrep_failures.failure_response})
    # Routes are tried in turn: those that answer each visitor come before those that people use.
    for asked_most in (evaluation, stored_readouts, ofrep, events):
        add_first(app, asked_most.router)
    for routes in (
        experiments,
        layers,
        holdouts,
        flags,
        rollouts,
        segments,
        previews,
        power,
        metrics,
        sources,
        source_changes,
        events_inspection,
        readouts,
        exports,
        decisions,
        glossary,
        jobs,
        recomputation,
        accounts,
        housekeeping,
    ):
        app.include_router(routes.router)
    _add_health(app)
    _describe(app)
    return app


async def _watch(resources: Resources, seconds: float, ended: asyncio.Event) -> None:
    """Take the steps of rollouts that are due and notice what other processes change, until it ends."""
    seen = -1
    is_cut_off = False
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), seconds)
        if ended.is_set():
            return
        try:
            counter = await asyncio.to_thread(resources.database.change_counter)
            if counter != seen:
                await asyncio.to_thread(resources.refresh)
                seen = counter
            await asyncio.to_thread(advance_due, resources.database)
        except Exception:
            if not is_cut_off:
                _log.exception(
                    "cannot look into the metadata database for rollouts and changes; evaluation goes on "
                    "with what is in memory, and this is tried again every %g seconds",
                    seconds,
                )
            is_cut_off = True
        else:
            if is_cut_off:
                _log.warning("the metadata database can be used again")
            is_cut_off = False


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["health"], summary="Whether the process is alive")
    async def healthz() -> dict[str, str]:
        """Answers as long as the process serves requests."""
        return {"status": "ok"}

    @app.get(
        "/readyz",
        tags=["health"],
        summary="Whether the service can do its work",
        responses=problems(503),
    )
    def readyz(request: Request) -> dict[str, str | list[str]]:
        """Asks the metadata database and the event store.

        `degraded` names environments that keep their last configuration, because the present one could not be
        published; all else works.
        """
        state = request.app.state
        state.database.change_counter()
        if not state.event_store.healthy():
            raise Unavailable("The event store does not take events; its log says why.", retry_after=5)
        unpublished = list(state.publisher.failed)
        return {"status": "degraded", "unpublished": unpublished} if unpublished else {"status": "ok"}

    @app.get("/", tags=["health"], summary="What this is")
    async def root() -> dict[str, str]:
        """Name and version of the service, and where its API is described."""
        return {"service": "equipoise", "version": _VERSION, "openapi": "/openapi.json"}


def _describe(app: FastAPI) -> None:
    """Complete the OpenAPI document with what the hot routes decode by themselves."""
    generate = get_openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schemas["Problem"].pop("$defs", {}))
            decoded = (
                *evaluation.OPENAPI_TYPES,
                *ofrep_documentation.OPENAPI_TYPES,
                *events.OPENAPI_TYPES,
            )
            for name, schema in payloads.components(*decoded).items():
                if name in schemas:
                    raise RuntimeError(f"two schemas of the API are called {name}; rename one")
                schemas[name] = schema
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the document
