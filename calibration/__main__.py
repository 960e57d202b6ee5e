"""Run the calibration: `python -m calibration [WORD …]`; cells whose section or name holds a word, or all.

Only a run of all cells writes the page of the documentation. A figure outside its band makes it end with 1.
"""

import datetime
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from calibration import real
from calibration.cells import all_cells
from calibration.measure import Row
from calibration.page import line, page, summary

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "statistics" / "calibration.md"


def main(words: list[str]) -> int:
    """Runs the cells on all processors and prints their rows as they come."""
    cells = [
        cell
        for cell in all_cells()
        if not words or any(word.lower() in f"{cell.section}/{cell.name}".lower() for word in words)
    ]
    if not cells:
        print(f"No cell's section or name holds any of: {', '.join(words)}.", file=sys.stderr)
        return 2
    if not real.available():
        print(f"No data at {real.DATA}: the resampled A/A tests are left out.")
    begin = time.perf_counter()
    done: dict[int, list[Row]] = {}
    # New interpreters: a fork of a process that has threads may hang.
    with ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(cell.published): index for index, cell in enumerate(cells)}
        for future in as_completed(futures):
            index = futures[future]
            done[index], seconds = future.result()
            print(f"[{len(done)}/{len(cells)}] {cells[index].section}: {cells[index].name} ({seconds:.1f} s)")
            for row in done[index]:
                print("  " + line(row), flush=True)
    rows = [row for index in sorted(done) for row in done[index]]
    if not words:
        sections = [(cells[index].section, done[index]) for index in sorted(done)]
        today = datetime.datetime.now(datetime.UTC).date()
        PAGE.write_text(page(sections, date=today, real=real.available()), encoding="utf-8")
        print(f"Wrote {PAGE}.")
    print(f"In {time.perf_counter() - begin:.0f} s: ", end="")
    return conclude(rows)


def conclude(rows: list[Row]) -> int:
    """Prints how the rows came out; the exit status is 1 if one is not as claimed."""
    print(summary(rows))
    wrong = [row for row in rows if not row.as_claimed]
    for row in wrong:
        print("NOT AS CLAIMED " + line(row))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
