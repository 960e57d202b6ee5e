"""The names of bases: what a kept table is of is read from its name, and a table that is there is whole."""

import hashlib
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from equipoise_service.analysis.requests import StoreRequest

PREFIX = "base_"

# What a base looks like; another number where a release keeps other columns or tables.
_FORM = 6
# Digits of a digest that say how often facts had been deleted.
_DELETIONS = 6
_DIGITS = 20
_EPOCH = datetime(1970, 1, 1)
# An exposure may be received so long after it happened.
_LATE = timedelta(days=1)
_NAME = re.compile(rf"{PREFIX}(?P<digest>[0-9a-f]{{{_DIGITS}}})_(?P<microseconds>[0-9]{{16}})_[0-9a-f]{{8}}")


@dataclass(frozen=True, slots=True, order=True)
class Base:
    """A kept table with the units and values of one request, from all that was received up to a moment.

    Attributes:
        until: The newest receipt that it holds, naive UTC.
        digest: What it is of, see `digest_of`.
        name: The table's name.
        waits: Whether the table `waiting` is kept beside it.
    """

    until: datetime
    digest: str
    name: str
    waits: bool = False

    @property
    def deletions(self) -> int:
        """How often facts had been deleted before it was made."""
        return int(self.digest[:_DELETIONS], 16)

    @property
    def waits_from(self) -> datetime:
        """For units that were first exposed at this moment or later, all events that count wait."""
        return self.until - _LATE

    @property
    def sums(self) -> str:
        """Name of the table with the sums of its arms, where it has one; see `sums`."""
        return f"{self.name}_sums"

    @property
    def counts(self) -> str:
        """Name of the table with the counts of its distributions, where it has one; see `counts`."""
        return f"{self.name}_counts"

    @property
    def bots(self) -> str:
        """Name of the table with the bots, where the request leaves any out; see `bots`."""
        return f"{self.name}_bots"

    @property
    def waiting(self) -> str:
        """Name of the table with the events of units that were not exposed yet; see `waiting`."""
        return f"{self.name}_waiting"


def new_base(digest: str, until: datetime) -> Base:
    """A base that is not made yet. No two have the same name, whoever makes them at the same time."""
    microseconds = (until - _EPOCH) // timedelta(microseconds=1)
    return Base(until, digest, f"{PREFIX}{digest}_{microseconds:016d}_{secrets.token_hex(4)}")


def read_bases(names: Collection[str]) -> list[Base]:
    """The bases among kept tables.

    Args:
        names: The names of the tables.
    """
    found = [match for name in names if (match := _NAME.fullmatch(name)) is not None]
    bases = [
        Base(_EPOCH + timedelta(microseconds=int(match["microseconds"])), match["digest"], match[0])
        for match in found
    ]
    return [replace(base, waits=base.waiting in names) for base in bases]


def digest_of(request: StoreRequest) -> str:
    """What tells apart requests that cannot share a base: everything but the moment of the analysis.

    It begins with how often facts had been deleted: a readout that began before a deletion may keep what was
    deleted, under a name that nobody asks for any more.
    """
    described = {**asdict(request), "form": _FORM}
    del described["as_of"], described["deletions"]
    text = json.dumps(described, sort_keys=True, default=_plain)
    digits = hashlib.sha256(text.encode()).hexdigest()[: _DIGITS - _DELETIONS]
    return f"{request.deletions:0{_DELETIONS}x}{digits}"


def _plain(value: object) -> object:
    """Conditions of metrics are models; everything else that JSON does not know is an enumeration's text."""
    dump = getattr(value, "model_dump", None)
    return str(value) if dump is None else [type(value).__name__, dump(mode="json")]
