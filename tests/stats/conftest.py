"""What the tests of the statistics share."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A slow machine is no failure of an invariant.
settings.register_profile("equipoise-stats", deadline=None)
settings.load_profile("equipoise-stats")

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture(scope="session")
def reference() -> list[dict[str, Any]]:
    """The reference values that lie beside the repository."""
    path = SHARED / "reference" / "statistics.json"
    if not path.exists():
        pytest.skip(f"The reference values are not at {path}.")
    values: list[dict[str, Any]] = json.loads(path.read_text())
    return values
