"""The statements of refreshes, remembered: to make one from Ibis can take longer than to run it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from equipoise_service.aggregates import expression
from equipoise_service.aggregates.names import Base
from equipoise_service.analysis.asking import recall, remember
from equipoise_service.analysis.requests import StoreRequest
from equipoise_service.analysis.units import CLOCKS, naive
from equipoise_service.events.stores.workspace import Workspace

Table = Callable[[], ir.Table]
"""Finds a table: most are not looked at when the statements that read them are remembered."""

# No text of ours or of anybody else's has it in it: engines refuse it.
_GAP = "\0{}\0"


class Statements:
    """What is run in a workspace for a request and one of its bases.

    Queries are made only where their statement is not known. Statements of an earlier base of the request
    are: where its name and its moments stood are gaps, for those of this one.

    Args:
        workspace: Where they run.
        digest: Of the request, see `digest_of`.
        request: It.
        base: The base; None where there is none.
    """

    def __init__(self, workspace: Workspace, digest: str, request: StoreRequest, base: Base | None) -> None:
        self.workspace = workspace
        now = naive(request.as_of)
        of_base = [] if base is None else expression.moments(request, base)
        self._moments = [*of_base, *([] if base is None else [now]), *_fixed(request)]
        self._gaps: list[str] = []
        if base is not None and workspace.settled is None:
            # The moments of a base are asked for again and again.
            self._gaps = [base.name, *map(self._said_again, of_base), self._said(now)]
        self._of = (workspace.backend.name, digest, base is not None and base.waits)

    def keep(self, name: str, query: Callable[[], ir.Table], *varying: object) -> Callable[[], ir.Table]:
        """Make a passing table of what a query gives.

        Args:
            name: The table's.
            query: Makes the query.
            varying: What in the query is not the same each time, beside the base and `as_of` as it is.

        Returns:
            Finds the table.
        """
        self.workspace.make(name, self._statement(name, query, varying))
        return lambda: self.workspace.table(name)

    def keep_lasting(
        self, table: str, name: str, query: Callable[[], ir.Table], *varying: object
    ) -> Callable[[], ir.Table]:
        """Make a lasting table of what a query gives; its own name is beside that of the statement."""
        self.workspace.make(table, self._statement(name, query, varying), lasting=True)
        return lambda: self.workspace.table(table)

    def rows(self, name: str, query: Callable[[], ir.Table], *varying: object) -> list[dict[str, Any]]:
        """What a query gives; its arguments are those of `keep`."""
        return self.workspace.rows(self._statement(name, query, varying))

    def count(self, name: str, query: Callable[[], ir.Table]) -> int:
        """How many rows a query gives."""
        return int(self.rows(f"{name}_count", lambda: query().agg(found=ibis._.count()))[0]["found"])

    def _statement(self, name: str, query: Callable[[], ir.Table], varying: tuple[object, ...]) -> str:
        backend = self.workspace.backend
        if self.workspace.settled is not None:
            # What is settled is another moment each time, and passing tables have other names.
            return str(backend.compile(query()))
        # Moments that happen to be the same have one text: a statement in which they are is another one.
        alike = _alike([*self._moments, *(each for each in varying if isinstance(each, datetime))])
        key = (self._of, alike, name, varying)
        found = recall(key)
        if found is not None:
            return self._filled(found)
        statement = str(backend.compile(query()))
        remember(key, self._with_gaps(statement))
        return statement

    def _with_gaps(self, statement: str) -> str:
        for number, text in enumerate(self._gaps):
            statement = statement.replace(text, _GAP.format(number))
        return statement

    def _filled(self, statement: str) -> str:
        for number, text in enumerate(self._gaps):
            statement = statement.replace(_GAP.format(number), text)
        return statement

    def _said(self, moment: datetime) -> str:
        """A moment as it stands in statements."""
        said = str(self.workspace.backend.compile(ibis.literal(moment).name("moment")))
        return said.removeprefix("SELECT ").removesuffix(' AS "moment"')

    def _said_again(self, moment: datetime) -> str:
        key = (self.workspace.backend.name, moment)
        said = recall(key)
        if said is None:
            said = self._said(moment)
            remember(key, said)
        return said


def _fixed(request: StoreRequest) -> list[datetime]:
    """The moments in the queries of a request that are always the same."""
    since, until = request.since, request.until
    found = [] if since is None else [naive(since), naive(since) - CLOCKS]
    return found if until is None else [*found, naive(until)]


def _alike(moments: Sequence[datetime]) -> tuple[int, ...]:
    """For each moment, of UTC where it has no zone, the place of the first that is the same."""
    stored = [each if each.tzinfo is None else naive(each) for each in moments]
    return tuple(stored.index(each) for each in stored)
