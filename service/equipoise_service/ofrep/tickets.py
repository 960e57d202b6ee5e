"""Tickets: what a browser opens a stream of changes with.

An `EventSource` can send no header, so the answer of a bulk evaluation hands out a URL that opens the stream
by itself. The ticket in it says which key asked and in which hour, under a MAC that only the service can
make: its secret is the stored hash of that key's own secret. So it opens nothing else, ends by itself, ends
with the key, and is the same for all processes that share the metadata database, before and after a restart.

It stays the same for an hour and is good for the hour after it too. As it is part of what the ETag of a bulk
evaluation stands for, a client that is answered 304 has a ticket that is good for an hour at least.
"""

import hashlib
import hmac

from equipoise_service.accounts.principals import Principal, Principals, Scope
from equipoise_service.errors import Unauthenticated

PERIOD_SECONDS = 3600
_MAX_LENGTH = 256


def make_ticket(principal: Principal, now: float) -> str:
    """The ticket of a key at a time, in seconds since 1970."""
    return _signed(principal, int(now // PERIOD_SECONDS))


def open_ticket(principals: Principals, text: str, now: float) -> Principal:
    """The principal that a ticket was made for.

    Raises:
        Unauthenticated: It was not made by this service, it is too old, or its key is no longer valid.
        Forbidden: The key may not evaluate any more.
    """
    parts = text.split(".") if len(text) <= _MAX_LENGTH else []
    if len(parts) != 3 or not parts[1].isascii() or not parts[1].isdecimal():
        raise Unauthenticated
    principal = principals.admit(parts[0], Scope.EVALUATE)
    if not hmac.compare_digest(_signed(principal, int(parts[1])).encode(), text.encode()):
        raise Unauthenticated
    if int(now // PERIOD_SECONDS) - int(parts[1]) not in (0, 1):
        raise Unauthenticated
    return principal


def _signed(principal: Principal, period: int) -> str:
    message = f"equipoise.ofrep.changes:{principal.public_id}:{period}"
    mac = hmac.new(principal.secret_hash, message.encode(), hashlib.sha256).hexdigest()
    return f"{principal.public_id}.{period}.{mac}"
