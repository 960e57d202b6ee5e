"""Bucketing, version 1: the pure function that turns a salt and a unit into one of 10,000 buckets.

The definition is a public contract that any language and any warehouse can recompute:
the first 13 hexadecimal digits of `sha256(salt + ":" + unit)`, as a number, modulo 10,000.
In DuckDB: `(('0x' || substr(sha256(salt || ':' || unit), 1, 13))::BIGINT % 10000)`.
`tests/vectors/bucketing.json` holds cases for every implementation.
"""

from hashlib import sha256
from typing import Final

__all__ = ["BUCKETS", "bucket"]

BUCKETS: Final = 10_000
"""How many buckets there are; buckets are numbered 0 to 9,999."""


def bucket(salt: str, unit: str) -> int:
    """Return the bucket, 0 to 9,999, of `unit` under `salt`.

    The unit is hashed as given, as UTF-8: no trimming, no case folding, no Unicode normalisation.

    Args:
        salt: 16 lowercase hexadecimal characters in Equipoise's own use; any string works.
        unit: the unit's id.

    Raises:
        UnicodeEncodeError: `salt` or `unit` holds a lone surrogate. Such a string has no UTF-8 form, so
            no other language could recompute its bucket. (`evaluate` answers such a unit with `ERROR`.)

    Example:
        >>> bucket("9ab1c3d4e5f60718", "user-1")
        6488
    """
    return bucket_of_bytes(salt_prefix(salt), unit.encode())


def salt_prefix(salt: str) -> bytes:
    """Return what precedes the unit in the hashed bytes, for `bucket_of_bytes`."""
    return f"{salt}:".encode()


def bucket_of_bytes(prefix: bytes, unit: bytes) -> int:
    """Return the bucket of an encoded unit: `bucket`, with the encoding done once by the caller."""
    # The first 13 hex digits are the top 52 of 256 bits.
    return (int.from_bytes(sha256(prefix + unit).digest(), "big") >> 204) % BUCKETS
