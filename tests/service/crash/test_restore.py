"""PostgreSQL's own tools take a running service's databases away and bring them back, as the guide says."""

from functools import partial
from pathlib import Path

import pytest
from tests.postgres import PostgresServer
from tests.service.crash.lives import Parent, Service
from tests.service.crash.restoring import back_up_amid_traffic, examine, run_documented
from tests.service.crash.rounds import Rounds

pytestmark = pytest.mark.slow


def test_what_was_acknowledged_before_a_dump_is_in_the_restored_database_once(
    postgres_server: PostgresServer, parent: Parent, tmp_path: Path
) -> None:
    with postgres_server.empty_database() as url, postgres_server.empty_database() as other:
        service = Service(parent, tmp_path, on(url))
        rounds = Rounds(service)
        taken = back_up_amid_traffic(rounds, partial(run_documented, "pg_dump", tmp_path, url))
        run_documented("pg_restore", tmp_path, other)
        place = tmp_path / "restored"
        place.mkdir()
        examine(rounds, taken, Service(parent, place, on(other), key=service.key))


def on(url: str) -> dict[str, str]:
    """The settings of a service with everything in one database."""
    return {"EQUIPOISE_DATABASE_URL": url, "EQUIPOISE_EVENT_STORE_URL": url}
