"""A transaction in the event store that may keep tables of its own beside the facts."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import ibis.expr.types as ir
import pyarrow as pa

if TYPE_CHECKING:
    from ibis.backends.sql import SQLBackend


class Workspace(Protocol):
    """What an engine gives to who works with its tables; for one thread, as long as its context is open.

    Names are of lower-case letters, digits and `_`. Lasting tables are there for others once the context has
    ended without an error, whole or not at all.
    """

    @property
    def backend(self) -> "SQLBackend":
        """Reads the facts and the kept tables, in one consistent snapshot where the engine has one."""

    @property
    def settled(self) -> datetime | None:
        """No later commit is marked with this receipt or an earlier one; None: with none that is seen."""

    @property
    def shares(self) -> bool:
        """Whether a statement that reads a query several times works it out once, and plans it as well."""

    def keep(self, name: str, query: ir.Table, *, lasting: bool = False) -> ir.Table:
        """Make a table of what a query gives; it goes with the context unless it is lasting."""

    def make(self, name: str, statement: str, *, lasting: bool = False) -> None:
        """Make a table of what a query gives that `backend` compiled, as `keep` does."""

    def table(self, name: str) -> ir.Table:
        """A table that was kept, here or before."""

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What a query gives that `backend` compiled, in the driver's types."""

    def bring(self, name: str, rows: pa.Table) -> ir.Table:
        """Make rows of ours a table, for as long as the context is open."""

    def kept(self, prefix: str) -> list[str]:
        """The names of the lasting tables that begin so."""

    def forget(self, *names: str) -> None:
        """Drop lasting tables, at once or when the context ends; of what somebody else uses all may stay."""
