"""Sorted runs of numbers, each with the second of a receipt, in files that are there while they are mapped.

Few large runs and some small ones, as in a log-structured merge tree: to look a number up is a binary search
in each, and each number is written again once for every time that there are four times as many.
"""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt

_Number = TypeVar("_Number", np.uint64, np.uint32)
Numbers = npt.NDArray[np.uint64]
Seconds = npt.NDArray[np.uint32]

MOST_ALIKE = 4
"""So many runs of about the same size become one."""

# What is sorted at a time: the memory that merging takes, whatever the size of the runs.
_AT_A_TIME = 1 << 18


class Ended(Exception):
    """Nobody wants the run any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Numbers in ascending order, and what belongs to each.

    Attributes:
        numbers: May hold the same one several times.
        seconds: For each the second, since 1970, in which it was received.
        is_mapped: Whether they are a file's; else they are in memory.
    """

    numbers: Numbers
    seconds: Seconds
    is_mapped: bool = False

    @property
    def tier(self) -> int:
        """The same for runs of about the same size."""
        return len(self.numbers).bit_length() // 2


def sorted_run(numbers: Numbers, seconds: Seconds) -> Run:
    """A run in memory of numbers in any order."""
    order = np.argsort(numbers)
    return Run(numbers[order], seconds[order])


def merged(runs: Sequence[Run], directory: Path, ended: threading.Event) -> Run:
    """One run of several, in files.

    Args:
        runs: At least one number in all.
        directory: Where the files are made. They have no name there, so nothing is left of them when the
            process ends, however it ends.
        ended: Set when nobody wants it any more.

    Raises:
        OSError: There is no room.
        Ended: `ended` was set.
    """
    total = sum(len(run.numbers) for run in runs)
    parts = total // _AT_A_TIME + 1
    edges = np.arange(1, parts, dtype=np.uint64) * np.uint64((2**64 - 1) // parts)
    cuts = [[0, *np.searchsorted(run.numbers, edges).tolist(), len(run.numbers)] for run in runs]
    with tempfile.TemporaryFile(dir=directory) as first, tempfile.TemporaryFile(dir=directory) as second:
        for part in range(parts):
            if ended.is_set():
                raise Ended
            places = [slice(cut[part], cut[part + 1]) for cut in cuts]
            numbers = np.concatenate([run.numbers[place] for run, place in zip(runs, places, strict=True)])
            seconds = np.concatenate([run.seconds[place] for run, place in zip(runs, places, strict=True)])
            order = np.argsort(numbers, kind="stable")
            first.write(numbers[order].tobytes())
            second.write(seconds[order].tobytes())
        return Run(_mapped(first, np.uint64), _mapped(second, np.uint32), is_mapped=True)


def seconds_of(numbers: Numbers, runs: Sequence[Run]) -> Seconds:
    """The seconds of those of some numbers that any run holds: each once, ascending."""
    keys = np.sort(numbers)
    found = [np.empty(0, dtype=np.uint32)]
    for run in runs:
        if not len(run.numbers):
            continue
        firsts = np.searchsorted(run.numbers, keys)
        held = np.asarray(run.numbers.take(firsts, mode="clip") == keys)
        if held.any():
            ends = np.searchsorted(run.numbers, keys[held], side="right")
            found += [run.seconds[at:end] for at, end in zip(firsts[held], ends, strict=True)]
    return np.unique(np.concatenate(found))


def _mapped(file: IO[bytes], kind: type[_Number]) -> npt.NDArray[_Number]:
    file.flush()
    return np.memmap(file, dtype=kind, mode="r").view(np.ndarray)
