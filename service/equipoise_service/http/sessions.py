"""Database sessions for routes: one request is one transaction, committed before it is answered."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request
from sqlmodel import Session

from equipoise_service.database import Database


def _read(request: Request) -> Iterator[Session]:
    database: Database = request.app.state.database
    with database.read() as session:
        yield session


def _write(request: Request) -> Iterator[Session]:
    database: Database = request.app.state.database
    with database.write() as session:
        yield session


# `scope="function"` ends them before the answer leaves: what is answered is committed.
ReadSession = Annotated[Session, Depends(_read, scope="function")]
WriteSession = Annotated[Session, Depends(_write, scope="function")]
