"""Verify readouts on another machine: `python -m rehearsal.emulated DIRECTORY`.

The directory holds readouts as JSON, as `make rehearse` leaves them. It ends with 1 if
a readout does not verify there, or an edited one does.
"""

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from rehearsal.elsewhere import verify_elsewhere
from rehearsal.machine import build, missing

SEED = 20261122
# An emulated processor is some twenty times as slow: so many are edited, and looked at to the last digit.
SAMPLE = 100


def main(arguments: list[str]) -> int:
    """Builds the machine, verifies every readout there, as it is and edited, and says how it came out."""
    if len(arguments) != 1 or not (files := sorted(Path(arguments[0]).glob("*.json"))):
        print(
            "Name a directory with readouts (*.json). `make rehearse` leaves some in .rehearsed.",
            file=sys.stderr,
        )
        return 2
    if (why := missing()) is not None:
        print(f"No machine can be emulated: {why}", file=sys.stderr)
        return 2
    begin = time.perf_counter()

    def tell(text: str) -> None:
        print(f"{time.perf_counter() - begin:6.0f} s  {text}", flush=True)

    readouts = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    with tempfile.TemporaryDirectory(prefix="machine-") as directory:
        machine = build(Path(directory))
        tell("the machine is built")
        tell(", ".join(f"{name} {what}" for name, what in machine.describe().items()))
        there = machine.root / "readouts"
        checked = verify_elsewhere(readouts, there, seed=SEED, verify=machine.verify, edited=SAMPLE)
        tell(f"{checked.agreed:,} of {checked.readouts:,} readouts agree")
        files = sorted((there / "as-they-are").iterdir())
        bits = machine.last_bits(random.Random(SEED).sample(files, min(SAMPLE, len(files))))  # noqa: S311 - no secret
        tell(
            f"{bits['differ']:,} of {bits['numbers']:,} numbers differ in their last digits, the most by "
            f"{bits['largest']:.1e}, relative, at {bits['place']}"
        )
    for place, number in sorted(checked.edited.items()):
        print(f"edited {place}: {checked.told[place]:,} of {number:,} told")
    for fault in checked.faults:
        print(f"NOT RIGHT {fault}")
    return 1 if checked.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
