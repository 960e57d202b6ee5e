"""`equipoise export --parquet`: exposures and events as Hive-partitioned Parquet."""

import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import typer

from equipoise_service.cli.failures import Failure

_TABLES = ("exposures", "events")
_FILE = "facts.parquet"
_CHUNK = 1 << 20
_SECONDS = 600.0
_PARTIAL = ".partial-"
# Far longer than a day takes to be fetched.
_ABANDONED_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class _Exported:
    """What a file holds: how many rows, the newest of which was received then."""

    rows: int
    until: datetime


def export_parquet(url: str, key: str, directory: Path) -> None:
    """Write each day of a key's environment that is not there yet as it is in the service.

    A file has its name when it is whole. A day of which the service has fewer rows than the file is left as
    it is, and told: retention takes days away there that a lakehouse is to keep.

    Args:
        url: The service's address.
        key: A key with the scope admin.
        directory: Where `exposures/place=…/date=…/` and `events/place=…/date=…/` are made.

    Raises:
        Failure: It cannot be done.
    """
    from equipoise_service.cli.definitions.api import Api

    api = Api(url, key)
    _delete_abandoned(directory)
    shrunk: list[Path] = []
    for table in _TABLES:
        listed = api.get(f"/v1/exports/{table}").body
        place = quote(listed["place"], safe="")
        written = rows = 0
        for day in listed["days"]:
            path = directory / table / f"place={place}" / f"date={day['date']}" / _FILE
            wanted = _Exported(day["rows"], datetime.fromisoformat(day["until"]))
            before = _exported(path)
            if before == wanted:
                continue
            if before is not None and before.rows > wanted.rows:
                shrunk.append(path)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            rows += _download(url, key, f"/v1/exports/{table}/{day['date']}", path)
            written += 1
        typer.echo(f"{table}: {written:,} of {len(listed['days']):,} days written, {rows:,} rows.")
    for path in shrunk:
        typer.secho(
            f"{path} has more rows than the service now: they were deleted there, because they are old or "
            "a unit was erased. Delete the file and export again to follow.",
            fg="yellow",
            err=True,
        )


def _delete_abandoned(directory: Path) -> None:
    """Delete the partial files of runs that were killed: those that nobody wrote to for a day."""
    for path in directory.glob(f"*/place=*/date=*/{_PARTIAL}*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                path.unlink()


def _exported(path: Path) -> _Exported | None:
    from pyarrow import ArrowInvalid, parquet

    try:
        metadata: Mapping[bytes, bytes] = parquet.read_metadata(path).metadata or {}
    except FileNotFoundError:
        return None
    except ArrowInvalid:
        raise Failure(f"{path} is not a Parquet file. Delete it and export again.") from None
    try:
        rows, until = metadata[b"equipoise.rows"], metadata[b"equipoise.until"]
    except KeyError:
        raise Failure(f"{path} was not written by this command. Export to another directory.") from None
    return _Exported(int(rows), datetime.fromisoformat(until.decode()))


def _download(url: str, key: str, path: str, target: Path) -> int:
    """Fetch a file; how many rows it holds."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    asked = Request(url + path, headers={"Authorization": f"Bearer {key}"})  # noqa: S310 - the scheme was checked
    handle, name = tempfile.mkstemp(prefix=_PARTIAL, dir=target.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, urlopen(asked, timeout=_SECONDS) as answer:  # noqa: S310 - as above
            size = int(answer.headers.get("Content-Length", "-1"))
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
            if file.tell() != size:
                raise Failure(f"{url}: the answer ended in the middle. Run the command again to go on.")
            file.flush()
            os.fsync(file.fileno())
        found: Any = _exported(partial)
        partial.chmod(0o644)
        partial.replace(target)
    except HTTPError as error:
        with error:
            raise Failure(f"{url}{path}: answered {error.code}: {error.read(300)!r}") from None
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise Failure(f"The service at {url} cannot be reached: {error}.") from None
    finally:
        partial.unlink(missing_ok=True)
    return int(found.rows)
