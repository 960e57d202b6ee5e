"""What is queued, kept on disk as well, so that a crash of the process loses none of it.

A spool is a directory that any number of processes may share. A process appends each item, when it is
queued, to a segment: a file of its own that it holds locked (`flock`). A segment is removed once the service
has answered for all of it. A segment that nobody holds locked was left by a process that ended; whoever
finds it sends what is in it, with the same ids, so that the service recognises what it already has.

A line is one item: `x` (exposure) or `e` (event), a space, its JSON. A line cut short by a crash or a full
disk is passed over. Nothing is synced: what was written survives the process, not a power cut.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from equipoise._items import Item
from equipoise.identifiers import uuid7

SUFFIX: Final = ".spool"

_LETTERS: Final[dict[Literal["exposures", "events"], bytes]] = {"exposures": b"x ", "events": b"e "}
_KINDS: Final[dict[bytes, Literal["exposures", "events"]]] = {
    letter: kind for kind, letter in _LETTERS.items()
}
_SEGMENTS: Final = 16
"""Into how many segments the allowed bytes are cut; a segment is removed as a whole."""


class Segment:
    """One file of a spool, open and locked by this process.

    Attributes:
        path: where it is.
        size: how many bytes of whole lines it has.
        last: the queue's number of the last item in it.
    """

    def __init__(self, path: Path, descriptor: int, last: int = 0) -> None:
        self.path = path
        self.size = 0
        self.last = last
        self._descriptor = descriptor

    @classmethod
    def create(cls, directory: Path) -> "Segment":
        """Make an empty one. Raises `OSError`."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / f"{uuid7()}{SUFFIX}"
        hidden = path.with_suffix(".new")  # until it is locked, nobody may take it for abandoned
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
        except OSError:
            os.close(descriptor)
            hidden.unlink(missing_ok=True)
            raise
        return cls(path, descriptor)

    @classmethod
    def claim(cls, path: Path) -> "Segment | None":
        """Lock one that another process left; None where that process lives, or another was faster."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            claimed = os.fstat(descriptor).st_nlink > 0
        except OSError:
            claimed = False
        if not claimed:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def append(self, line: bytes, number: int) -> None:
        """Add a line. Raises `OSError`, and then the file is as it was before."""
        written = 0
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                raise OSError(f"only {written} of {len(line)} bytes could be written to {self.path}")
        except OSError:
            if written:
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += written
        self.last = number

    def items(self) -> Iterator[Item]:
        """Read what can be read. Raises `OSError`."""
        with self.path.open("rb") as lines:
            for line in lines:
                item = _read(line)
                if item is not None:
                    yield item

    def clear(self) -> None:
        """Make it empty; it stays in use. Raises `OSError`."""
        if self.size:
            os.ftruncate(self._descriptor, 0)
            self.size = 0

    def remove(self) -> None:
        """Delete it."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leave it, as it is, to whoever claims it. In a forked child: the parent's lock stays."""
        os.close(self._descriptor)


class Spool:
    """The segments of one process. Whoever calls holds the queue's lock.

    Attributes:
        directory: where the segments are.
        missing: the queue's numbers of what could not be kept and has not met its end.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.missing: set[int] = set()
        self._max_bytes = max_bytes
        self._segments: list[Segment] = []  # the last one is open for more
        self._adopted: list[Segment] = []

    def append(self, item: Item, number: int) -> None:
        """Keep an item on disk.

        Args:
            item: what was queued.
            number: its number in the queue; greater than every earlier one.

        Raises:
            OSError: it could not be kept, or all allowed bytes are used; it is only in memory.
        """
        line = _LETTERS[item.kind] + item.body + b"\n"
        try:
            if sum(segment.size for segment in self._segments) + len(line) > self._max_bytes:
                raise OSError(f"the spool {self.directory} holds {self._max_bytes} bytes already")
            if not self._segments or self._segments[-1].size >= self._max_bytes // _SEGMENTS:
                self._segments.append(Segment.create(self.directory))
            self._segments[-1].append(line, number)
        except OSError:
            self.missing.add(number)
            raise

    def settle(self, oldest: int) -> None:
        """Remove what is only about items before `oldest`, all of which have met their end."""
        if self.missing:
            self.missing = {number for number in self.missing if number >= oldest}
        while len(self._segments) > 1 and self._segments[0].last < oldest:
            self._segments.pop(0).remove()
        if self._segments and self._segments[0].last < oldest:
            with suppress(OSError):  # it will be tried again; at worst, what was sent is sent again
                self._segments[0].clear()
        for segment in [each for each in self._adopted if each.last < oldest]:
            self._adopted.remove(segment)
            segment.remove()

    def abandoned(self) -> list[Path]:
        """Return the segments that are there now and not this process's own; some may be another's."""
        own = {segment.path for segment in (*self._segments, *self._adopted)}
        try:
            return sorted(
                path for path in self.directory.iterdir() if path.suffix == SUFFIX and path not in own
            )
        except OSError:  # there is none yet
            return []

    def adopt(self, segment: Segment, last: int) -> None:
        """Answer for a claimed segment, whose items are all queued, the last one as number `last`."""
        segment.last = last
        self._adopted.append(segment)

    def release(self) -> None:
        """Let go of everything; what is on disk stays for the next process."""
        for segment in (*self._segments, *self._adopted):
            if segment.size == 0 and segment in self._segments:
                segment.remove()
            else:
                segment.release()
        self._segments, self._adopted = [], []

    def disown(self) -> None:
        """In a forked child: close what is the parent's, and change nothing on disk."""
        for segment in (*self._segments, *self._adopted):
            segment.release()
        self._segments, self._adopted = [], []


def _read(line: bytes) -> Item | None:
    kind = _KINDS.get(line[:2])
    if kind is None or not line.endswith(b"\n"):
        return None
    body = line[2:-1]
    try:
        identifier = json.loads(body)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Item(kind, identifier, body) if isinstance(identifier, str) else None
