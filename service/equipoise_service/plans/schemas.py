"""What an experiment's plan says beside its metrics: levels, horizon, method, looks, corrections."""

import re
from datetime import UTC, datetime
from datetime import date as Day  # noqa: N812 - a field has its name
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from equipoise_service.keys import Key
from equipoise_service.plans.population import Population

MAX_UNITS = 10**12
MAX_DAYS = 3660
DEFAULT_LOOK_HOURS = 24

_CONFIG = ConfigDict(extra="forbid", frozen=True)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Units = Annotated[int, Field(ge=1, le=MAX_UNITS)]


class Method(StrEnum):
    """The inference of a plan."""

    GROUP_SEQUENTIAL = "group-sequential"
    CONFIDENCE_SEQUENCE = "confidence-sequence"
    FIXED_HORIZON = "fixed-horizon"
    BAYESIAN = "bayesian"


class Multiplicity(StrEnum):
    """How several success metrics and several treatments are corrected for."""

    NONE = "none"
    HOLM = "holm"
    DUNNETT = "dunnett"
    BENJAMINI_HOCHBERG = "benjamini-hochberg"


class SpendingFunction(StrEnum):
    """How alpha is spent over the looks."""

    OBRIEN_FLEMING = "obrien-fleming"
    POCOCK = "pocock"


class MarginScale(StrEnum):
    """What a margin or an effect to find is measured in."""

    LIFT = "lift"
    DIFFERENCE = "difference"


class Horizon(BaseModel):
    """The planned end: so many units, so many days after the start, or what comes first of both."""

    model_config = _CONFIG

    units: Units | None = Field(
        None, description="Units of all arms together whose windows have passed; null: no number of units."
    )
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None = Field(
        None, description="Days after the start; null: no date."
    )

    @model_validator(mode="after")
    def _an_end(self) -> Self:
        if self.units is None and self.days is None:
            raise ValueError("a horizon has units, days or both; without an end leave the horizon out")
        return self


class NoSuchEnd(ValueError):
    """The date of a plan cannot be its end; the message says why."""


def _day_in_words(value: Any) -> Any:
    """A day as it is written; numbers and moments would be taken for days, too."""
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("a date is a day, written YYYY-MM-DD, in UTC")
    if not isinstance(value, str | Day | None):
        raise ValueError("a date is a text, written YYYY-MM-DD")
    return value


class PlannedEnd(Horizon):
    """The planned end as it is asked for, which may name the day; a start makes a number of days of it."""

    date: Annotated[Day | None, BeforeValidator(_day_in_words)] = Field(
        None,
        description="Instead of `days`, the day (UTC) on which it ends, at the hour at which it began: each "
        "start makes `days` of it.",
    )

    @model_validator(mode="after")
    def _an_end(self) -> Self:
        if self.units is None and self.days is None and self.date is None:
            raise ValueError("a horizon has units, days or a date; without an end leave the horizon out")
        if self.days is not None and self.date is not None:
            raise ValueError("a horizon has days or a date, one of both")
        return self

    def counted_from(self, starts_at: datetime | None) -> Horizon:
        """The same end, in days after a start.

        Args:
            starts_at: When the randomisation begins; None: nobody knows.

        Raises:
            NoSuchEnd: The date is not after that of the start, or too far away, or there is no start.
        """
        if self.date is None:
            return Horizon(units=self.units, days=self.days)
        if starts_at is None:
            raise NoSuchEnd(f"when it starts is not known, so give days instead of the date {self.date}")
        starts_on = starts_at.astimezone(UTC).date()
        days = (self.date - starts_on).days
        if not 1 <= days <= MAX_DAYS:
            raise NoSuchEnd(
                f"the end, {self.date}, is not between 1 and {MAX_DAYS} days after the start, {starts_on}"
            )
        return Horizon(units=self.units, days=days)


class Looks(BaseModel):
    """When a group-sequential plan looks: so many times evenly, or every so many hours."""

    model_config = _CONFIG

    count: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None,
        description="Looks at equal steps of the horizon's units (its days where it has no units), the last "
        "at its end.",
    )
    every_hours: Annotated[int, Field(ge=1, le=24 * 366)] | None = Field(
        None, description="Hours between two looks."
    )

    @model_validator(mode="after")
    def _one_schedule(self) -> Self:
        if (self.count is None) == (self.every_hours is None):
            raise ValueError("looks have a count or every_hours, one of both")
        return self


class Prior(BaseModel):
    """A normal belief about every metric's lift, from before the data."""

    model_config = _CONFIG

    mean: Annotated[float, Field(gt=-1, lt=100)] = Field(0.0, description="Its mean; 0.02 is a lift of 2 %.")
    standard_deviation: Annotated[float, Field(gt=0, le=100)] = Field(description="Its standard deviation.")


class Target(BaseModel):
    """What is asked of one metric."""

    model_config = _CONFIG

    margin: Positive | None = Field(
        None, description="Of a guardrail: the largest acceptable loss. Without, it is watched for harm only."
    )
    mde: Positive | None = Field(
        None, description="Of a success metric: the smallest effect that the experiment should find."
    )
    scale: MarginScale = Field(
        MarginScale.LIFT, description="`lift`: a fraction of the control's value; `difference`: its unit."
    )


class Design(Population):
    """The part of a plan that does not name metrics."""

    model_config = _CONFIG

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.05,
        description="Two-sided level; the intervals cover 1 − alpha, and half of it is the chance to ship a "
        "change that improves nothing.",
    )
    deterioration_alpha: Annotated[float, Field(gt=0, lt=0.25)] = Field(
        0.01, description="One-sided level of all tests for harm together, over the whole time."
    )
    power: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.8, description="Probability to ship a change that is as good as planned."
    )
    horizon: Horizon | None = Field(None, description="The planned end; null: none.")
    method: Method | None = Field(
        None,
        description="The inference; null: `group-sequential` with a horizon, `confidence-sequence` without.",
    )
    looks: Looks | None = Field(
        None, description="Of a group-sequential plan; null: every 24 hours. Other methods have none."
    )
    spending: SpendingFunction = Field(
        SpendingFunction.OBRIEN_FLEMING, description="Of a group-sequential plan: how alpha is spent."
    )
    multiplicity: Multiplicity = Field(
        Multiplicity.HOLM,
        description="Correction over all success metrics and treatments; `dunnett` over treatments only "
        "with a fixed horizon, and Bonferroni over metrics.",
    )
    tuning_units: Units | None = Field(
        None,
        description="Units at which the confidence sequences are tightest; null: half of the horizon, or "
        "10,000.",
    )
    prior: Prior | None = Field(None, description="Of a Bayesian plan, which needs one.")

    @property
    def inference(self) -> Method:
        """The method, by default the one that fits the horizon."""
        if self.method is not None:
            return self.method
        return Method.CONFIDENCE_SEQUENCE if self.horizon is None else Method.GROUP_SEQUENTIAL

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        method = self.inference
        if method is Method.GROUP_SEQUENTIAL and self.horizon is None:
            raise ValueError("group-sequential looks need a horizon, in units or days: alpha is spent by it")
        if self.looks is not None and method is not Method.GROUP_SEQUENTIAL:
            raise ValueError(f"a {method} plan has no looks; leave them out")
        if (self.prior is not None) != (method is Method.BAYESIAN):
            raise ValueError("a bayesian plan has a prior, and no other has")
        if self.multiplicity is Multiplicity.DUNNETT and method is not Method.FIXED_HORIZON:
            raise ValueError(f"dunnett goes with fixed-horizon only, not with {method}; choose holm")
        return self


class PlanIn(Design):
    """The plan of an experiment, beside its metrics."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"horizon": {"units": 20000, "days": 28}, "targets": {"converted": {"mde": 0.05}}}
        }
    )

    horizon: PlannedEnd | None = Field(None, description="The planned end; null: none.")
    targets: dict[Key, Target] = Field(
        default_factory=dict, max_length=200, description="What is asked of metrics, by their keys."
    )
