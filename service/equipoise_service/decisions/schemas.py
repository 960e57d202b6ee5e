"""What goes over the wire about predictions and decisions."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from equipoise import BUCKETS
from equipoise_service.keys import Key
from equipoise_stats import DecisionOutcome

_DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

ReadoutDigest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Reason = Annotated[str, Field(min_length=1, max_length=10_000, description="Why, in your own words.")]
Holdback = Annotated[
    int | None,
    Field(
        ge=1,
        le=BUCKETS // 2,
        description="Of a ship: basis points of the experiment's units that go on getting the control, so "
        "that the effect can be measured again after 30 and 90 days; null: nobody does.",
    ),
]
Lift = Annotated[float, Field(gt=-1, le=1000, allow_inf_nan=False)]


class DecisionStatus(StrEnum):
    """Where a decision stands."""

    WAITING = "waiting"
    IN_EFFECT = "in_effect"
    WITHDRAWN = "withdrawn"


class _Choice(BaseModel):
    """An outcome; the variant is that which is shipped."""

    @model_validator(mode="after")
    def _variant_of_a_ship(self) -> Self:
        outcome, variant = getattr(self, "outcome", None), getattr(self, "variant", None)
        if (outcome is DecisionOutcome.SHIP) != (variant is not None):
            raise ValueError("to ship names the variant, and nothing else does")
        return self


class PredictionIn(_Choice):
    """What you expect of an experiment before it starts."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "outcome": "ship",
                "variant": "treatment",
                "lifts": {"converted": 0.03},
                "reason": "The shorter page worked for the other product.",
            }
        },
    )

    outcome: DecisionOutcome | None = Field(None, description="What you think it will come to; null: open.")
    variant: Key | None = Field(None, description="What you think will be shipped.")
    lifts: Annotated[dict[Key, Lift], Field(max_length=200)] = Field(
        default_factory=dict,
        description="By metric, the lift that you expect of that variant, or of the first treatment.",
    )
    reason: Reason


class PredictionOut(BaseModel):
    """What somebody expected. It never changes."""

    revision: int = Field(description="Number of the revision that began after it.")
    outcome: DecisionOutcome | None
    variant: str | None
    lifts: dict[str, float]
    reason: str
    made_by: str = Field(description="Id of the API key.")
    made_at: datetime


class DecisionIn(_Choice):
    """What you decide on a readout."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "outcome": "ship",
                "variant": "treatment",
                "reason": "As planned.",
                "readout_digest": _DIGEST,
            }
        },
    )

    outcome: DecisionOutcome = Field(
        description="`ship` makes the flag serve the variant, `do_not_ship` ends the experiment, so that the "
        "control is served; `keep_running` and `investigate` change nothing."
    )
    variant: Key | None = Field(None, description="What is shipped; null unless the outcome is `ship`.")
    holdback: Holdback = None
    reason: Reason
    readout_digest: ReadoutDigest = Field(
        description="`digest` of the readout that you decide on: the latest one, or that of the newest look."
    )

    @model_validator(mode="after")
    def _holdback_of_a_ship(self) -> Self:
        if self.holdback is not None and self.outcome is not DecisionOutcome.SHIP:
            raise ValueError("only to ship holds units back")
        return self


class ShipIn(BaseModel):
    """What to ship, and the decision that it rests on: without one nothing is shipped."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"variant": "treatment", "reason": "As planned.", "readout_digest": _DIGEST}
        },
    )

    variant: Key = Field(description="The variant that everybody in the audience gets from now on.")
    holdback: Holdback = None
    reason: Reason | None = Field(None, description="Why, in your own words.")
    readout_digest: ReadoutDigest | None = Field(
        None,
        description="`digest` of the readout that you decide on: the latest one, or that of the newest look.",
    )


class SettleIn(BaseModel):
    """Why a decision is confirmed or withdrawn."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"reason": "Legal asked for it."}}
    )

    reason: Reason


class DecisionOut(BaseModel):
    """A decision, with what the plan recommended."""

    revision: int = Field(description="Number of the revision that it is about.")
    number: int = Field(description="1 for the first decision about the revision.")
    outcome: DecisionOutcome
    variant: str | None = Field(description="What is shipped; null for other outcomes.")
    holdback: int | None = Field(description="Basis points of the units that are held back; null: none are.")
    reason: str
    recommended: DecisionOutcome | None = Field(
        description="What the plan's rule recommended in the readout; null where it recommends nothing."
    )
    recommended_variant: str | None
    against: bool = Field(description="Whether it is another one than was recommended.")
    status: DecisionStatus = Field(
        description="`waiting` for a second person, `in_effect`, or `withdrawn` before it was."
    )
    readout_digest: str = Field(description="Digest of the readout that it was made on, which is kept.")
    made_by: str = Field(description="Id of the API key that decided.")
    made_at: datetime
    settled_by: str | None = Field(description="Id of the key that confirmed or withdrew it; else null.")
    settled_at: datetime | None
    settled_reason: str | None


class HistoryEntry(BaseModel):
    """Something that happened to an experiment in an environment."""

    at: datetime
    kind: str = Field(
        description="`predicted`, `started`, `paused`, `resumed`, `deviated`, `looked`, `decided`, "
        "`confirmed`, `withdrawn`, `repeated` or `ended`."
    )
    revision: int
    by: str | None = Field(description="Id of the API key; null where it is not on record.")
    text: str = Field(description="What happened, in words.")
    digest: str | None = Field(
        description="Of the locked or changed plan, of a look's statistics, of the readout decided on, or of "
        "the repeated one."
    )
