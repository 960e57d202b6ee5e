"""Which columns of a file make which exposures and events."""

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from equipoise_service.cli.failures import Failure

_VALUE = re.compile(r"value\((.+)\)")


@dataclass(frozen=True, slots=True)
class EventMapping:
    """One event that a row may make.

    Attributes:
        name: Name of the event.
        column: The column that says whether it happened, or that holds its value.
        has_value: Whether the column holds the event's value.
    """

    name: str
    column: str
    has_value: bool


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which columns make what. `experiment` and `variant` are given together, `time` or `at` is given.

    Attributes:
        unit: Column of the unit ids.
        unit_type: What the units are.
        experiment: Key of the experiment that every row is an exposure to, if any.
        variant: Column of the variants.
        revision: Revision of the experiment; absent: the service's present one.
        time: Column of the times.
        at: The time of all rows, in RFC 3339 and UTC.
        timezone: IANA name of the zone of times that name none.
        events: The events that a row may make.
    """

    unit: str
    unit_type: str
    experiment: str | None
    variant: str | None
    revision: int | None
    time: str | None
    at: str | None
    timezone: str
    events: tuple[EventMapping, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        named = [self.unit, self.variant, self.time, *(event.column for event in self.events)]
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def items_per_row(self) -> int:
        """The most exposures and events that one row makes."""
        return (self.experiment is not None) + len(self.events)

    def digest(self) -> str:
        """SHA-256 of everything in it, in hexadecimal."""
        return hashlib.sha256(msgspec.json.encode(asdict(self))).hexdigest()


def parse_event(text: str) -> EventMapping:
    """Read `NAME: COLUMN` or `NAME: value(COLUMN)`; the name may contain colons.

    Raises:
        Failure: It is neither.

    Example:
        >>> parse_event("purchase: value(amount)")
        EventMapping(name='purchase', column='amount', has_value=True)
    """
    name, _, column = (part.strip() for part in text.rpartition(":"))
    if not name or not column:
        raise Failure(
            f'--event "{text}" is not understood. Write "NAME: COLUMN" for an event that happened where the '
            'column is true or not zero, or "NAME: value(COLUMN)" for an event with that value.'
        )
    value = _VALUE.fullmatch(column)
    return EventMapping(name, value[1].strip() if value else column, has_value=value is not None)


def parse_timezone(name: str) -> str:
    """Check the name of a time zone.

    Raises:
        Failure: There is no such zone.
    """
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise Failure(
            f"--timezone {name}: there is no such time zone. Use an IANA name, as Europe/Berlin."
        ) from None
    return name


def parse_at(text: str, timezone: str) -> str:
    """Read the time of all rows.

    Args:
        text: RFC 3339; the zone may be missing.
        timezone: The zone where none is given.

    Returns:
        The time in RFC 3339, in UTC, with microseconds.

    Raises:
        Failure: It is not a time.
    """
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))
        return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise Failure(f"--at {text}: this is no time. Write it as 2026-01-31T12:00:00Z.") from None


def build_mapping(
    *,
    unit: str,
    unit_type: str,
    experiment: str | None,
    variant: str | None,
    revision: int | None,
    time: str | None,
    at: str | None,
    timezone: str,
    events: tuple[EventMapping, ...],
) -> Mapping:
    """Make a mapping that means something.

    Raises:
        Failure: It contradicts itself or makes nothing; the message says what to add.
    """
    if (experiment is None) != (variant is None):
        raise Failure("--experiment KEY and --variant COLUMN belong together: give both, or neither.")
    if experiment is None and not events:
        raise Failure(
            "Nothing would be imported. Give --experiment KEY and --variant COLUMN for exposures, "
            '--event "NAME: COLUMN" for events, or both.'
        )
    if revision is not None and experiment is None:
        raise Failure(
            "--revision says of which revision of an experiment the exposures are: give --experiment too."
        )
    if (time is None) == (at is None):
        raise Failure(
            "Every exposure and event has a time. Name the column that holds it with --time COLUMN, or give "
            "all rows one time, as --at 2026-01-31T12:00:00Z (not both)."
        )
    names = [event.name for event in events]
    if len(set(names)) != len(names):
        raise Failure("Each --event needs a name of its own: one name twice would count twice.")
    at = None if at is None else parse_at(at, parse_timezone(timezone))
    return Mapping(unit, unit_type, experiment, variant, revision, time, at, parse_timezone(timezone), events)
