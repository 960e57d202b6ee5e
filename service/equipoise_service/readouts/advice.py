"""What the plan's rule recommends, as it goes over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from equipoise_stats import ClaimOutcome, DecisionOutcome, ReasonCode

_CONFIG = ConfigDict(extra="forbid", frozen=True)


class Reason(BaseModel):
    """Why something is recommended."""

    model_config = _CONFIG

    code: ReasonCode = Field(description="What it is.")
    subject: str = Field(description="The metric or the check.")
    message: str = Field(description="The reason in words.")
    decisive: bool = Field(description="Whether the outcome follows from it.")


class Finding(BaseModel):
    """What is shown of one metric for one treatment."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    role: Literal["success", "guardrail", "deterioration"] = Field(description="As what it decides.")
    claim: ClaimOutcome | None = Field(
        description="Whether it is shown to be better, or not worse by the margin; null where nothing is "
        "claimed."
    )
    harm: ClaimOutcome = Field(description="Whether it is shown to be worse.")


class TreatmentRecommendation(BaseModel):
    """What the plan's rule says of one treatment."""

    model_config = _CONFIG

    variant: str = Field(description="The treatment.")
    outcome: DecisionOutcome = Field(description="What to do.")
    reasons: list[Reason] = Field(description="Why, the decisive ones first.")
    findings: list[Finding] = Field(description="What is shown of each metric.")
    stands: bool = Field(
        False, description="Whether this is what an earlier readout found, which stands in these newer data."
    )


class Standing(BaseModel):
    """An earlier readout whose conclusion stands: that of the last look, or one that shipped before."""

    model_config = _CONFIG

    look: Annotated[int, Field(ge=1)] | None = Field(
        description="The number of the look that it is; null of a plan without looks."
    )
    at: str | None = Field(
        None,
        description="When it was computed, RFC 3339 in UTC; null in readouts from before this was on record.",
    )
    readout_digest: str = Field(description="Its digest.")
    variant: str | None = Field(description="What it shipped; null for another outcome.")


class Until(BaseModel):
    """How long to keep running."""

    model_config = _CONFIG

    units: int | None = Field(description="Mature units at the end; null where the plan has no number.")
    units_left: int | None = Field(description="How many of them are to come.")
    at: str | None = Field(description="When the planned days are over; null where the plan has none.")


class Recommendation(BaseModel):
    """What the plan's rule recommends; people decide."""

    model_config = _CONFIG

    outcome: DecisionOutcome | None = Field(description="What to do; null without a success metric.")
    variant: str | None = Field(description="What to ship; null unless the outcome is `ship`.")
    text: str = Field(description="The outcome in words.")
    reasons: list[Reason] = Field(description="The reasons that it follows from.")
    would_change: list[str] = Field(description="What would change it.")
    until: Until | None = Field(description="How long to keep running; null for other outcomes.")
    treatments: list[TreatmentRecommendation] = Field(description="The rule for each treatment.")
    stands: Standing | None = Field(
        None,
        description="The earlier readout whose conclusion stands, `stands_on`; null where nothing of it is "
        "recommended.",
    )
