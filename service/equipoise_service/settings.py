"""Settings of the service, read from environment variables that begin with `EQUIPOISE_`."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "EQUIPOISE_"

# Read by tests, by the demo's child processes and by the SDK's users: not settings of the service.
_NOT_SETTINGS = frozenset({"EQUIPOISE_URL", "EQUIPOISE_KEY"})
_NOT_SETTINGS_PREFIX = "EQUIPOISE_TEST_"
# The addresses of sources, which are read when they are needed and kept nowhere.
_SOURCE_ADDRESS = re.compile(r"EQUIPOISE_SOURCE_[A-Z][A-Z0-9_]*_URL")

# What a browser sends in the header Origin, to be compared letter by letter.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")

_UNIT_KEY_LENGTH = 32
_POSTGRES = ("postgresql://", "postgresql+psycopg://")


class SettingsError(ValueError):
    """A setting has a value that the service cannot start with; the message names it."""


class Settings(BaseSettings):
    """Everything that can be set, with its default. Each field is the variable `EQUIPOISE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    data_dir: Path = Field(
        Path("equipoise-data"), description="Directory of the embedded databases; made when absent."
    )
    database_url: str = Field(
        "",
        repr=False,  # it may hold a password
        description="URL of the metadata database: `sqlite:///PATH`, or `postgresql://USER@HOST/DATABASE`. "
        "Empty: SQLite in the data directory.",
    )
    database_connections: Annotated[int, Field(ge=2, le=1000)] = Field(
        10,
        description="Most connections to a PostgreSQL metadata database that this process opens; one of them "
        "is for changes.",
    )
    host: str = Field("127.0.0.1", description="Address that `equipoise serve` listens on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8400, description="Port that `equipoise serve` listens on; 0 takes a free one and says which."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least serious message that is logged."
    )
    access_log: bool = Field(False, description="Log a line for every request.")
    refresh_seconds: Annotated[float, Field(ge=0.05, le=60)] = Field(
        0.25, description="How often, in seconds, the process looks for changes made by another one."
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = Field(
        8 << 20, description="Largest request body, after decompression; a larger one is answered 413."
    )
    max_segment_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = Field(
        32 << 20,
        description="Largest request body of the routes of segments, after decompression: lists of ids are "
        "long.",
    )
    max_batch_items: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        10_000,
        description="Most exposures and events in one batch, and most units in one request for assignments.",
    )
    cors_origins: str = Field(
        "",
        description="Origins whose pages may ask the OFREP routes and send events, separated by spaces; `*` "
        "is all. Empty: none.",
    )
    stream_subscribers: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        500,
        description="Most streams of changes and of jobs, and requests that wait for a job, at once, shared "
        "by the keys: one gets another while more are free than it has, else it is answered 429.",
    )
    event_store_url: str = Field(
        "",
        repr=False,  # it may hold a password
        description="URL of the event store: `postgresql://USER@HOST/DATABASE` or "
        "`clickhouse://USER@HOST/DATABASE`. Empty: DuckDB in the data directory.",
    )
    event_commit_milliseconds: Annotated[float, Field(ge=0, le=1000)] = Field(
        4.0,
        description="How long the event store gathers batches before it commits them together; under load, "
        "longer: a third of what its last commit took, at most 50.",
    )
    event_queue_items: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        200_000,
        description="Most items waiting for their commit; past that, batches are answered 503.",
    )
    event_body_mb: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        128,
        description="Most MiB of batches being read, judged and stored at any time; past that, batches are "
        "answered 503 before they are read. Bodies of other requests over 64 KiB may take as much again.",
    )
    tail_subscribers: Annotated[int, Field(ge=0, le=10_000)] = Field(
        5,
        description="Most readers of the live tail of events at once, shared by the keys as streams are; "
        "past that, one is answered 429.",
    )
    event_future_seconds: Annotated[float, Field(ge=0)] = Field(
        86_400.0, description="How far ahead of the service's clock the time of an item may lie."
    )
    analysis_memory_mb: Annotated[int, Field(ge=64)] = Field(
        4096, description="Memory that the embedded event store may use, in MiB; past that it spills to disk."
    )
    analysis_threads: Annotated[int, Field(ge=0, le=1024)] = Field(
        0, description="Threads of the embedded event store; 0 takes one a core."
    )

    unit_key: str = Field(
        "",
        repr=False,  # whoever has it can tell whether a unit is among those stored
        description="Secret of at least 32 characters: unit ids are stored as keyed hashes made with it. "
        "Empty: as they come. It cannot change while there are facts.",
    )
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        0, description="Days that exposures and events are kept; 0 keeps them for ever."
    )
    rejected_retention_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        90, description="Days that refused items are kept; 0 keeps them for ever."
    )
    backup_dir: str = Field(
        "", description="Directory that backups are made in. Empty: `backups` in the data directory."
    )

    readout_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        3600.0,
        description="How old, in seconds, the readout of a live experiment becomes until it is computed "
        "again by itself.",
    )
    source_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        300.0, description="Longest time, in seconds, that reading a source for one readout or test may take."
    )
    source_exposures: Annotated[int, Field(ge=0, le=100_000_000)] = Field(
        1_000_000, description="Most first exposures that a readout brings from the event store to a source."
    )
    preview_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        30.0, description="Longest time, in seconds, that the preview of a metric may take."
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value:
            return value
        if value.startswith(_POSTGRES):
            if not urlsplit(value).path.strip("/"):
                raise ValueError("the URL needs the name of a database: postgresql://USER@HOST/DATABASE")
            return value
        if not value.startswith("sqlite:///"):
            raise ValueError("a database is sqlite:///PATH or postgresql://USER@HOST/DATABASE")
        if value.partition("?")[0] in ("sqlite:///", "sqlite:///:memory:"):
            raise ValueError("the database needs a file: sqlite:///PATH")
        return value

    @field_validator("event_store_url")
    @classmethod
    def _known_event_store(cls, value: str) -> str:
        if not value:
            return value
        if not value.startswith((*_POSTGRES, "clickhouse://")):
            raise ValueError(
                "an event store is postgresql://USER@HOST/DATABASE or clickhouse://USER@HOST/DATABASE"
            )
        if not urlsplit(value).path.strip("/"):
            raise ValueError("the URL needs the name of a database: SCHEME://USER@HOST/DATABASE")
        return value

    @field_validator("unit_key")
    @classmethod
    def _long_key(cls, value: str) -> str:
        if value and len(value) < _UNIT_KEY_LENGTH:
            raise ValueError(f"the key needs at least {_UNIT_KEY_LENGTH} characters, made at random")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, value: str) -> str:
        if not all(each == "*" or _ORIGIN.fullmatch(each) for each in value.split()):
            raise ValueError("an origin is https://HOST or https://HOST:PORT, without a path; or http, or *")
        return value

    @property
    def metadata_url(self) -> str:
        """The metadata database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'metadata.db'}"

    @property
    def is_shared(self) -> bool:
        """Whether other processes may serve from the same metadata."""
        return self.database_url.startswith(_POSTGRES)

    @property
    def is_worker(self) -> bool:
        """Whether `equipoise serve` computes readouts: nobody else can open the embedded event store."""
        return not self.event_store_url

    @property
    def backup_path(self) -> Path:
        """The directory that backups are made in."""
        return Path(self.backup_dir) if self.backup_dir else self.data_dir / "backups"

    @property
    def event_store_path(self) -> Path:
        """The DuckDB file of the embedded event store."""
        return self.data_dir / "events.duckdb"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from environment variables.

    Args:
        environ: The variables; those of the process when absent.

    Raises:
        SettingsError: A value is refused or a name that begins with `EQUIPOISE_` is unknown. The message
            names each one and never repeats a value.
    """
    given = {
        name[len(PREFIX) :].lower(): value
        for name, value in (os.environ if environ is None else environ).items()
        if name.startswith(PREFIX)
        and name not in _NOT_SETTINGS
        and not name.startswith(_NOT_SETTINGS_PREFIX)
        and not _SOURCE_ADDRESS.fullmatch(name)
    }
    problems = [_unknown(name) for name in sorted(given.keys() - Settings.model_fields.keys())]
    known = {name: value for name, value in given.items() if name in Settings.model_fields}
    try:
        settings = Settings.model_validate(known)
    except ValidationError as error:
        problems += [f"{PREFIX}{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
    return f"{PREFIX}{name.upper()}: there is no such setting{hint}"
