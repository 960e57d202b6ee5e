"""The last configuration that could be read, kept in a file for a start while the service is away."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from equipoise.configuration import Configuration, load
from equipoise.transport import MAX_ANSWER_BYTES


def save(path: Path, document: bytes) -> None:
    """Write a configuration document, readable by this user alone; a reader sees the old or the new one.

    Raises:
        OSError: it could not be written; the file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made with mode 0600; in the same directory, so that the replacement is one step.
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def read(path: Path) -> Configuration:
    """Read it back.

    Raises:
        OSError: there is none, or it cannot be read.
        ConfigurationError: it is no configuration that this SDK reads.
    """
    with path.open("rb") as file:
        return load(file.read(MAX_ANSWER_BYTES))
