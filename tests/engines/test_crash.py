"""A service on ClickHouse's engine, killed at random moments: what was acknowledged is read once.

There is no server here: the engine lives, and is killed, in the service's own process. That is harder on it
than a server that goes on when a service dies.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.service.crash.conftest import count, parent
from tests.service.crash.lives import Parent, Service
from tests.service.crash.rounds import SEED, Rounds
from tests.service.crash.test_crash import STRIKES

__all__ = ["count", "parent"]


@pytest.fixture
def service(parent: Parent, tmp_path: Path) -> Iterator[Service]:
    url = "clickhouse://default@127.0.0.1/crash"
    service = Service(parent, tmp_path, {"EQUIPOISE_EVENT_STORE_URL": url}, str(tmp_path / "chdb"))
    yield service
    service.stop()


@pytest.mark.parametrize("moment", STRIKES)
def test_a_killed_service_has_all_it_acknowledged_once(service: Service, moment: str, count: int) -> None:
    tally = Rounds(service, whole=False).run(count, STRIKES[moment])
    print(f"\n{moment}, seed {SEED}: {tally}")
