"""Tables of erasures and other deletions, and of the key that erasures are proven with."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from equipoise_service.database import UtcDateTime
from equipoise_service.exact import ExactJson


class Erasure(SQLModel, table=True):
    """The erasure of a unit, and what proves it. The unit itself is not in it.

    `deleted` and `found` are counts by table: what was deleted, and what a search of every table found
    afterwards. An erasure without `finished_at` was interrupted, and has to be asked for again.
    """

    __tablename__ = "erasure"

    id: int | None = Field(default=None, primary_key=True)
    public_id: str = Field(unique=True)
    project_id: int = Field(foreign_key="project.id", index=True)
    unit_type: str
    unit_hash: str
    requested_by: str
    requested_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    deleted: dict[str, int] = Field(default_factory=dict, sa_type=ExactJson)
    found: dict[str, int] = Field(default_factory=dict, sa_type=ExactJson)


class UnitKeeping(SQLModel, table=True):
    """How this installation keeps units: one row.

    `proof_key` is what erased units are hashed with. `unit_key_check` tells `EQUIPOISE_UNIT_KEY` from another
    one, and is empty where ids are stored as they come. `deletions` grows when a deletion of facts ends.
    """

    __tablename__ = "unit_keeping"

    id: int = Field(default=1, primary_key=True)
    proof_key: bytes
    unit_key_check: str = Field(default="")
    deletions: int = Field(default=0)


class Deletion(SQLModel, table=True):
    """A deletion of facts that is under way, or whose process ended in the middle of it."""

    __tablename__ = "deletion"

    id: int | None = Field(default=None, primary_key=True)
    begun_at: datetime = Field(sa_type=UtcDateTime)
