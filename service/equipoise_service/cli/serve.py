"""`equipoise serve` and `equipoise migrate`."""

import socket
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise_service.cli.failures import Failure

if TYPE_CHECKING:
    import logging

    import uvicorn

    from equipoise_service.evaluation.changes import Changes


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [EQUIPOISE_HOST].")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one [EQUIPOISE_PORT].")
    ] = None,
) -> None:
    """Start the service. The settings are environment variables; see docs/reference/settings.md."""
    import logging
    import signal
    import sys

    import uvicorn

    from equipoise_service.app import create_app
    from equipoise_service.resources import open_resources
    from equipoise_service.settings import load_settings

    settings = load_settings()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel("WARNING")
    logging.getLogger("uvicorn.access").addFilter(_without_query)
    listening = _listen(settings.host if host is None else host, settings.port if port is None else port)
    address, bound_port = listening.getsockname()[:2]
    # uvicorn ends in order and then raises the signal again, which must not skip closing the databases.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    with open_resources(settings) as resources:
        config = uvicorn.Config(
            create_app(settings, resources),
            access_log=settings.access_log,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
        typer.echo(
            f"Equipoise serves http://{_in_url(address)}:{bound_port} from {settings.data_dir}/", err=True
        )
        _server(config, resources.changes).run(sockets=[listening])


def migrate() -> None:
    """Bring the metadata database to this release's schema. `serve` does it too, at its start."""
    from contextlib import closing

    from equipoise_service.database import Database
    from equipoise_service.resources import open_database
    from equipoise_service.settings import load_settings

    settings = load_settings()
    with closing(Database(settings.metadata_url)) as database:
        before = database.schema_revision()
    with open_database(settings) as database:
        after = database.schema_revision()
    if before == after:
        typer.echo(f"The metadata database is at {after} already.")
    else:
        typer.echo(f"The metadata database went from {before or 'nothing'} to {after}.")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        raise Failure(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another port, for example "
            "with --port, or stop what uses it."
        ) from None
    return listening


def _without_query(record: "logging.LogRecord") -> bool:
    """Let a line of the access log pass without the query: the URL of a stream of changes opens it."""
    if isinstance(record.args, tuple):
        record.args = tuple(each.partition("?")[0] if isinstance(each, str) else each for each in record.args)
    return True


def _server(config: "uvicorn.Config", changes: "Changes") -> "uvicorn.Server":
    import uvicorn

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # It waits for every answer to end, which a stream of changes never does by itself.
            changes.close()
            await super().shutdown(sockets)

    return Server(config)


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address
