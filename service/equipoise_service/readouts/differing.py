"""Whether an effect differs between the values of a segment, as it goes over the wire."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from equipoise_stats import Status

_CONFIG = ConfigDict(extra="forbid", frozen=True)
Number = Annotated[float, Field(allow_inf_nan=False)]


class PartEffect(BaseModel):
    """The effect among the units with one value, beside that among all others."""

    model_config = _CONFIG

    value: str | None = Field(description="The value; null for units without one, and for other values.")
    others: bool = Field(description="Whether these are the units with other values than those shown.")
    deviation: Number | None = Field(
        description="The difference here minus that of all other units; null where one of them has none."
    )
    p_value: Number | None = Field(
        description="Of no deviation, adjusted over the values (Benjamini-Hochberg)."
    )
    differs: bool | None = Field(
        description="Whether it differs: only where the metric's effects do, and this p-value is at most "
        "alpha; null where nothing is tested."
    )
    best_guess: Number | None = Field(
        description="The difference here, drawn towards that of all by what is noise."
    )


class MetricHeterogeneity(BaseModel):
    """Whether one treatment's effect on one metric differs between the values."""

    model_config = _CONFIG

    metric: str = Field(description="The metric's key.")
    variant: str = Field(description="The treatment.")
    status: Status = Field(description="`ok`, or `too_few_studies` with fewer than two values to compare.")
    reason: str | None = Field(description="Why there is no p-value; null where there is one.")
    p_value: Number | None = Field(description="Of one effect for all values, by the segment's `test`.")
    corrected_p_value: Number | None = Field(
        description="The same within all declared segments, metrics and treatments (Holm); of an "
        "exploratory segment, within those of all segments."
    )
    detected: bool | None = Field(description="Whether the effects differ: it is at most alpha.")
    parts: list[PartEffect] = Field(description="The values, as in `parts` of the segment.")
