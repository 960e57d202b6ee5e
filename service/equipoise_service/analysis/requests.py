"""What an analysis is asked for."""

from dataclasses import dataclass, replace
from datetime import datetime

from equipoise_service.metrics.conditions import Condition
from equipoise_service.metrics.measures import Measure
from equipoise_service.plans.population import Conflicts


@dataclass(frozen=True, slots=True)
class Segment:
    """A way to split units: the value that a property had last when the unit was first exposed.

    Attributes:
        key: Its name, distinct within a request.
        event: Name of the events that have the property.
        property: The property.
    """

    key: str
    event: str
    property: str


@dataclass(frozen=True, slots=True)
class Bots:
    """What makes a unit a bot; one of the two is enough.

    Attributes:
        most_events: More events than so many on one day (UTC), of whatever name; None: any number is human.
        event: Name of events of which one is enough; None for none.
        filters: Conditions that such an event meets.
    """

    most_events: int | None = None
    event: str | None = None
    filters: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """How anonymous units are joined with known ones.

    Attributes:
        anonymous: Unit type of the anonymous ones.
        known: Unit type of the known ones.
        event: Name of the events of anonymous units that link them to a known one.
        property: The property of those events that holds the known unit's id, a string.
        conflicts: What becomes of a unit with several links.
    """

    anonymous: str
    known: str
    event: str
    property: str
    conflicts: Conflicts = Conflicts.FIRST


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """An analysis of one revision of an experiment from the event store.

    Attributes:
        place: Project and environment, `project/environment`.
        experiment: The experiment's key.
        revision: Number of the revision.
        unit_type: What is randomised.
        measures: What is measured.
        as_of: When it is analysed; units whose window has not passed by then are immature.
        until: When the revision ended: exposures count before that moment only, and so do facts, but for
            those in a window that began before it; None while it goes on.
        left_out: Units that are not analysed whatever they met: people chose their variant, chance did not.
        segments: How units are split beside all together.
        segment_values: Most values of a segment; units with the others are taken together.
        bots: What makes a unit a bot, which is left out; None: none is.
        identity: How anonymous units are joined with known ones before all else; None: they are not.
        deletions: How often facts had been deleted from the store when the analysis began; None: some were
            being deleted, so nothing that was made of them before is read, and nothing is kept.
        since: When the revision began; None where that is not known. Nothing is left out by it.
    """

    place: str
    experiment: str
    revision: int
    unit_type: str
    measures: tuple[Measure, ...]
    as_of: datetime
    until: datetime | None = None
    left_out: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    segment_values: int = 20
    bots: Bots | None = None
    identity: Identity | None = None
    deletions: int | None = 0
    since: datetime | None = None

    def until_now(self) -> "StoreRequest":
        """The same without what has yet to happen: a store refuses it, a warehouse may hold it."""
        return replace(self, until=min(self.as_of, self.until or self.as_of))


@dataclass(frozen=True, slots=True)
class FileRequest:
    """An analysis of a file whose rows are exposures and facts at once.

    Attributes:
        unit: Column of the unit ids; None: every row is a unit of its own.
        variant: Column of the variants.
        measures: What is measured; each `name` is a column.
    """

    unit: str | None
    variant: str
    measures: tuple[Measure, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the analysis reads, each once."""
        columns = [column for column in (self.unit, self.variant) if column is not None]
        return tuple(dict.fromkeys([*columns, *(measure.name for measure in self.measures)]))


@dataclass(frozen=True, slots=True)
class FileEvent:
    """An event that a cell makes.

    Attributes:
        name: Name of the event.
        column: The column.
        has_value: Whether the event has the cell's number as its value, and is there unless the cell is
            empty; otherwise it is there where the cell is true or not zero.
    """

    name: str
    column: str
    has_value: bool


@dataclass(frozen=True, slots=True)
class FileText:
    """An event that has the text of a cell as its property.

    Attributes:
        name: Name of the event.
        column: The column.
    """

    name: str
    column: str


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Which columns of a file make which facts.

    Attributes:
        unit: Column of the unit ids; None: every row is a unit of its own.
        variant: Column of the variants.
        arms: What the column calls a variant, and the variant's key; others are called by their keys.
        time: Column of the times; None: all rows are of one moment.
        events: What happened with the row.
        texts: What was known of the unit when the row came.
        before: What the unit did before; the same in all its rows.
        properties: Columns that all `events` of a row have as properties of the same names, as texts.
    """

    unit: str | None
    variant: str
    time: str | None
    arms: tuple[tuple[str, str], ...] = ()
    events: tuple[FileEvent, ...] = ()
    texts: tuple[FileText, ...] = ()
    before: tuple[FileEvent, ...] = ()
    properties: tuple[str, ...] = ()

    @property
    def cells(self) -> tuple[FileEvent, ...]:
        """The events that numbers make."""
        return self.events + self.before

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        named = [self.unit, self.variant, self.time, *self.properties]
        named += [cell.column for cell in self.cells] + [text.column for text in self.texts]
        return tuple(dict.fromkeys(column for column in named if column is not None))
