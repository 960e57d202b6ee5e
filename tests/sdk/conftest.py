"""What the tests of the SDK share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from tests.sdk.fake_service import FakeService

# A slow machine is no failure of an invariant.
settings.register_profile("equipoise-sdk", deadline=None)
settings.load_profile("equipoise-sdk")


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A service over a real socket on loopback, which misbehaves on demand."""
    fake = FakeService()
    fake.start()
    yield fake
    fake.stop()
