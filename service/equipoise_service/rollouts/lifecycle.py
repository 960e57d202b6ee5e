"""The status of a progressive rollout, and the moves between statuses."""

from collections.abc import Mapping
from enum import StrEnum

from equipoise_service.errors import Conflict


class Status(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    HELD = "held"
    ROLLED_BACK = "rolled_back"
    COMPLETED = "completed"


class Move(StrEnum):
    """What can be done to a rollout."""

    HOLD = "hold"
    RESUME = "resume"
    ROLL_BACK = "roll-back"
    COMPLETE = "complete"


MOVES: Mapping[Move, Mapping[Status, Status]] = {
    Move.HOLD: {Status.RUNNING: Status.HELD},
    Move.RESUME: {Status.HELD: Status.RUNNING},
    Move.ROLL_BACK: {Status.RUNNING: Status.ROLLED_BACK, Status.HELD: Status.ROLLED_BACK},
    Move.COMPLETE: {Status.RUNNING: Status.COMPLETED, Status.HELD: Status.COMPLETED},
}


def allowed_moves(status: Status) -> list[Move]:
    """The moves that a status allows."""
    return [move for move, paths in MOVES.items() if status in paths]


def status_after(move: Move, status: Status) -> Status:
    """The status that a move leads to.

    Raises:
        Conflict: The present status does not allow the move; the error says which it allows.
    """
    after = MOVES[move].get(status)
    if after is None:
        allowed = allowed_moves(status)
        raise Conflict(
            f"A rollout that is {status} cannot {move}. Allowed now: {', '.join(allowed) or 'nothing'}.",
            type="illegal-transition",
            status_now=status,
            allowed=allowed,
        )
    return after
