"""What stands between the cells of the notebook, as Markdown."""

from collections.abc import Mapping
from types import MappingProxyType

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "notebook.introduction": """\
# Readout of {experiment}

This notebook holds the readout, and computes it again from the sufficient statistics in it: first with plain
arithmetic, then in full. A cell that fails says which number does not follow.

Needed: Python 3.11 or newer; for everything after the plain arithmetic
`pip install "equipoise-service[figures]" pandas`.
""",
        "notebook.arithmetic": """\
## With plain arithmetic

Every estimate follows from the sums of two arms. Without a pre-period a difference is the difference of the
two values, and a lift is their quotient minus 1. Only the standard library is used here.
""",
        "notebook.repeat": """\
## Since the ship

{variant} was shipped {days} days before. What it does now is held against what was decided on.
""",
        "notebook.full": """\
## In full

Every interval, p-value, correction, check, segment, sentence and digest, by the library that made them.
""",
        "notebook.results": """\
## The results, as a frame and as figures
""",
    }
)
