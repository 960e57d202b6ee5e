"""Every example in a docstring runs, and every public function has one docstring at least."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import equipoise_stats

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(equipoise_stats.__path__, "equipoise_stats.")
)
PAGES = [
    "stats/README.md",
    "docs/explanation/statistics-engine.md",
    *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/explanation/statistics/*.md")),
]


@pytest.mark.parametrize("name", ["equipoise_stats", *MODULES])
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_pages_run(page: str) -> None:
    result = doctest.testfile(str(ROOT / page), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", equipoise_stats.__all__)
def test_what_is_public_is_documented(name: str) -> None:
    public = getattr(equipoise_stats, name)
    if inspect.isclass(public) or inspect.isfunction(public):
        assert inspect.getdoc(public)


def test_there_are_examples_in_every_public_function() -> None:
    functions = [getattr(equipoise_stats, name) for name in equipoise_stats.__all__]
    without = [f.__name__ for f in functions if inspect.isfunction(f) and ">>>" not in (f.__doc__ or "")]
    assert without == []
