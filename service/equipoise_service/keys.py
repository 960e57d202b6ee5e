"""Keys: the names that people give to experiments, flags, variants, metrics, projects and environments."""

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
