import doctest

import pytest

from equipoise_service import canonical
from equipoise_service.readouts import building, numerals
from equipoise_service.texts import plurals, saying


@pytest.mark.parametrize("module", [building, canonical, numerals, plurals, saying])
def test_examples_in_docstrings_run(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted
    assert not found.failed
