"""The glossary, as it goes over the wire."""

from pydantic import BaseModel, Field


class TermOut(BaseModel):
    """A term and what it means."""

    term: str = Field(description="The term.")
    meaning: str = Field(description="What it means, in a sentence.")
    forms: list[str] = Field(description="How else texts say it, in lower case.")
