"""Canonical JSON and digests of it (RFC 8785, the JSON Canonicalization Scheme).

Members sorted by their names' UTF-16 code units, no white space, strings with the fewest escapes, numbers as
ECMAScript prints them, UTF-8. Any language that has an RFC 8785 library, or can sort and print like one, gets
the same bytes, whatever printed the document in between.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence


def digest(document: object) -> str:
    """`sha256:` and the SHA-256 of the canonical JSON, in lower-case hex.

    Raises:
        ValueError: The document holds something that has no canonical JSON.

    Example:
        >>> digest({})
        'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'
    """
    return "sha256:" + hashlib.sha256(canonical_json(document).encode()).hexdigest()


def canonical_json(value: object) -> str:
    """The canonical JSON of JSON types.

    All numbers are doubles, as in JavaScript.

    Raises:
        ValueError: A number is not finite, a name is no string, or there is something unknown to JSON.

    Example:
        >>> canonical_json({"b": [1.0, 1e-7, None], "a": "€"})
        '{"a":"€","b":[1,1e-7,null]}'
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        try:
            return _number(float(value))
        except OverflowError:
            raise ValueError("an integer is larger than any double") from None
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise ValueError("a member's name is not a string")
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical_json(name)}:{canonical_json(value[name])}" for name in names) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    raise ValueError(f"a {type(value).__name__} has no JSON")


def _number(value: float) -> str:
    """A double as ECMAScript prints it (ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS × 10^point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if 0 < point <= 21:
        if len(digits) <= point:
            return sign + digits.ljust(point, "0")
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
