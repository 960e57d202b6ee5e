"""Who a readout counted and who not, as it goes over the wire."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_CONFIG = ConfigDict(extra="forbid", frozen=True)
Units = Annotated[int, Field(ge=0)]


class JoinedUnits(BaseModel):
    """What came of joining anonymous units with known ones, among the exposed ones."""

    model_config = _CONFIG

    anonymous: Units = Field(description="Anonymous units.")
    joined: Units = Field(description="Those of them that are taken for a known one.")
    conflicts: Units = Field(description="Those of them with links to several known ones.")
    left_out: Units = Field(description="Those of them of which it cannot be told who they are.")
    crossovers: Units = Field(description="Crossovers of units that each met one variant only.")


class Population(BaseModel):
    """Who was counted and who was not."""

    model_config = _CONFIG

    overridden: Units = Field(description="Exposed units left out because people chose their variant.")
    bots: Units | None = Field(description="Exposed units left out as bots; null without a rule.")
    joined: JoinedUnits | None = Field(description="What came of joining units; null without a rule.")
