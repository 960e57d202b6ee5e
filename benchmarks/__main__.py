"""Run the benchmarks: `python -m benchmarks [NAME …]`; all but the large ones when none is named."""

import importlib
import sys
import time

NAMES = (
    "evaluation",
    "evaluation_peers",
    "evaluation_scale",
    "serving",
    "ingestion",
    "latency",
    "readout",
    "readout_building",
    "refresh",
    "statistics",
)
LARGE = ("random_ids", "readout_large")


def main(names: list[str]) -> None:
    """Run each benchmark in turn."""
    unknown = set(names) - {*NAMES, *LARGE}
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES + LARGE)}")
    for name in names or NAMES:
        begin = time.perf_counter()
        importlib.import_module(f"benchmarks.{name}").main()
        print(f"  ({name} took {time.perf_counter() - begin:.0f} s)\n", flush=True)


main(sys.argv[1:])
