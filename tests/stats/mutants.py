"""How well the tests of the statistics' core bite: mutants of it, and how many of them a test kills.

`make mutants` takes a random sample, `make mutants SAMPLE=500` a larger one. It works on a copy in
`.mutants`, where `mutmut results` and `mutmut show NAME` tell of the survivors afterwards.
"""

import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPY = ROOT / ".mutants"
SEED = 20_261_122
LEAST = 0.85

ALIVE = (None, 0, 2, 5, 33, 34, 35)
"""Exit codes that kill no mutant: not tried, survived, interrupted, no test reaches it, skipped, doubtful."""

CORE = (
    "moments",
    "counts",
    "estimates/estimate",
    "estimates/mean",
    "estimates/proportion",
    "estimates/ratio",
    "estimates/adjusted",
    "inference/intervals",
    "inference/conclude",
    "inference/fixed",
    "inference/group_sequential/bounds",
    "inference/group_sequential/recursion",
    "inference/group_sequential/spending",
    "inference/anytime/mixture",
    "inference/anytime/mixture_comparison",
    "inference/anytime/sequence",
)
TESTS = (
    "moments",
    "counts",
    "answers",
    "estimates",
    "adjusted",
    "adjusted_ratio",
    "missing",
    "regression",
    "ratio",
    "fixed_horizon",
    "lift",
    "mixture",
    "anytime",
    "anytime_t",
    "running",
    "spending",
    "group_sequential_bounds",
    "group_sequential_exits",
    "group_sequential_analysis",
    "group_sequential_p_values",
    "group_sequential_final",
    "group_sequential_futility",
)

CONFIGURATION = """
[tool.pytest.ini_options]
addopts = "-q --import-mode=importlib -p no:cacheprovider -m 'not slow'"
pythonpath = ["."]
filterwarnings = ["error"]
markers = ["slow: left out here"]

[tool.mutmut]
source_paths = ["equipoise_stats"]
only_mutate = {modules}
pytest_add_cli_args_test_selection = {tests}
"""


def main(size: int) -> None:
    """Mutate, test, print the table; fail below the share that we hold ourselves to."""
    _copy()
    _mutmut("equipoise_stats.counts*")  # this makes all mutants and runs a few
    names = sorted(_outcomes())
    sample = random.Random(SEED).sample(names, min(size, len(names)))
    _mutmut(*sample)
    outcomes = _outcomes()
    tried: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    for name in sample:
        module = name.rpartition(".")[0]
        tried[module] += 1
        killed[module] += outcomes[name] not in ALIVE
    for module, number in sorted(tried.items()):
        print(f"  {module:<55} {killed[module]:>4} of {number:>4} killed")
    share = killed.total() / tried.total()
    print(
        f"  {killed.total()} of {tried.total()} mutants killed, {share:.1%}; of {len(names):,} that there are"
    )
    sys.exit(share < LEAST)


def _copy() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    nothing_compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "stats" / "equipoise_stats", COPY / "equipoise_stats", ignore=nothing_compiled)
    shutil.copytree(ROOT / "tests" / "stats", COPY / "tests" / "stats", ignore=nothing_compiled)
    modules = [f"equipoise_stats/{module}.py" for module in CORE]
    tests = [f"tests/stats/test_{name}.py" for name in TESTS]
    (COPY / "pyproject.toml").write_text(
        CONFIGURATION.format(modules=json.dumps(modules), tests=json.dumps(tests))
    )


def _mutmut(*names: str) -> None:
    command = [str(Path(sys.executable).with_name("mutmut")), "run", *names]
    subprocess.run(command, cwd=COPY, check=True)


def _outcomes() -> dict[str, int | None]:
    """Exit code of the tests for each mutant."""
    outcomes: dict[str, int | None] = {}
    for path in (COPY / "mutants").rglob("*.meta"):
        outcomes |= json.loads(path.read_text())["exit_code_by_key"]
    return outcomes


if __name__ == "__main__":
    main(int(sys.argv[1]))
