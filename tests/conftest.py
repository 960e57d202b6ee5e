"""Fixtures for all tests: a real PostgreSQL."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

# Imported where they are used: the environment of `make mutants` has no driver.
if TYPE_CHECKING:
    from tests.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[PostgresServer]":
    """The PostgreSQL server of this test process, running."""
    from tests.postgres import session_server

    with session_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: "PostgresServer") -> Iterator[str]:
    """URL of an empty PostgreSQL database of the test's own, `postgresql://USER@HOST:PORT/NAME`."""
    with postgres_server.empty_database() as url:
        yield url
