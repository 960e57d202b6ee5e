"""What goes over the wire about progressive rollouts."""

from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from equipoise import BUCKETS
from equipoise_service.keys import Key
from equipoise_service.metrics.schemas import Metric
from equipoise_service.rollouts.lifecycle import Move, Status
from equipoise_service.segments.schemas import Condition

_EXAMPLE: dict[str, Any] = {
    "key": "to-vespa",
    "from_variant": "old",
    "to_variant": "new",
    "steps": [{"share": 100, "hours": 4}, {"share": 2500, "hours": 24}, {"share": 10_000, "hours": 24}],
    "guardrails": [{"metric": {"key": "errors", "type": "mean", "event": "error", "direction": "decrease"}}],
}


class Step(BaseModel):
    """A share of the units, and how long it stays."""

    model_config = ConfigDict(extra="forbid")

    share: int = Field(ge=1, le=BUCKETS, description="Basis points that get the new variant.")
    hours: float = Field(gt=0, le=8_760, description="Until the next step.")


class Action(StrEnum):
    """What a guardrail does when its metric gets worse."""

    HOLD = "hold"
    ROLL_BACK = "roll-back"


class Guardrail(BaseModel):
    """A metric that must not get worse."""

    model_config = ConfigDict(extra="forbid")

    metric: Metric
    action: Action = Field(Action.HOLD, description="What is done when it does.")


def _check_steps(steps: list[Step]) -> list[Step]:
    shares = [step.share for step in steps]
    if any(after <= before for before, after in pairwise(shares)):
        raise ValueError("each step has a larger share than the one before, so that nobody goes back")
    if shares[-1] != BUCKETS:
        raise ValueError(f"the last step has the share {BUCKETS:,}: everybody")
    return steps


class RolloutIn(BaseModel):
    """A progressive rollout to be started."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _EXAMPLE})

    key: Key
    from_variant: Key = Field(description="What the audience gets that has not its turn yet.")
    to_variant: Key = Field(description="What the audience gets step by step.")
    audience: Condition | None = Field(None, description="Who takes part; null: everybody.")
    steps: Annotated[list[Step], Field(min_length=1, max_length=50)]
    guardrails: Annotated[
        list[Guardrail], Field(max_length=50, description="Kept for the evaluation by readouts.")
    ] = []

    _steps = field_validator("steps")(_check_steps)

    @model_validator(mode="after")
    def _two_variants(self) -> Self:
        if self.from_variant == self.to_variant:
            raise ValueError("from_variant and to_variant differ")
        return self


class RolloutOut(BaseModel):
    """A progressive rollout of a flag in the key's environment."""

    key: str
    flag: str
    environment: str
    from_variant: str
    to_variant: str
    audience: dict[str, JsonValue] | None
    steps: list[Step]
    guardrails: list[Guardrail]
    status: Status
    allowed: list[Move] = Field(description="The moves that the status allows.")
    step: int = Field(description="The present step, counted from 1, or the last it was at.")
    share: int = Field(description="Basis points of the audience that get the new variant now.")
    due_at: datetime | None = Field(description="When the present step ends; null unless it runs.")
    hours_left: float | None = Field(description="What is left of the present step; null unless it is held.")
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
