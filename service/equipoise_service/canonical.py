"""Canonical JSON and digests of it (RFC 8785, the JSON Canonicalization Scheme).

Members sorted by their names' UTF-16 code units, no white space, strings with the fewest escapes, numbers as
ECMAScript prints them, UTF-8. Any language that has an RFC 8785 library, or can sort and print like one, gets
the same bytes, whatever printed the document in between.
"""

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from json.encoder import encode_basestring


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
        # Quotes and the fewest escapes. `json.dumps` does the same with an encoder made for each call.
        return encode_basestring(value)
    if isinstance(value, int | float):
        try:
            return _number(float(value))
        except OverflowError:
            raise ValueError("an integer is larger than any double") from None
    # Nearly always it is a dict, and to ask for that alone takes a tenth of the time.
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101
        return canonical_object({name: canonical_json(each) for name, each in value.items()})
    if isinstance(value, Sequence):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    raise ValueError(f"a {type(value).__name__} has no JSON")


def canonical_object(members: Mapping[str, str]) -> str:
    """The canonical JSON of an object whose members are canonical JSON already.

    Example:
        >>> canonical_object({"b": "[1]", "a": "null"})
        '{"a":null,"b":[1]}'
    """
    return "{" + ",".join(f"{encode_basestring(name)}:{members[name]}" for name in _sorted(members)) + "}"


def _sorted(names: Collection[object]) -> list[str]:
    """Names of members by their UTF-16 code units."""
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise ValueError("a member's name is not a string")
    if "".join(texts).isascii():
        return sorted(texts)
    return sorted(texts, key=lambda name: name.encode("utf-16-be"))


def _number(value: float) -> str:
    """A double as ECMAScript prints it (ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    if value == 0:
        return "0"
    shown = repr(value)
    if "e" not in shown:
        # From 1e-4 up to 1e16, which ECMAScript prints alike but for whole numbers.
        return shown.removesuffix(".0")
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = shown.removeprefix("-").partition("e")
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
