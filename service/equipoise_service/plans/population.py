"""Who an experiment's plan counts: segments, bots, and what makes an anonymous unit a known one."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise_service.keys import Key
from equipoise_service.metrics.conditions import Filters, PropertyName
from equipoise_service.metrics.schemas import EventName

MAX_SEGMENTS = 10

_CONFIG = ConfigDict(extra="forbid", frozen=True)


class Conflicts(StrEnum):
    """What becomes of an anonymous unit with links to several known ones."""

    FIRST = "first"
    LEAVE_OUT = "leave_out"


class PlannedSegment(BaseModel):
    """A way to split units: the value that a property had last when the unit was first exposed."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"key": "country", "event": "signed_up", "property": "country"}},
    )

    key: Key = Field(description="Its name.")
    event: EventName = Field(description="Name of the events that have the property.")
    property: PropertyName = Field(description="The property: a string, a boolean or a whole number.")


class BotRule(BaseModel):
    """What makes a unit a bot, which is left out; one of the two is enough."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"most_events": 5000}}
    )

    most_events: Annotated[int, Field(ge=1, le=10**9)] | None = Field(
        None, description="More events than so many on one day (UTC); null: any number is human."
    )
    event: EventName | None = Field(
        None, description="Name of events of which one is enough; null: none says so."
    )
    filters: Filters = ()

    @model_validator(mode="after")
    def _a_rule(self) -> Self:
        if self.most_events is None and self.event is None:
            raise ValueError("a rule for bots has most_events, event or both; without a rule leave bots out")
        if self.filters and self.event is None:
            raise ValueError("filters of bots say which events are meant; name the event")
        return self


class IdentityRule(BaseModel):
    """What makes an anonymous unit a known one, of the experiment's unit type."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"anonymous": "device", "event": "login", "property": "user_id"}},
    )

    anonymous: Key = Field(description="Unit type of the anonymous units.")
    event: EventName = Field(description="Name of their events that link them to a known unit.")
    property: PropertyName = Field(description="Property of these events that holds the known unit's id.")
    conflicts: Conflicts = Field(
        Conflicts.FIRST,
        description="What becomes of a unit with links to several known ones: `first` or `leave_out`.",
    )


class Population(BaseModel):
    """The part of a plan that says who is counted."""

    model_config = _CONFIG

    segments: Annotated[list[PlannedSegment], Field(max_length=MAX_SEGMENTS)] = Field(
        default_factory=list, description="How units are split beside all together, declared beforehand."
    )
    bots: BotRule | None = Field(None, description="What makes a unit a bot; null: none is left out.")
    identity: IdentityRule | None = Field(
        None, description="What makes an anonymous unit a known one; null: units are what they are."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = [segment.key for segment in self.segments]
        if len(set(keys)) != len(keys):
            raise ValueError(f"a segment is there twice: {keys}")
        return self
