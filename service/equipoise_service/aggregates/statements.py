"""The statements of refreshes, remembered: to make one from Ibis can take longer than to run it."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.events.stores.workspace import Workspace

# Of about a hundred requests; a statement is a few kilobytes.
_MOST = 1000

_Key = tuple[str, str, str, tuple[object, ...]]
_remembered: OrderedDict[_Key, str] = OrderedDict()
_lock = Lock()


class Statements:
    """What is run in a workspace for one base; queries are made only where their statement is not known.

    Args:
        workspace: Where they run.
        of: What, beside their name and what they vary with, the statements depend on.
    """

    def __init__(self, workspace: Workspace, of: str) -> None:
        self._workspace = workspace
        self._of = of

    def keep(self, name: str, query: Callable[[], ir.Table], *varying: object) -> Callable[[], ir.Table]:
        """Make a passing table of what a query gives.

        Args:
            name: The table's.
            query: Makes the query.
            varying: What in the query is not the same each time.

        Returns:
            Finds the table.
        """
        self._workspace.make(name, self._statement(name, query, varying))
        return lambda: self._workspace.table(name)

    def rows(self, name: str, query: Callable[[], ir.Table], *varying: object) -> list[dict[str, Any]]:
        """What a query gives; its arguments are those of `keep`."""
        return self._workspace.rows(self._statement(name, query, varying))

    def count(self, name: str, query: Callable[[], ir.Table]) -> int:
        """How many rows a query gives."""
        return int(self.rows(f"{name}_count", lambda: query().agg(found=ibis._.count()))[0]["found"])

    def _statement(self, name: str, query: Callable[[], ir.Table], varying: tuple[object, ...]) -> str:
        backend = self._workspace.backend
        if self._workspace.settled is not None:
            # What is settled is another moment each time, and passing tables have other names.
            return str(backend.compile(query()))
        key = (backend.name, self._of, name, varying)
        with _lock:
            found = _remembered.get(key)
            if found is not None:
                _remembered.move_to_end(key)
                return found
        statement = str(backend.compile(query()))
        with _lock:
            _remembered[key] = statement
            while len(_remembered) > _MOST:
                _remembered.popitem(last=False)
        return statement
