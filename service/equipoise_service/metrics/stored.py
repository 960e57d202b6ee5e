"""What goes over the wire about stored metrics."""

from copy import copy
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, create_model

from equipoise_service.keys import Key
from equipoise_service.metrics.schemas import Metric, Role

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]

_EXAMPLE: dict[str, Any] = {
    "key": "revenue",
    "name": "Revenue per user",
    "type": "mean",
    "event": "purchase",
    "window_hours": 168,
}


class MetricIn(Metric):
    """A metric to be stored: what an experiment's own metric has, and a name for people."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="Name for people.")
    description: Annotated[str, Field(max_length=10_000)] = Field("", description="What it says, and why.")


def _optional(name: str) -> Any:
    changed = copy(MetricIn.model_fields[name])
    changed.default = None
    return (changed.annotation | None, changed)  # type: ignore[operator] # a type, or a union of types


MetricPatch: type[BaseModel] = create_model(
    "MetricPatch",
    __config__=ConfigDict(extra="forbid", json_schema_extra={"example": {"window_hours": 336}}),
    __doc__="What to change of a metric; what is absent stays. Null takes out what may be absent.",
    **{name: _optional(name) for name in MetricIn.model_fields if name != "key"},
)


class MetricOut(MetricIn):
    """A stored metric, as its latest version has it."""

    version: int = Field(description="Number of the latest version.")
    used_by: list[str] = Field(description="Keys of the experiments that name it, at whatever version.")
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None = Field(description="When it was put away; null while it is not.")


class MetricVersionOut(BaseModel):
    """One version of a metric. It never changes."""

    version: int
    definition: MetricIn
    made_by: str = Field(description="Id of the API key that made it.")
    made_at: datetime


class MetricReference(BaseModel):
    """A stored metric by its key. It is pinned at its version when it is named."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"example": {"metric": "revenue"}}
    )

    metric: Key = Field(description="Key of a stored metric.")
    version: Version | None = Field(None, description="The version to pin; null: the latest.")
    role: Role | None = Field(None, description="What it is for here; null: what the metric says.")

    @property
    def key(self) -> str:
        """The metric's name in the readout."""
        return self.metric


class PinnedMetric(Metric):
    """A metric as an experiment measures it."""

    version: Version | None = Field(
        None, description="The version of the stored metric of that key; null: a definition of its own."
    )


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "reference" if "metric" in value else "definition"
    return "reference" if isinstance(value, MetricReference) else "definition"


NamedMetric = Annotated[
    Annotated[PinnedMetric, Tag("definition")] | Annotated[MetricReference, Tag("reference")],
    Discriminator(_kind),
]
"""A metric of an experiment: a definition of its own, or a stored one by its key."""
