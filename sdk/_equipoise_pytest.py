"""The fixtures that pytest finds by itself where `equipoise` is installed.

Outside the package, so that a run of tests that uses none of them does not import it, nor has it rewritten.
"""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from equipoise.testing import FakeClient

__all__ = ["equipoise_client", "equipoise_configuration"]


@pytest.fixture
def equipoise_configuration() -> Any:
    """What `equipoise_client` begins with: a document or a path; override it in your own conftest.py."""
    return None


@pytest.fixture
def equipoise_client(equipoise_configuration: Any) -> "FakeClient":
    """A `FakeClient`, which records exposures and events, and whose flags `override` sets."""
    from equipoise.testing import FakeClient

    return FakeClient(equipoise_configuration)
