"""What goes over the wire about sources."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from equipoise_service.keys import Key

MAX_QUERY = 20_000
"""Most characters of a query."""

READ_BY = ("connection", "events", "exposures")
"""The fields of a source that say what is read, and how."""


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("this is no time zone of the IANA database; write it as Europe/Berlin") from None
    return name


Name = Annotated[str, Field(min_length=1, max_length=200, description="Name for people.")]
Description = Annotated[str, Field(max_length=10_000, description="What lies there, and who cares for it.")]
Connection = Annotated[
    str,
    Field(
        pattern=r"^[A-Z][A-Z0-9_]*$",
        max_length=100,
        description="NAME of the service's environment variable `EQUIPOISE_SOURCE_<NAME>_URL`, which has "
        "the address and the credentials.",
    ),
]
Column = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
TimeZone = Annotated[
    str,
    Field(max_length=64, description="The zone of times that have none, of the IANA database."),
    AfterValidator(_known_zone),
]
Table = Annotated[
    str,
    Field(
        min_length=1,
        max_length=400,
        pattern=r"^[^.\x00]+(\.[^.\x00]+){0,2}$",
        description="`TABLE`, `SCHEMA.TABLE` or `CATALOG.SCHEMA.TABLE`.",
    ),
]
Query = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_QUERY,
        description="A single SELECT in the engine's own SQL, which reads and does nothing else.",
    ),
]

_CONFIG = ConfigDict(extra="forbid", frozen=True)


class Rows(BaseModel):
    """Where rows come from: a table or a query, exactly one of them."""

    model_config = _CONFIG

    table: Table | None = None
    query: Query | None = None
    unit_type: Key = Field("user", description="What the units are, where no column says it.")
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("give either a table or a query")
        return self


class EventColumns(BaseModel):
    """Which columns of events mean what."""

    model_config = _CONFIG

    unit: Column = Field(description="The unit's id: text, whole numbers or UUIDs.")
    time: Column = Field(description="When it happened: a timestamp or a date.")
    value: Column | None = Field(None, description="A number or a boolean; absent: no event has a value.")
    name: Column | None = Field(None, description="The event's name; absent: `name` beside `columns`.")
    properties: Column | None = Field(None, description="A JSON object, as JSON or text.")
    unit_type: Column | None = Field(None, description="What the unit is; absent: `unit_type`.")


class Events(Rows):
    """The rows that are events."""

    columns: EventColumns
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        None, description="The name of all events, where no column says it."
    )

    @model_validator(mode="after")
    def _named(self) -> Self:
        if (self.name is None) == (self.columns.name is None):
            raise ValueError("events have a name, or a column that says it: give one of the two")
        return self


class ExposureColumns(BaseModel):
    """Which columns of exposures mean what."""

    model_config = _CONFIG

    unit: Column = Field(description="The unit's id, as in the events.")
    time: Column = Field(description="When the unit met its variant.")
    experiment: Column = Field(description="The experiment's key.")
    variant: Column = Field(description="The variant's key.")
    revision: Column | None = Field(
        None, description="Number of the revision; absent: every exposure counts for each revision."
    )
    unit_type: Column | None = Field(None, description="What the unit is; absent: `unit_type`.")


class Exposures(Rows):
    """The rows that are exposures."""

    columns: ExposureColumns


_EXAMPLE: dict[str, Any] = {
    "key": "warehouse-orders",
    "name": "Orders in the warehouse",
    "connection": "WAREHOUSE",
    "events": {
        "table": "analytics.orders",
        "columns": {"unit": "user_id", "time": "ordered_at", "value": "amount"},
        "name": "order",
        "time_zone": "Europe/Berlin",
    },
}


class SourceIn(BaseModel):
    """A source to be made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    key: Key
    name: Name
    description: Description = ""
    connection: Connection
    events: Events
    exposures: Exposures | None = Field(
        None,
        description="Null: first exposures are brought over from the service's own event store.",
    )


class SourcePatch(BaseModel):
    """What to change of a source; what is absent stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"connection": "WAREHOUSE_EU"}})

    name: Name | SkipJsonSchema[None] = None
    description: Description | SkipJsonSchema[None] = None
    connection: Connection | SkipJsonSchema[None] = None
    events: Events | SkipJsonSchema[None] = None
    exposures: Exposures | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2000)] | SkipJsonSchema[None] = Field(
        None,
        description="Why what is read changes under locked plans that name the source; every readout of "
        "theirs will show it.",
    )

    @model_validator(mode="after")
    def _no_nulls(self) -> Self:
        for name in self.model_fields_set - {"exposures"}:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null; leave it out to keep it")
        return self


class SourceOut(BaseModel):
    """A source."""

    key: str
    name: str
    description: str
    connection: str
    events: Events
    exposures: Exposures | None
    created_at: datetime
    updated_at: datetime


class SourceUse(BaseModel):
    """A revision of a started experiment whose locked plan names a source."""

    experiment: str = Field(description="The experiment's key.")
    environment: str = Field(description="Where it was started.")
    revision: int = Field(description="Number of the revision.")
    status: str = Field(description="The experiment's status there; `archived`: changes are not recorded.")


class Finding(BaseModel):
    """Something that a test of a source found."""

    severity: Literal["error", "warning"] = Field(
        description="`error`: no metric can be read from it; `warning`: numbers may not mean what you think."
    )
    code: str = Field(description="Stable name.")
    pointer: str = Field(description="Where in the source's definition, as a JSON pointer; empty: all of it.")
    message: str = Field(description="What is wrong, and what to do.")


class Sample(BaseModel):
    """How many rows have a name, or an experiment and its variant."""

    name: str = Field(description="Name of the events; of exposures `EXPERIMENT/VARIANT`.")
    rows: int
    units: int


class RowsFound(BaseModel):
    """What lies in the events or exposures of a source."""

    rows: int = Field(description="Rows that have a unit, a time and, of exposures, a variant.")
    incomplete: int = Field(description="Rows that lack one of these; they are left out.")
    duplicates: int = Field(description="Rows that repeat another one in every mapped column.")
    units: int = Field(description="Different units.")
    first: datetime | None = Field(description="The earliest time, in UTC.")
    last: datetime | None = Field(description="The latest time, in UTC.")
    values: int | None = Field(description="Events that have a value; null for exposures.")
    samples: list[Sample] = Field(description="The 20 most frequent.")


class SourceTestOut(BaseModel):
    """What a test of a source found."""

    source: str
    engine: str | None = Field(description="What kind of engine it is; null where it cannot be reached.")
    ok: bool = Field(description="Whether no finding is an error.")
    findings: list[Finding]
    events: RowsFound | None = Field(description="Null where they cannot be read.")
    exposures: RowsFound | None = Field(description="Null where they cannot be read, or are the store's own.")
    seconds: float = Field(description="How long the test took.")
