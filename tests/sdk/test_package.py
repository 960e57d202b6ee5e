"""What the package exports, how light it is, and that its documentation runs."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType

import pytest
from tests.sdk.fake_service import FLAG, KEY, FakeService, document

import equipoise
from equipoise import bucket, evaluate
from equipoise.configuration import parse

MODULES = sorted(module.name for module in pkgutil.iter_modules(equipoise.__path__, "equipoise."))
README = Path(__file__).parents[2] / "sdk" / "README.md"


def public_names(module: ModuleType) -> set[str]:
    """Return the names a module offers: not underscored, and not its submodules."""
    return {name for name in vars(module) if not name.startswith("_") and f"equipoise.{name}" not in MODULES}


def test_all_is_what_is_exported() -> None:
    assert set(equipoise.__all__) == public_names(equipoise)
    assert list(equipoise.__all__) == sorted(equipoise.__all__, key=lambda name: (not name.isupper(), name))


@pytest.mark.parametrize("name", [name for name in MODULES if "._" not in name])
def test_every_public_module_says_what_it_exports(name: str) -> None:
    module = importlib.import_module(name)
    for exported in module.__all__:
        assert hasattr(module, exported)


@pytest.mark.parametrize("name", ["equipoise", *MODULES])
def test_examples_in_docstrings_run(name: str) -> None:
    failures, _ = doctest.testmod(importlib.import_module(name))
    assert failures == 0


def test_examples_in_the_readme_run(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        runnable = block.replace("https://experiments.example.com", service.url).replace("YOUR-KEY", KEY)
        exec(compile(runnable, str(README), "exec"), {})
    assert len(service.stored("exposures")) == 1
    assert len(service.stored("events")) == 1
    assert capsys.readouterr().out in ("old page\n", "new page\n")


def test_every_error_is_drawn() -> None:
    drawing = equipoise.errors.__doc__ or ""
    for name in equipoise.errors.__all__:
        assert name in drawing


def run(statement: str) -> str:
    """Run a statement in an interpreter of its own; return what it printed."""
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_is_light() -> None:
    loaded = set(run("import sys, equipoise; print(*sys.modules)").split())
    assert "equipoise._client" in loaded
    heavy = {
        "http",
        "http.client",
        "ssl",
        "socket",
        "email",
        "logging",
        "urllib",
        "asyncio",
        "random",
        "gzip",
    }
    assert loaded & (heavy | {"multiprocessing", "decimal", "subprocess", "tempfile", "pathlib"}) == set()
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"equipoise"}
    assert not {name for name in foreign if not name.startswith("_")}, "the standard library only"


# What is gated is counted, not timed: a machine that does other work changes times, and no counts.
# `benchmarks/` has the times.
COUNTED = """
import sys
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
import {}
sys.setprofile(None)
print(calls)
"""


def test_importing_does_little_more_than_what_it_needs_does() -> None:
    needed = "dataclasses, json, hashlib, threading, datetime, enum, weakref, zlib"
    ours, theirs = (
        min(int(run(COUNTED.format(modules))) for _ in range(2)) for modules in ("equipoise", needed)
    )
    assert ours < 1.4 * theirs, "24,100 calls where the rest takes 20,000"


def calls(work: Callable[[], object]) -> int:
    """Count the calls, of Python and of C, that the work makes."""
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def test_evaluating_makes_few_calls_beside_those_of_its_hash() -> None:
    configuration = parse(document())
    evaluate(configuration, FLAG, "warm-up")
    ours = calls(lambda: evaluate(configuration, FLAG, "user-1"))
    assert ours <= calls(lambda: bucket("9ab1c3d4e5f60718", "user-1")) + 4


def test_different_units_leave_nothing_behind() -> None:
    configuration = parse(document())
    evaluate(configuration, FLAG, "warm-up")
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(100_000):
            evaluate(configuration, FLAG, f"user-{n}")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000
