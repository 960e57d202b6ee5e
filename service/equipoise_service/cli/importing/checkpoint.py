"""How far an import has come, kept in a small file so that the same command goes on from there.

It saves time alone: the ids of the items make it harmless to send rows again, so a checkpoint that is lost,
or older than what was sent, costs nothing but the time to send them.
"""

import hashlib
import os
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from equipoise_service.cli.importing.mapping import Mapping
from equipoise_service.cli.importing.source import Source
from equipoise_service.cli.importing.tally import Tally

_SECONDS_BETWEEN: Final = 0.5


class _Saved(msgspec.Struct, forbid_unknown_fields=True):
    file: str
    size: int
    modified_ns: int
    tally: Tally


class Checkpoint:
    """The checkpoint of one file, mapping, service and key.

    Args:
        source: The file.
        mapping: Its columns.
        url: The service.
        key: The key; only a digest over all of these is kept.

    Attributes:
        path: Where it is kept.
        problem: Why it cannot be kept; nothing as long as it can.
    """

    def __init__(self, source: Source, mapping: Mapping, url: str, key: str) -> None:
        self._source = source
        identity = (os.fspath(source.path.resolve()), mapping.digest(), url, key)
        name = hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:32]
        self.path = _state_directory() / f"{name}.json"
        self.problem: str | None = None
        self._saved_at = monotonic()

    def load(self) -> Tally | None:
        """What was done before; nothing when there is no checkpoint, or the file was changed since."""
        try:
            saved = msgspec.json.decode(self.path.read_bytes(), type=_Saved)
        except (FileNotFoundError, msgspec.DecodeError):
            return None  # one that cannot be read, of another release perhaps, will be written anew
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror or error}"
            return None
        unchanged = (saved.size, saved.modified_ns) == (self._source.size, self._source.modified_ns)
        return saved.tally if unchanged else None

    def save(self, tally: Tally, *, now: bool = False) -> None:
        """Keep what was done, at most twice a second unless `now`.

        A checkpoint that cannot be written is no reason to stop: `problem` says why.
        """
        if self.problem is not None or not (now or monotonic() - self._saved_at >= _SECONDS_BETWEEN):
            return
        saved = _Saved(os.fspath(self._source.path), self._source.size, self._source.modified_ns, tally)
        scratch = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            scratch.write_bytes(msgspec.json.encode(saved))
            scratch.replace(self.path)
        except OSError as error:
            self.problem = f"{self.path.parent}: {error.strerror or error}"
        self._saved_at = monotonic()

    def remove(self) -> None:
        """Forget it: the import is done, or shall begin anew."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror or error}"


def _state_directory() -> Path:
    home = os.environ.get("XDG_STATE_HOME")
    base = Path(home) if home and Path(home).is_absolute() else Path.home() / ".local" / "state"
    return base / "equipoise" / "imports"
