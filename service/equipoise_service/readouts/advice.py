"""What the plan's rule recommends, as it goes over the wire."""

from typing import Literal

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
        False, description="Whether this is what the last look concluded, which stands in these newer data."
    )


class Standing(BaseModel):
    """The last look, where its conclusion stands: the data are newer, and no look is to come."""

    model_config = _CONFIG

    look: int = Field(ge=1, description="Its number.")
    readout_digest: str = Field(description="Digest of its readout, which `GET …/looks/{number}` gives.")
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
        description="The last look, where its conclusion is the recommendation: null where these data are "
        "its own, or where a look is to come.",
    )
