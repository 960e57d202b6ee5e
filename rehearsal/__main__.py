"""Run the rehearsal: `python -m rehearsal [EXPERIMENTS] [--keep DIRECTORY]`.

It ends with 1 if anything is not as planned. Only a run of 200 experiments or more writes the page of the
documentation.
"""

import argparse
import datetime
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rehearsal.clock import missing
from rehearsal.counting import Line, count
from rehearsal.days import Tell, rehearse
from rehearsal.elsewhere import Checked, verify_elsewhere
from rehearsal.judging import covers, experiment_faults, novelty_faults
from rehearsal.kinds import planned_kinds
from rehearsal.page import page, table_line
from rehearsal.registering import Rehearsed

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "rehearsals.md"
WHOLE = 200
SEED = 20261122


def main(arguments: list[str]) -> int:
    """Runs so many experiments, prints how they came out, and says whether all is as planned."""
    if (why := missing()) is not None:
        print(f"Days cannot pass: {why}", file=sys.stderr)
        return 2
    experiments, keep = _parsed(arguments)
    begin = time.perf_counter()

    def tell(text: str) -> None:
        print(f"{time.perf_counter() - begin:6.0f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="rehearsal-") as directory:
        rehearsed, checked = run(experiments, Path(directory), seed=SEED, tell=tell)
        if keep is not None:
            shutil.copytree(Path(directory, "elsewhere", "as-they-are"), keep)
    lines, faults = conclude(rehearsed, checked)
    for line in lines:
        print(table_line(line))
    for fault in faults:
        print(f"NOT RIGHT {fault}")
    readouts = sum(len(each.readouts) for each in rehearsed)
    found = [known for each in rehearsed if (known := covers(each)) is not None]
    covered = (sum(found), len(found))
    print(f"{readouts:,} readouts, {checked.agreed:,} verified; intervals that hold the truth: {covered}")
    if not faults and experiments >= WHOLE:
        today = datetime.datetime.now(datetime.UTC).date()
        PAGE.write_text(
            page(lines, checked, readouts=readouts, covered=covered, date=today), encoding="utf-8"
        )
        print(f"Wrote {PAGE}.")
    return 1 if faults else 0


def _parsed(arguments: list[str]) -> tuple[int, Path | None]:
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description="Run the rehearsal.")
    parser.add_argument("experiments", nargs="?", type=int, default=WHOLE, help="how many (%(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="leave every readout there, as JSON")
    found = parser.parse_args(arguments)
    if found.keep is not None and found.keep.exists():
        parser.error(f"{found.keep} is there already")
    return found.experiments, found.keep


def run(experiments: int, directory: Path, *, seed: int, tell: Tell) -> tuple[list[Rehearsed], Checked]:
    """Rehearses, then verifies every readout after the service was stopped."""
    rehearsed = rehearse(planned_kinds(experiments), directory, seed=seed, tell=tell)
    readouts = [readout for each in rehearsed for readout in each.readouts]
    checked = verify_elsewhere(readouts, directory / "elsewhere", seed=seed)
    tell(f"{len(readouts):,} readouts verified elsewhere, as they are and edited")
    return rehearsed, checked


def conclude(rehearsed: list[Rehearsed], checked: Checked) -> tuple[list[Line], list[str]]:
    """What came of each kind, and everything that is not as planned."""
    lines = count(rehearsed)
    faults = [f"{table_line(line)}" for line in lines if not line.holds]
    faults += [fault for each in rehearsed for fault in experiment_faults(each)]
    faults += novelty_faults(rehearsed)
    return lines, [*faults, *checked.faults]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
