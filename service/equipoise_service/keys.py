"""Keys: the names that people give to experiments, flags, variants, metrics, projects and environments."""

import re
from typing import Annotated

from pydantic import Field

PATTERN = r"^[a-z0-9][a-z0-9._-]*$"
MAX_LENGTH = 128

Key = Annotated[
    str,
    Field(
        pattern=PATTERN,
        max_length=MAX_LENGTH,
        description="Lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit.",
    ),
]


def check_key(text: str) -> str | None:
    """What is wrong with a key; absent when it is right."""
    if len(text) <= MAX_LENGTH and re.fullmatch(PATTERN, text):
        return None
    return (
        f"a key is 1 to {MAX_LENGTH} lower-case letters, digits, '.', '_' and '-', "
        "beginning with a letter or a digit"
    )
