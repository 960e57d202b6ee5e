"""Event stores of their own for the tests of ingestion."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from equipoise_service.events.stores.store import EventStore, open_event_store
from equipoise_service.settings import Settings

# A slow machine is no failure of an invariant.
hypothesis_settings.register_profile("equipoise-events", deadline=None)
hypothesis_settings.load_profile("equipoise-events")

OpenStore = Callable[..., Any]


@pytest.fixture
def open_store(tmp_path: Path) -> OpenStore:
    """Opens the event store of this test, with settings of its own."""

    @contextmanager
    def opened(**settings: Any) -> Iterator[EventStore]:
        with open_event_store(Settings(data_dir=tmp_path, analysis_memory_mb=512, **settings)) as store:
            yield store

    return opened


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[EventStore]:
    with open_store() as opened:
        yield opened
