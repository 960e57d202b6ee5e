"""What evaluation costs beside the hash that it cannot do without."""

import time
from collections.abc import Callable
from hashlib import sha256

from benchmarks.paired import paired, row
from benchmarks.peers.evaluation_equipoise import document
from benchmarks.peers.scene import FLAG, HERE
from equipoise import evaluate
from equipoise._conditions import Compiled, read
from equipoise.configuration import parse

UNITS = 100_000
ROUNDS = 9


def main() -> None:
    """Print each figure beside its floor."""
    print("evaluation of one flag with an audience, two arms, full traffic, beside a loop that only hashes")
    units = [f"user-{number}" for number in range(UNITS)]
    _one(units)
    _condition(units)


def _one(units: list[str]) -> None:
    configuration, attributes = parse(document()), {"country": HERE}

    def evaluating() -> None:
        for unit in units:
            evaluate(configuration, FLAG, unit, None, attributes)

    measured, floor, ratios = _paired(evaluating, lambda: _hash(units), len(units))
    row("evaluate, over the hash alone", f"{measured:.2f} μs", f"{floor:.2f} μs", ratios)


def _condition(units: list[str]) -> None:
    condition = document()["flags"][FLAG]["rules"][0]["audience"]
    holds, attributes = Compiled({}).compile(read(condition, "audience"), "audience"), {"country": HERE}

    def asking() -> None:
        for unit in units:
            holds(unit, attributes)

    limit = 0.1
    measured, _, ratios = paired(lambda: _micros(asking, len(units)), lambda: limit, ROUNDS)
    row("an attribute among three, alone (limit 0.1 μs)", f"{measured:.2f} μs", f"{limit:.2f} μs", ratios)


def _hash(units: list[str]) -> None:
    prefix, number = b"9ab1c3d4e5f60718:", int.from_bytes
    for unit in units:
        (number(sha256(prefix + unit.encode()).digest(), "big") >> 204) % 10_000


def _paired(
    ours: Callable[[], None], floor: Callable[[], None], count: int
) -> tuple[float, float, list[float]]:
    return paired(lambda: _micros(ours, count), lambda: _micros(floor, count), ROUNDS)


def _micros(run: Callable[[], None], count: int) -> float:
    """Return the processor time of one of `count` evaluations, in microseconds."""
    begin = time.process_time()
    run()
    return (time.process_time() - begin) / count * 1e6


if __name__ == "__main__":
    main()
