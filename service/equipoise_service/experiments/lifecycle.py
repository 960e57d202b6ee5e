"""The status of an experiment, and the moves between statuses."""

from collections.abc import Mapping
from enum import StrEnum

from equipoise_service.errors import Conflict


class Status(StrEnum):
    """Where an experiment stands in an environment."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    HOLDING_BACK = "holding-back"
    SHIPPED = "shipped"
    ARCHIVED = "archived"


class Move(StrEnum):
    """What can be done to an experiment."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    SHIP = "ship"
    END_HOLDBACK = "end-holdback"
    ARCHIVE = "archive"


# To ship with a holdback leads to `holding-back` instead: see `runs.ship`.
MOVES: Mapping[Move, Mapping[Status, Status]] = {
    Move.START: {Status.DRAFT: Status.RUNNING, Status.STOPPED: Status.RUNNING},
    Move.PAUSE: {Status.RUNNING: Status.PAUSED},
    Move.RESUME: {Status.PAUSED: Status.RUNNING},
    Move.STOP: {Status.RUNNING: Status.STOPPED, Status.PAUSED: Status.STOPPED},
    Move.SHIP: {
        Status.RUNNING: Status.SHIPPED,
        Status.PAUSED: Status.SHIPPED,
        Status.STOPPED: Status.SHIPPED,
    },
    Move.END_HOLDBACK: {Status.HOLDING_BACK: Status.SHIPPED},
    Move.ARCHIVE: {
        Status.DRAFT: Status.ARCHIVED,
        Status.STOPPED: Status.ARCHIVED,
        Status.HOLDING_BACK: Status.ARCHIVED,
        Status.SHIPPED: Status.ARCHIVED,
    },
}

NOT_ON_ARCHIVED = (Move.START, Move.RESUME, Move.SHIP)
"""The moves that make a flag serve something else: an archived one does not."""

LIVE = (Status.RUNNING, Status.PAUSED)
"""The statuses in which nothing is decided yet."""

OPEN = (*LIVE, Status.HOLDING_BACK)
"""The statuses in which a revision is open and slots are held."""

ENDED = (Status.SHIPPED, Status.ARCHIVED)
"""The statuses that do not lead back to running; the configuration document calls them stopped."""


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
            f"An experiment that is {status} cannot {move}. Allowed now: {', '.join(allowed) or 'nothing'}.",
            type="illegal-transition",
            status_now=status,
            allowed=allowed,
        )
    return after
