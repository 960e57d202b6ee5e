"""How an installation keeps units: decided at the first start, and unchanged while there are facts."""

import secrets
from collections.abc import Callable

from sqlmodel import Session

from equipoise_service.database import Database
from equipoise_service.privacy.models import UnitKeeping
from equipoise_service.privacy.unit_ids import keyed_hash

_CHECKED = "equipoise unit key"


class UnitKeyChanged(Exception):
    """`EQUIPOISE_UNIT_KEY` is not the one that the stored facts were hashed with."""


def settle_keeping(database: Database, has_facts: Callable[[], bool], unit_key: str) -> None:
    """Hold the unit key against the one that the facts were hashed with; note it where there are none.

    Args:
        database: Where it is noted what key is in use, by a hash of it.
        has_facts: Whether the event store holds any exposure or event.
        unit_key: `EQUIPOISE_UNIT_KEY`; empty where ids are stored as they come.

    Raises:
        UnitKeyChanged: It is another key, or one where there was none, or none where there was one.
    """
    check = keyed_hash(unit_key.encode(), _CHECKED) if unit_key else ""
    with database.read() as session:
        noted = session.get(UnitKeeping, 1)
    if noted is not None and noted.unit_key_check == check:
        return
    if (noted.unit_key_check if noted else "") != check and has_facts():
        raise UnitKeyChanged(
            "EQUIPOISE_UNIT_KEY is not the key that the stored unit ids were hashed with"
            f"{'' if noted and noted.unit_key_check else ' (they were stored as they came)'}. Units would no "
            "longer be recognised. Give the key back that was there, or begin with an empty event store."
        )
    with database.write() as session:
        _note(session, check)


def proof_key(session: Session) -> bytes:
    """What erased units are hashed with."""
    return session.get_one(UnitKeeping, 1).proof_key


def _note(session: Session, check: str) -> None:
    keeping = session.get(UnitKeeping, 1) or UnitKeeping(proof_key=secrets.token_bytes(32))
    keeping.unit_key_check = check
    session.add(keeping)
