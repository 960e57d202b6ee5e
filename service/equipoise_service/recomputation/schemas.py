"""What goes over the wire about audits."""

from pydantic import BaseModel, Field


class DisagreementOut(BaseModel):
    """Exposures whose variant is not what the revision gives their unit."""

    unit: str
    revision: int
    logged: str = Field(description="The variant that was logged.")
    recomputed: str = Field(description="The variant that the revision gives the unit.")
    exposures: int


class AuditOut(BaseModel):
    """Every logged exposure of an experiment in the key's environment, against the recomputed variant."""

    experiment: str
    environment: str
    exposures: int = Field(description="How many were logged.")
    agree: int = Field(description="Exposures whose variant is the recomputed one.")
    disagree: int = Field(description="Exposures whose variant is another.")
    unknown_revision: int = Field(
        description="Exposures to a revision that does not exist, so nothing can be recomputed."
    )
    examples: list[DisagreementOut] = Field(description="Some that disagree, at most 20.")
