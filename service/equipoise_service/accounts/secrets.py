"""API keys as text: `eq_<public id>_<secret>`.

The public id finds the key, the secret proves it. The secret is 32 random bytes, so a fast hash is enough:
there is nothing to guess.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

_PREFIX = "eq"
_MAX_LENGTH = 128


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A key that was just made. `text` is shown once and stored nowhere."""

    public_id: str
    text: str
    secret_hash: bytes


def make_secret() -> NewSecret:
    """Make a random key: 64 bits of public id, 256 bits of secret."""
    public_id = secrets.token_hex(8)
    secret = secrets.token_hex(32)
    return NewSecret(public_id, f"{_PREFIX}_{public_id}_{secret}", hash_secret(secret))


def split_key(text: str) -> tuple[str, str] | None:
    """The public id and secret of a key's text; absent when it does not look like one."""
    parts = text.split("_") if len(text) <= _MAX_LENGTH else []
    if len(parts) != 3 or parts[0] != _PREFIX:
        return None
    return parts[1], parts[2]


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret: its SHA-256 digest."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def same_hash(one: bytes, other: bytes) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(one, other)
