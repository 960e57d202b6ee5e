"""The count of an import: where every row and item ended."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from equipoise_service.cli.importing.items import Refusal

_ROWS_SHOWN: Final = 5
_MOST_REASONS: Final = 50
_OTHER: Final = "other reasons"


class Reason(msgspec.Struct):
    """Why something was refused.

    Attributes:
        item: `row`, `exposure`, or `event NAME`.
        reason: What was wrong.
        count: How many items.
        rows: Numbers of the first rows.
    """

    item: str
    reason: str
    count: int = 0
    rows: list[int] = msgspec.field(default_factory=list)


class Tally(msgspec.Struct):
    """What an import has done with the file's rows up to some row.

    Attributes:
        rows: How many rows are done, from the file's first.
        accepted: Items of each kind that the service stored.
        duplicate: Items of each kind that it had before.
        refused: Why items were refused.
    """

    rows: int = 0
    accepted: dict[str, int] = msgspec.field(default_factory=lambda: {"exposures": 0, "events": 0})
    duplicate: dict[str, int] = msgspec.field(default_factory=lambda: {"exposures": 0, "events": 0})
    refused: list[Reason] = msgspec.field(default_factory=list)

    @property
    def taken(self) -> int:
        """How many items the service has."""
        return sum(self.accepted.values()) + sum(self.duplicate.values())

    @property
    def refusals(self) -> int:
        """How many items were refused."""
        return sum(each.count for each in self.refused)

    def add(
        self, last_row: int, accepted: Counter[str], duplicate: Counter[str], refusals: Sequence[Refusal]
    ) -> None:
        """Count the outcome of the rows up to `last_row`."""
        self.rows = last_row
        for kind, count in accepted.items():
            self.accepted[kind] += count
        for kind, count in duplicate.items():
            self.duplicate[kind] += count
        for refusal in refusals:
            reason = self._reason(refusal.item, refusal.reason)
            reason.count += 1
            if len(reason.rows) < _ROWS_SHOWN:
                reason.rows.append(refusal.row)

    def _reason(self, item: str, text: str) -> Reason:
        for each in self.refused:
            if each.item == item and each.reason == text:
                return each
        if len(self.refused) >= _MOST_REASONS and text != _OTHER:
            return self._reason("row", _OTHER)
        self.refused.append(Reason(item, text))
        return self.refused[-1]
