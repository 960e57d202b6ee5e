"""The process that forks the services of crash tests."""

import os
from collections.abc import Iterator

import pytest
from tests.service.crash.lives import Parent, running_parent


@pytest.fixture(scope="module")
def parent() -> Iterator[Parent]:
    with running_parent() as started:
        yield started


@pytest.fixture
def count() -> int:
    """How many times a service is killed: `make crash` kills it fifty times."""
    return int(os.environ.get("EQUIPOISE_TEST_CRASH_ROUNDS", "2"))
