"""What was decided on and what became of it, as a repeated readout has it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.schemas import MarginScale

_CONFIG = ConfigDict(extra="forbid", frozen=True)

Number = Annotated[float, Field(allow_inf_nan=False)]
Bounds = Annotated[list[Number], Field(min_length=2, max_length=2)]


class Lasting(StrEnum):
    """What became of an effect."""

    HOLDS = "holds"
    FADED = "faded"
    TURNED = "turned"
    APPEARED = "appeared"
    CANNOT_TELL = "cannot_tell"


class EffectNumbers(BaseModel):
    """An effect with its interval."""

    model_config = _CONFIG

    estimate: Number = Field(description="The effect.")
    interval: Bounds = Field(description="Lower and upper end of its interval, at level 1 − alpha.")


class DecidedEffect(BaseModel):
    """What the readout that was decided on says of the shipped variant and one metric."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    difference: EffectNumbers | None = Field(description="The difference; null where it had no interval.")
    lift: EffectNumbers | None = Field(description="The lift; null where it had no interval.")


class Decided(BaseModel):
    """The readout that was decided on."""

    model_config = _CONFIG

    revision: int = Field(description="Number of its revision.")
    readout_digest: str = Field(description="Its digest.")
    generated_at: str = Field(description="When it was computed.")
    variant: str = Field(description="What was shipped.")
    effects: list[DecidedEffect] = Field(description="What was shipped against the control, by metric.")


class LastingEffect(BaseModel):
    """The effect on one metric, then and now."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    role: Role = Field(description="Its role in the plan.")
    scale: MarginScale | None = Field(
        description="What both are told in; null where there is nothing to tell."
    )
    then: EffectNumbers | None = Field(description="The effect that was decided on.")
    now: EffectNumbers | None = Field(description="The effect on the holdback.")
    change: EffectNumbers | None = Field(
        description="Now minus then; its interval takes the two as independent, and is wider than it need be."
    )
    then_holds_now: bool | None = Field(description="Whether the interval of then holds the effect of now.")
    now_holds_then: bool | None = Field(description="Whether the interval of now holds the effect of then.")
    finding: Lasting = Field(description="What became of it.")
    text: str = Field(description="The same in words.")


class Repeat(BaseModel):
    """What became of the effects that were decided on."""

    model_config = _CONFIG

    days: int = Field(ge=1, description="Days after the ship.")
    decided: Decided
    effects: list[LastingEffect] = Field(description="All metrics of the plan but those of quality.")
    text: str = Field(description="The whole in words.")


class RepeatOut(BaseModel):
    """A repeat of the readout that was decided on, made or to come."""

    days: int = Field(description="Days after the ship.")
    revision: int = Field(description="Number of the holdback's revision.")
    due_at: datetime = Field(description="When it is due; nothing that happened later is counted in it.")
    generated_at: datetime | None = Field(description="When it was made; null before.")
    digest: str | None = Field(description="Digest of its readout; null before.")
    text: str | None = Field(description="What became of the effects, in words; null before.")
