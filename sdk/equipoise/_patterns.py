r"""Regular expressions for conditions: a search takes time linear in the text, whatever the pattern.

The syntax is a part of RE2's and of Python's. It has

- characters, `.` (any but a newline), classes such as `[a-z_]` and `[^0-9]`,
- `\d` `\w` `\s` and `\D` `\W` `\S` in their ASCII meaning (`\s` is ` \t\n\v\f\r`), within classes too,
- `\t` `\n` `\r` `\f` `\v` `\xHH`, and a backslash before any character that is no ASCII letter or digit,
- groups `(…)` and `(?:…)`, which mean the same here, and alternatives `a|b`,
- `*` `+` `?` `{m}` `{m,}` `{m,n}` with m and n at most 1,000; a `?` after one of them (a lazy one) makes no
  difference to a search and is accepted,
- `^` the start and `$` the end of the text (`$` is not met before a last newline),
- `(?i)` at the start: letters of the pattern and of the text meet by simple case folding, and a character
  meets a range when it lies in it or its lower or upper form does, where that folds alike; `\d` `\w` `\s`
  stay what they are.

There are no look-around assertions, no back-references, no word boundaries, no named groups and no other
flags: they are refused. A `{`, `}` or `]` that stands for itself is written with a backslash, and so is a `[`
within a class.
"""

from typing import Final, NoReturn

from equipoise._automata import Pattern, Program
from equipoise._characters import DIGITS, SPACES, WORDS, CharacterSet, Ranges, complement, fold

__all__ = ["MAX_LENGTH", "MAX_SIZE", "Pattern", "PatternError", "compile"]

MAX_LENGTH: Final = 256
"""Characters of a pattern."""

MAX_SIZE: Final = 2_000
"""Instructions of a pattern in which repetitions are written out."""

MAX_REPEAT: Final = 1_000
"""The largest number in a repetition."""

CATEGORIES: Final[dict[str, Ranges]] = {
    "d": DIGITS,
    "w": WORDS,
    "s": SPACES,
    "D": complement(DIGITS),
    "W": complement(WORDS),
    "S": complement(SPACES),
}
DECIMAL: Final = frozenset("0123456789")
HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")
CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
ANY: Final[Ranges] = complement((("\n", "\n"),))


class PatternError(ValueError):
    """A pattern that is not accepted; the message says what is wrong and at which character."""


def compile(pattern: str) -> Pattern:
    r"""Compile a pattern.

    Raises:
        PatternError: it is malformed, uses what is not supported, or is too large.

    >>> compile(r"^(de|at|ch)-\d{4}$").search("at-1010")
    True
    """
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"the pattern has {len(pattern)} characters; at most {MAX_LENGTH} are allowed")
    return Pattern(_Parser(pattern).program())


class _Group:
    """An open group: finished alternatives, and the parts of the one that is being read."""

    __slots__ = ("alternatives", "begin", "parts")

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.alternatives: list[Program] = []
        self.parts: list[Program] = []


class _Parser:
    """Reads a pattern from left to right, with the open groups on a list: deep nesting takes no stack."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._ignore_case = self._skip("(?i)")

    def program(self) -> Program:
        """Read the whole pattern."""
        groups = [_Group(0)]
        repeatable = False
        while self._at < len(self._pattern):
            begin = self._at
            group = groups[-1]
            character = self._next()
            if character == "(":
                self._open(begin)
                groups.append(_Group(begin))
                repeatable = False
            elif character == ")":
                if len(groups) == 1:
                    self._refuse("this ) closes no group", begin)
                groups.pop()
                groups[-1].parts.append(self._close(group))
                repeatable = True
            elif character == "|":
                group.alternatives.append(self._joined(group.parts))
                group.parts = []
                repeatable = False
            elif character in "*+?{":
                if not repeatable:
                    self._refuse(
                        f"there is nothing that {character} could repeat; write \\{character} for itself",
                        begin,
                    )
                least, most = self._counts(character, begin)
                group.parts[-1] = self._repeated(group.parts[-1], least, most)
                repeatable = False
            elif character in "^$":
                group.parts.append(("^",) if character == "^" else ("$",))
                repeatable = False
            else:
                group.parts.append((self._set(character, begin),))
                repeatable = True
        if len(groups) > 1:
            self._refuse("this group is not closed", groups[-1].begin)
        return self._close(groups[0])

    def _refuse(self, reason: str, at: int) -> NoReturn:
        raise PatternError(f"{reason} (at character {at + 1} of {self._pattern!r})")

    def _next(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        return character

    def _skip(self, expected: str) -> bool:
        found = self._pattern.startswith(expected, self._at)
        self._at += len(expected) * found
        return found

    # Groups and alternatives

    def _open(self, begin: int) -> None:
        if not self._pattern.startswith("?", self._at) or self._skip("?:"):
            return
        if self._pattern.startswith(("?=", "?!", "?<=", "?<!"), self._at):
            self._refuse("look-around assertions are not supported", begin)
        if self._pattern.startswith("?i)", self._at):
            self._refuse("(?i) is accepted at the start of a pattern only", begin)
        self._refuse("of the groups that begin with (? only (?:…) is supported, and (?i) at the start", begin)

    def _close(self, group: _Group) -> Program:
        program = self._joined(group.parts)
        for other in reversed(group.alternatives):
            program = self._sized(((1, len(other) + 2), *other, (len(program) + 1,), *program))
        return program

    def _joined(self, parts: list[Program]) -> Program:
        return self._sized(tuple(instruction for part in parts for instruction in part))

    def _sized(self, program: Program) -> Program:
        self._fits(len(program))
        return program

    def _fits(self, size: int) -> None:
        if size > MAX_SIZE:
            raise PatternError(
                f"the pattern {self._pattern!r} needs more than {MAX_SIZE:,} instructions when its "
                "repetitions are written out; use fewer or smaller ones"
            )

    # Repetitions

    def _counts(self, operator: str, begin: int) -> tuple[int, int | None]:
        """Read the rest of a repetition: how often at least, and at most if there is a bound."""
        if operator == "{":
            counts = self._bounds(begin)
        else:
            counts = {"*": (0, None), "+": (1, None), "?": (0, 1)}[operator]
        self._skip("?")
        if self._pattern.startswith(("*", "+", "?", "{"), self._at):
            self._refuse("a repetition cannot be repeated; put it in a group", self._at)
        return counts

    def _bounds(self, begin: int) -> tuple[int, int | None]:
        end = self._pattern.find("}", begin)
        least, comma, most = self._pattern[begin + 1 : end].partition(",")
        if end < 0 or not _is_number(least) or not (_is_number(most) or not most):
            self._refuse("expected {m}, {m,} or {m,n}; write \\{ for a brace that stands for itself", begin)
        self._at = end + 1
        low, high = int(least), int(most or least)
        if max(low, high) > MAX_REPEAT:
            self._refuse(f"a number in a repetition is at most {MAX_REPEAT:,}", begin)
        if low > high:
            self._refuse("a repetition's first number is larger than its second", begin)
        return low, None if comma and not most else high

    def _repeated(self, part: Program, least: int, most: int | None) -> Program:
        size = len(part)
        self._fits(size * least + 2 if most is None else size * least + (size + 1) * (most - least))
        if most is None and least == 0:
            return ((1, size + 2), *part, (-size - 1,))
        if most is None:
            return (*part * least, (-size, 1))
        return part * least + ((1, size + 1), *part) * (most - least)

    # Characters

    def _set(self, character: str, begin: int) -> CharacterSet:
        """Read what takes one character."""
        if character == "[":
            return self._class(begin)
        if character == ".":
            return CharacterSet(ANY)
        if character in "]}":
            self._refuse(f"write \\{character} for a {character} that stands for itself", begin)
        item = self._escape(begin) if character == "\\" else character
        if isinstance(item, str):
            return self._characters((), ((item, item),), negated=False)
        return CharacterSet(item)

    def _class(self, begin: int) -> CharacterSet:
        negated = self._skip("^")
        categories: list[tuple[str, str]] = []
        ranges: list[tuple[str, str]] = []
        first = self._at
        while self._at == first or not self._skip("]"):
            low = self._member(begin, may_be_hyphen=self._at == first)
            if isinstance(low, tuple):
                categories.extend(low)
            elif self._pattern.startswith("-", self._at) and not self._pattern.startswith("-]", self._at):
                self._at += 1
                ranges.append(self._range(low, begin))
            else:
                ranges.append((low, low))
        return self._characters(tuple(categories), tuple(ranges), negated=negated)

    def _range(self, low: str, begin: int) -> tuple[str, str]:
        at = self._at
        high = self._member(begin, may_be_hyphen=False)
        if isinstance(high, tuple):
            self._refuse("a range ends with one character", at)
        if low > high:
            self._refuse(f"the range {low}-{high} is empty: its ends are in the wrong order", at)
        return low, high

    def _member(self, begin: int, *, may_be_hyphen: bool) -> str | Ranges:
        """Read one character or category of the class that began at `begin`."""
        if self._at >= len(self._pattern):
            self._refuse("this class is not closed", begin)
        at = self._at
        character = self._next()
        if character == "\\":
            return self._escape(at)
        hyphen = character == "-" and not (may_be_hyphen or self._pattern.startswith("]", self._at))
        if character in "[]" or hyphen:
            self._refuse(f"within a class, write \\{character} for a {character} that stands for itself", at)
        return character

    def _escape(self, begin: int) -> str | Ranges:
        """Read what follows a backslash: a character or a category."""
        if self._at >= len(self._pattern):
            self._refuse(
                "the pattern ends with a backslash; write \\\\ for one that stands for itself", begin
            )
        character = self._next()
        if character in CATEGORIES:
            return CATEGORIES[character]
        if character in CONTROLS:
            return CONTROLS[character]
        if character == "x":
            return self._hexadecimal(begin)
        if character in DECIMAL:
            self._refuse("back-references are not supported", begin)
        if character.isascii() and character.isalpha():
            self._refuse(f"\\{character} is not supported", begin)
        return character

    def _hexadecimal(self, begin: int) -> str:
        digits = self._pattern[self._at : self._at + 2]
        if len(digits) < 2 or not HEXADECIMAL.issuperset(digits):
            self._refuse("\\x is followed by two hexadecimal digits", begin)
        self._at += 2
        return chr(int(digits, 16))

    def _characters(self, categories: Ranges, ranges: Ranges, *, negated: bool) -> CharacterSet:
        """Return the set of all of them; case is ignored in `ranges` where the pattern says so."""
        if not self._ignore_case:
            return CharacterSet(categories + ranges, (), negated)
        folded = tuple((fold(low), fold(low)) for low, high in ranges if low == high)
        return CharacterSet(categories, ranges + folded, negated)


def _is_number(text: str) -> bool:
    """Whether the text is a whole number of ASCII digits, short enough to be read."""
    return 0 < len(text) <= 9 and DECIMAL.issuperset(text)
