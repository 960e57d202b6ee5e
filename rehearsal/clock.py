"""The service's clock: the unmodified service has another date preloaded, and its days pass in seconds."""

import mmap
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")
_BYTES = 8


def missing() -> str | None:
    """Why there can be no such clock here; None where there can."""
    if not sys.platform.startswith("linux"):
        return "the date of a process is changed by LD_PRELOAD, which Linux has"
    if shutil.which("cc") is None:
        return "there is no C compiler. On Debian and Ubuntu: apt-get install gcc libc6-dev"
    return None


class Clock:
    """A clock that goes on as the machine's does and can be moved ahead, for those who live by it.

    Timers keep the machine's pace: only who asks for the date is told another one.

    Args:
        directory: Where what is preloaded is built, and the file that says how far the clock is ahead.

    Raises:
        RuntimeError: There can be no such clock here.
    """

    def __init__(self, directory: Path) -> None:
        if (why := missing()) is not None:
            raise RuntimeError(f"Days cannot pass: {why}")
        self._library = directory / "clock.so"
        self._file = directory / "clock"
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)  # noqa: S603 - our own source
        self._file.write_bytes(bytes(_BYTES))
        with self._file.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _BYTES)
        self._ahead = timedelta()

    def environ(self) -> dict[str, str]:
        """What a process needs in its environment to live by this clock."""
        return {"LD_PRELOAD": str(self._library), "REHEARSAL_CLOCK": str(self._file)}

    def now(self) -> datetime:
        """The time that it shows."""
        return datetime.now(UTC) + self._ahead

    def move(self, by: timedelta) -> None:
        """Move it ahead, for all who live by it at once."""
        self._ahead += by
        nanoseconds = self._ahead // timedelta(microseconds=1) * 1000
        self._shared[:] = nanoseconds.to_bytes(_BYTES, sys.byteorder, signed=True)
