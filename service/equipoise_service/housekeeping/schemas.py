"""Erasures, retention, backups and exports on the wire."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.events.schemas import MAX_UNIT_LENGTH
from equipoise_service.keys import Key

ExportedTable = Literal["exposures", "events"]

Counts = Annotated[dict[str, int], Field(description="How many, by table.")]


class EraseIn(BaseModel):
    """A unit that is to be erased."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"unit_type": "user", "unit": "user-1"}}
    )

    unit_type: Key = Field(description="What kind of unit it is, such as `user`.")
    unit: str = Field(
        min_length=1, max_length=MAX_UNIT_LENGTH, pattern=r"^[^\x00]*$", description="Its id, as it was sent."
    )


class ErasureOut(BaseModel):
    """An erasure, and what proves it. The unit's id is not in it."""

    id: str = Field(description="The erasure's id.")
    unit_type: str = Field(description="What kind of unit it was.")
    unit_hash: str = Field(description="Keyed hash of its id: the same for every erasure of it here.")
    requested_by: str = Field(description="Public id of the API key that asked for it.")
    requested_at: datetime = Field(
        description="What happened until then is refused when it arrives later; what happens afterwards is "
        "stored."
    )
    finished_at: datetime | None = Field(
        description="When all was deleted and searched; null where it was interrupted: ask for it again."
    )
    deleted: Counts
    found: Counts = Field(description="What a search of every table found afterwards, by table.")
    verified: bool = Field(description="Whether it is finished and nothing was found.")


class RetentionOut(BaseModel):
    """What was deleted because it is old."""

    deleted: Counts
    finished: bool = Field(description="Whether nothing old is left; if not, ask again to go on.")


class BackupFile(BaseModel):
    """A file of a backup."""

    bytes: int = Field(description="Its size.")
    sha256: str = Field(description="Its SHA-256, in hexadecimal.")


class BackupOut(BaseModel):
    """A backup that was made: its manifest, and where it lies."""

    format: Literal["equipoise.backup/1"] = Field(description="What the manifest is.")
    created_at: datetime = Field(description="When it was made.")
    release: str = Field(description="The release that made it.")
    files: dict[str, BackupFile] = Field(description="Its files, by name.")
    directory: str = Field(description="Where it lies on the service's machine.")


class ExportedDay(BaseModel):
    """What there is of one day."""

    date: date
    rows: int = Field(description="How many rows have their `time` in it (UTC).")
    until: datetime = Field(description="When the newest of them was received.")


class ExportedDays(BaseModel):
    """The days of a table in the key's environment, oldest first."""

    place: str = Field(description="`project/environment`.")
    days: list[ExportedDay]
