"""What every check says: its status, the figure that it rests on, and the words for it."""

from typing import Any

from equipoise_service.texts.checks import CHECKS
from equipoise_stats import CheckStatus

CHECK_ALPHA = 0.001
"""The level of every check: small, because all of them run on every experiment."""


def about(name: str, status: CheckStatus, number: str, reason: str | None) -> dict[str, Any]:
    """The members that all checks have.

    Args:
        name: The check's, among `texts.checks.CHECKS`.
        status: What was found.
        number: The figure that it rests on, in words.
        reason: What the status means here; None where it is `ok`.
    """
    text = CHECKS[name]
    found = status in (CheckStatus.WARNING, CheckStatus.FAILED)
    return {
        "status": status,
        "reason": reason,
        "number": number,
        "meaning": text.meaning,
        "causes": list(text.causes) if found else [],
        "action": text.action if found else None,
    }
