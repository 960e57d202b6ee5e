"""Asks what queries give, and remembers statements: to make one from Ibis takes up to a tenth of a second."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import ibis.expr.types as ir

from equipoise_service.events.stores.workspace import Workspace

Query = Callable[[], ir.Table]
"""Makes a query: most are not looked at when the statements that read them are remembered."""

# Of about a hundred requests; a statement is a few kilobytes.
_MOST = 1000

_remembered: OrderedDict[Hashable, str] = OrderedDict()
_lock = Lock()


def recall(key: Hashable) -> str | None:
    """The statement that was remembered under a key; None where none was, or it is long ago."""
    with _lock:
        found = _remembered.get(key)
        if found is not None:
            _remembered.move_to_end(key)
        return found


def remember(key: Hashable, statement: str) -> None:
    """Remember a statement, and forget the one that was asked for least lately where they are too many."""
    with _lock:
        _remembered[key] = statement
        while len(_remembered) > _MOST:
            _remembered.popitem(last=False)


def statement_of(workspace: Workspace, name: str, of: Hashable, query: Query) -> str:
    """The statement of a query of the store's own tables.

    Args:
        workspace: Where it will run.
        name: The query's.
        of: All that is in it.
        query: Makes it, where its statement is not remembered.
    """
    backend = workspace.backend
    if workspace.settled is not None:
        # Engines with databases of their own may have the tables in another one each time.
        return str(backend.compile(query()))
    key = (backend.name, name, of)
    statement = recall(key)
    if statement is None:
        statement = str(backend.compile(query()))
        remember(key, statement)
    return statement


def rows_of(backend: Any, query: ir.Table) -> list[dict[str, Any]]:
    """What a query gives, by Ibis."""
    found: list[dict[str, Any]] = backend.to_pyarrow(query).to_pylist()
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """A backend that is asked.

    Attributes:
        backend: An Ibis backend.
        of: What tells its statements apart from others of the same names; None: none is remembered.
    """

    backend: Any
    of: Hashable | None = None

    def rows(self, name: str, query: Query) -> list[dict[str, Any]]:
        """What a query gives.

        Args:
            name: Of the query, among those of the same analysis.
            query: Makes it, where its statement is not remembered.
        """
        if self.of is None:
            return rows_of(self.backend, query())
        key = (self.backend.name, self.of, name)
        statement = recall(key)
        if statement is None:
            statement = str(self.backend.compile(query()))
            remember(key, statement)
        # A relation, as Ibis makes one, plans its statement twice: for a long one 20 ms more.
        cursor = self.backend.con.execute(statement)
        names = [column for column, *_ in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
