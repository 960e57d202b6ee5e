"""How far numbers are from those recomputed: `python last_bits.py FILE...` prints it as JSON.

It runs on the machine that recomputes, which has none of this package, so it imports the service alone.
"""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equipoise_service.readouts import verification


def last_bits(files: Sequence[Path]) -> dict[str, Any]:
    """Verify readouts with no tolerance.

    Args:
        files: The readouts, as JSON.

    Returns:
        `numbers` in the files, those that `differ`, the `largest` relative difference and its `place`.
    """
    verification.RELATIVE_TOLERANCE = verification.TOLERANCE_OF_AN_END = 0.0
    found: dict[str, Any] = {"numbers": 0, "differ": 0, "largest": 0.0, "place": None}
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"))
        found["numbers"] += _numbers(document)
        for each in verification.verify_readout(document):
            found["differ"] += 1
            apart = _apart(each.found, each.expected)
            if apart > found["largest"]:
                found |= {"largest": apart, "place": f"{file.name}{each.pointer}"}
    return found


def _numbers(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(_numbers(each) for each in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _apart(found: Any, expected: Any) -> float:
    """The relative difference; infinite where one of them is no number."""
    if not (_numbers(found) and _numbers(expected)):
        return math.inf
    return float(abs(found - expected) / max(abs(found), abs(expected)))


if __name__ == "__main__":
    print(json.dumps(last_bits([Path(name) for name in sys.argv[1:]])))
