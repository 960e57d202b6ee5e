"""The sufficient statistics of an arm on one metric, as they go over the wire."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_CONFIG = ConfigDict(extra="forbid", frozen=True)

Number = Annotated[float, Field(allow_inf_nan=False)]
Bounds = Annotated[list[Number], Field(min_length=2, max_length=2)]
Immature = Annotated[
    int, Field(ge=0, description="Units of the arm whose window had not passed; they are not counted.")
]


class ProportionStatistics(BaseModel):
    """Sufficient statistics of a proportion in one arm."""

    model_config = _CONFIG

    n: int = Field(ge=0, description="Units of the arm that are mature.")
    immature: Immature
    successes: int = Field(ge=0, description="Those with at least one of the metric's events.")

    @property
    def value(self) -> float | None:
        """The share; None without units."""
        return self.successes / self.n if self.n else None


class FunnelStatistics(ProportionStatistics):
    """Sufficient statistics of a funnel in one arm: a proportion of units that reached the last step."""

    steps: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2)] = Field(
        description="How many of the units reached each step; the last number is `successes`."
    )


class QuantileStatistics(BaseModel):
    """Sufficient statistics of a quantile in one arm; the numbers are null where there are no values."""

    model_config = _CONFIG

    n: int = Field(ge=0, description="Units of the arm that are mature.")
    immature: Immature
    quantile: Number = Field(description="Which quantile.")
    value: Number | None = Field(description="The value of rank ⌈qN⌉ among the arm's N.")
    lower: Number | None = Field(description="Lower end of its 95 % interval of ranks; null: there is none.")
    upper: Number | None = Field(description="Upper end of that interval; null: there is none.")
    acting: int = Field(ge=0, description="Units with values.")
    means: Bounds | None = Field(
        description="Means over these units of two numbers: values at or below the quantile, and values."
    )
    comoments: Annotated[list[Bounds], Field(min_length=2, max_length=2)] | None = Field(
        description="Sums of products of deviations of these two from their means."
    )


class MeanStatistics(BaseModel):
    """Sufficient statistics of a mean in one arm; the numbers are null where values are too large to add."""

    model_config = _CONFIG

    n: int = Field(
        ge=0,
        description="Units of the arm that are mature, those without any of the metric's events included.",
    )
    immature: Immature
    mean: Number | None = Field(description="Mean of the units' values.")
    m2: Annotated[Number, Field(ge=0)] | None = Field(
        description="Sum of squared deviations from the mean; over n − 1 it is the sample variance."
    )
    m3: Number | None = Field(
        None,
        description="Sum of their third powers, which says how skewed the values are; null where values are "
        "too large for them, in a part of another experiment, and in readouts from before they were "
        "collected.",
    )

    @property
    def value(self) -> float | None:
        """The mean; None without units, or where it is no finite number."""
        return self.mean if self.n else None


class MomentsStatistics(BaseModel):
    """Sufficient statistics of several numbers a unit; null where values are too large to add."""

    model_config = _CONFIG

    n: int = Field(ge=0, description="Units of the arm that are mature, those without any event included.")
    immature: Immature
    columns: Annotated[list[Literal["y", "d", "y_before", "d_before"]], Field(min_length=2)] = Field(
        description="Names of the numbers: `y` is the outcome or the numerator, `d` the denominator, "
        "`y_before` and `d_before` the same in the pre-period, or `y_before` the covariate that the metric "
        "names."
    )
    means: list[Number] | None = Field(description="Mean of each.")
    comoments: list[list[Number]] | None = Field(
        description="Sums of products of deviations from the means, a row a number; over n − 1 they are the "
        "sample covariances."
    )
    third: list[Number] | None = Field(
        None,
        description="Sums of products of three such deviations, for the numbers 1 1 1, 1 1 2, …, 1 2 2, … in "
        "the order of `columns`; null where values are too large for them, in a day or a part of another "
        "experiment, and in readouts from before they were collected.",
    )

    @property
    def value(self) -> float | None:
        """The mean, or the ratio of the means; None where there is none."""
        if not self.n or self.means is None:
            return None
        if "d" not in self.columns:
            return self.means[0]
        under = self.means[self.columns.index("d")]
        return self.means[0] / under if under > 0 else None


ArmStatistics = (
    FunnelStatistics | ProportionStatistics | MeanStatistics | MomentsStatistics | QuantileStatistics
)
