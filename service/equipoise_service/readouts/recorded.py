"""What a readout has on record beside its numbers: the lock, what changed, what was read, its own digests."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_CONFIG = ConfigDict(extra="forbid", frozen=True)


class Locked(BaseModel):
    """The lock of the plan at the start."""

    model_config = _CONFIG

    at: str = Field(description="When, RFC 3339 in UTC.")
    digest: str = Field(description="Digest of the plan as it was locked.")
    plan: dict[str, Any] | None = Field(
        None,
        description="The plan as it was locked, which `digest` is of; absent where its segments were not "
        "changed since, and in readouts from before it was kept.",
    )


class Deviation(BaseModel):
    """A change of the plan after its lock."""

    model_config = _CONFIG

    at: str = Field(description="When, RFC 3339 in UTC.")
    by: str = Field(description="Public id of the API key that changed it.")
    reason: str = Field(description="Why, in the words of who changed it.")
    changed: list[str] = Field(
        description="JSON pointers to what changed in the plan; /sources/KEY: what that source reads."
    )
    digest: str = Field(description="Digest of the plan as it was from then on.")

    @property
    def redefined(self) -> frozenset[str]:
        """The keys of the sources whose definitions it changed."""
        places = (place.split("/") for place in self.changed)
        return frozenset(names[2] for names in places if names[1:2] == ["sources"] and len(names) > 2)


class SourceRead(BaseModel):
    """A source as it was defined when it was read."""

    model_config = _CONFIG

    key: str = Field(description="The source's key.")
    digest: str = Field(
        description="`sha256:` and the SHA-256 of the canonical JSON (RFC 8785) of its `connection`, "
        "`events` and `exposures`, without what is the default."
    )


class TrafficStep(BaseModel):
    """A stretch of time of a revision in which its traffic was the same."""

    model_config = _CONFIG

    since: str = Field(description="When it began, RFC 3339 in UTC.")
    traffic: Annotated[float, Field(ge=0, le=1)] = Field(description="Share of units that took part.")
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        description="How long it lasted, without pauses."
    )


ShortDigests = Annotated[str, Field(pattern="^([0-9a-f]{4})*$")]


class PartDigests(BaseModel):
    """The first four hex digits of the SHA-256 of the canonical JSON (RFC 8785) of each part."""

    model_config = _CONFIG

    members: ShortDigests = Field(
        description="Of each member of the readout but `digests` and `digest`, in the order of their names."
    )
    health: ShortDigests = Field(description="Of each check in `health`, in the order of their names.")
    metrics: ShortDigests = Field(description="Of each element of `metrics`.")
