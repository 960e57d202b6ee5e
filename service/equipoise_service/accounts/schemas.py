"""What goes over the wire about API keys."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from equipoise_service.accounts.principals import Scope
from equipoise_service.keys import Key


class KeyIn(BaseModel):
    """A key to be made in the caller's project."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "name": "checkout backend",
                "environment": "production",
                "scopes": ["evaluate", "ingest"],
            }
        },
    )

    name: str = Field(min_length=1, max_length=200, description="What the key is for, in your words.")
    environment: Key = Field(
        "production", description="The environment that it opens; made when it does not exist."
    )
    # Sorted, or every start of the service would write the set in another order, and a repeated request
    # would look like another one.
    scopes: Annotated[
        set[Scope],
        Field(min_length=1, description="What the key may do."),
        PlainSerializer(sorted, return_type=list[Scope]),
    ]
    expires_at: AwareDatetime | None = Field(None, description="When it ends; absent: never.")


class KeyOut(BaseModel):
    """A key, without its secret."""

    id: str = Field(description="The key's public id, the middle part of its text.")
    name: str
    project: str
    environment: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A key that was just made."""

    key: str | None = Field(description="The key itself, shown this once; null when a request is repeated.")
