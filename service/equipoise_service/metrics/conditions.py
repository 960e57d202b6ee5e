"""Conditions on events: which of them a metric counts."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

# Plain names are the same path in every engine's JSON functions; others would be quoted by each in its way.
PROPERTY_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"

PropertyName = Annotated[str, Field(max_length=100, pattern=PROPERTY_PATTERN)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[str, Field(strict=True, max_length=512, pattern=r"^[^\x00]*$")]
Scalar = StrictBool | Number | Text


class Operator(StrEnum):
    """What a condition asks; the names are those of conditions on attributes."""

    EQUALS = "equals"
    IN = "in"
    LESS_THAN = "less_than"
    AT_MOST = "at_most"
    GREATER_THAN = "greater_than"
    AT_LEAST = "at_least"
    BETWEEN = "between"


class Condition(BaseModel):
    """A condition on an event's value or on one of its properties.

    It is false where the value or property is missing, null, or of another type than the condition's.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"property": "plan", "operator": "in", "value": ["pro", "team"]}},
    )

    property: PropertyName | None = Field(
        None, description="A top-level property: letters, digits and `_`; null: the event's value."
    )
    operator: Operator = Field(description="What is asked.")
    value: Scalar | Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=1000)] = Field(
        description="`equals`: a string, number or boolean; `in`: a list of those; `between`: the lowest and "
        "the highest number, both included; the others: a number."
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        several = isinstance(self.value, tuple)
        if several != (self.operator in (Operator.IN, Operator.BETWEEN)):
            wanted = "a single value" if several else "a list"
            raise ValueError(f"{self.operator} takes {wanted}")
        if self.operator is Operator.BETWEEN and len(self.values()) != 2:
            raise ValueError("between takes two numbers: the lowest and the highest")
        numbers = all(_is_number(each) for each in self.values())
        if self.operator not in (Operator.EQUALS, Operator.IN) and not numbers:
            raise ValueError(f"{self.operator} takes numbers only")
        if self.property is None and not numbers:
            raise ValueError("an event's value is compared with numbers only; name a property otherwise")
        return self

    def values(self) -> tuple[bool | float | str, ...]:
        """What it compares with, as a list also where it is one."""
        return self.value if isinstance(self.value, tuple) else (self.value,)


Filters = Annotated[
    tuple[Condition, ...],
    Field(max_length=20, description="Conditions that an event meets, all of them, to be counted."),
]


def _is_number(value: object) -> bool:
    return isinstance(value, float)
