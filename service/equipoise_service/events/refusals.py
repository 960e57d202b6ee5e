"""What it says when an item is not stored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an item is refused.

    Attributes:
        field: JSON pointer to the field, from the item.
        reason: What is wrong with it, and what would be right.
    """

    field: str
    reason: str
