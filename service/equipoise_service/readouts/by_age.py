"""The effect by days since exposure, as it goes over the wire."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from equipoise_service.readouts.checks import NotAsked
from equipoise_service.readouts.measured import Bounds, Number
from equipoise_stats import CheckStatus, NoveltyFinding

_CONFIG = ConfigDict(extra="forbid", frozen=True)
_Days = Annotated[int, Field(ge=0)]


class Age(BaseModel):
    """Some days since a unit's first exposure; all ages of a metric have as many."""

    model_config = _CONFIG

    first: _Days = Field(description="The first of these days; 0 is the 24 hours from the first exposure on.")
    last: _Days = Field(description="The last one.")


class AgeArm(BaseModel):
    """What the units of an arm did at each age: those who have reached the end of the last one."""

    model_config = _CONFIG

    variant: str = Field(description="The variant.")
    n: int = Field(ge=0, description="How many units these are.")
    means: list[Number] | None = Field(
        description="Age by age, the mean of what a unit did then; null where values are too large to add."
    )
    comoments: list[list[Number]] | None = Field(
        description="Sums of products of deviations from these means, a row an age."
    )


class EffectAtAge(BaseModel):
    """The effect of a treatment at one age."""

    model_config = _CONFIG

    difference: Number | None = Field(description="Variant minus control; null where there is none.")
    interval: Bounds | None = Field(
        description="Its interval at level 1 − alpha, of this age by itself; null where nothing "
        "is tested yet."
    )


class AgeEffect(BaseModel):
    """Whether the effect of a treatment changes with the days since exposure."""

    model_config = _CONFIG

    variant: str = Field(description="The treatment.")
    status: CheckStatus = Field(
        description="`ok`; `warning` where the effect changes; `unavailable` where nothing is tested."
    )
    reason: str | None = Field(description="Why nothing is tested; null where it is.")
    finding: NoveltyFinding | None = Field(
        description="With a warning: `fading` (novelty), `growing` (primacy), or `reversing`."
    )
    p_value: Number | None = Field(
        description="Of an effect that is the same, or the same share of the control's value, at all ages."
    )
    corrected_p_value: Number | None = Field(description="The same within all metrics and treatments (Holm).")
    detected: bool | None = Field(description="Whether it is at most 0.01; null where nothing is tested.")
    at: list[EffectAtAge] = Field(description="Age by age.")


class AgeMetric(BaseModel):
    """One success metric by days since exposure."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    ages: list[Age] = Field(description="The ages.")
    arms: list[AgeArm] = Field(description="The planned arms.")
    effects: list[AgeEffect] = Field(description="Each treatment against the control.")


class ByAge(BaseModel):
    """Whether effects fade or grow with the days since a unit's first exposure."""

    model_config = _CONFIG

    always_valid: bool | None = Field(
        None,
        description="Whether its tests hold at any moment; else they are asked once, at the planned end. "
        "Null in readouts from before there was a choice.",
    )

    text: str = Field(description="What was found, in words.")
    look: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The last look, where it answered for these newer data; null where they did."
    )
    metrics: list[AgeMetric] = Field(description="The success metrics that can be looked at so.")
    not_asked: list[NotAsked] = Field(description="The other success metrics, and why they cannot.")
