"""The session of a Spark source; what Spark makes of it is shown in tests/engines/test_spark_sources.py."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import ibis
import pytest

from equipoise_service.sources.connections import SourceFault, connected

ZONE = "spark.sql.session.timeZone"


class Configuration:
    """Of a session whose zone can be changed, or cannot."""

    def __init__(self, zone: str, *, fixed: bool) -> None:
        self.values, self.fixed = {ZONE: zone}, fixed

    def set(self, name: str, value: str) -> None:
        if self.fixed:
            raise ValueError("not here")
        self.values[name] = value

    def get(self, name: str) -> str:
        return self.values[name]


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The zones that sessions had when they were stopped, of which `connect` makes the next one."""
    done: list[str] = []
    sessions = [
        Configuration("Europe/Berlin", fixed=True),
        Configuration("Europe/Berlin", fixed=False),
        Configuration("UTC", fixed=True),
    ]

    def connect(_url: str) -> SimpleNamespace:
        configuration = sessions.pop(0)
        return SimpleNamespace(
            name="pyspark",
            _session=SimpleNamespace(conf=configuration),
            disconnect=lambda: done.append(configuration.get(ZONE)),
        )

    monkeypatch.setattr(ibis, "connect", connect)
    monkeypatch.setenv("EQUIPOISE_SOURCE_SHOP_URL", "pyspark://")
    yield done
    for thread in threading.enumerate():
        if thread.name == "equipoise-apart":
            thread.join(60)
            assert not thread.is_alive(), "its turn came, and ended"


def test_a_session_means_utc_or_is_refused(stopped: list[str]) -> None:
    with (
        pytest.raises(
            SourceFault,
            match=r"^the session's time zone is Europe/Berlin .* set spark.sql.session.timeZone to UTC",
        ),
        connected("SHOP", 60),
    ):
        """It is refused, and stopped, so that the next one has its turn."""
    assert stopped == ["Europe/Berlin"]
    for _ in range(2):
        with connected("SHOP", 60):
            """One that is changed, and one that need not be."""
    with pytest.raises(SourceFault, match="pop from empty list"), connected("SHOP", 60):
        """There is no further session; those before it have been stopped by now."""
    assert stopped == ["Europe/Berlin", "UTC", "UTC"]


def test_who_waits_for_a_turn_waits_no_longer_than_the_reading_may_take(stopped: list[str]) -> None:
    with pytest.raises(SourceFault), connected("SHOP", 60):
        """The first session is no good."""
    with connected("SHOP", 60):
        with pytest.raises(SourceFault, match=r"did not finish within 0.1 seconds"), connected("SHOP", 0.1):
            """Somebody else is connected."""
        assert stopped == ["Europe/Berlin"]
