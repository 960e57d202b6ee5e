"""What the package exports, and what importing it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import equipoise_stats

ROOT = Path(equipoise_stats.__file__).parent


def test_all_is_what_is_imported() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text())
    imported = [
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(imported) == sorted(equipoise_stats.__all__)


def test_importing_stays_light() -> None:
    # scipy.stats, pandas and statsmodels each cost more than everything else together, scipy.optimize a third
    heavy = ("scipy.stats", "scipy.optimize", "pandas", "statsmodels")
    program = f"import sys, equipoise_stats; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
