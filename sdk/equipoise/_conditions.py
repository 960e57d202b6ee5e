"""Conditions on attributes: read from the document, and compiled into functions that never raise."""

from collections.abc import Mapping
from typing import Any, Final

from equipoise import _operators
from equipoise import _reading as read_
from equipoise._definitions import Condition, Segment
from equipoise._operators import Holds
from equipoise.errors import ConfigurationError

MAX_DEPTH: Final = 10
"""How deeply conditions nest, and how long a chain of segments may be that refer to each other."""

MAX_SIZE: Final = 10_000
"""How many single conditions one audience may come to, its segments written out."""


def read(value: Any, place: str, depth: int = MAX_DEPTH) -> Condition:
    """Return a condition that is well formed, detached from the document.

    Raises:
        ConfigurationError: it is malformed; the error names the place.
    """
    if depth == 0:
        raise ConfigurationError(place, f"the condition nests deeper than {MAX_DEPTH} levels")
    document = read_.mapping(value, place)
    kinds = [name for name in ("all", "any", "not", "segment", "attribute") if name in document]
    if len(kinds) != 1:
        raise ConfigurationError(place, "expected exactly one of all, any, not, segment, attribute")
    kind = kinds[0]
    inner = f"{place}.{kind}"
    if kind == "attribute":
        return _operators.read(document, place)
    if kind == "segment":
        return {kind: read_.text(document[kind], inner)}
    if kind == "not":
        return {kind: read(document[kind], inner, depth - 1)}
    members = read_.sequence(document[kind], inner)
    return {kind: [read(each, f"{inner}[{index}]", depth - 1) for index, each in enumerate(members)]}


class Compiled:
    """The segments of a document compiled, each once; compiles conditions that refer to them.

    Args:
        segments: by key.

    Raises:
        ConfigurationError: a segment refers to an unknown one, to itself by way of others, or through
            a chain longer than `MAX_DEPTH`.
    """

    def __init__(self, segments: Mapping[str, Segment]) -> None:
        self._segments = segments
        self._done: dict[str, tuple[Holds, int, int]] = {}
        for key in segments:
            self._segment(key, ())

    def compile(self, condition: Condition, place: str) -> Holds:
        """Return the function that says whether the condition holds for a unit and its attributes.

        Raises:
            ConfigurationError: it refers to an unknown segment, or comes to more than `MAX_SIZE`.
        """
        return self._compile(condition, place, ())[0]

    def _segment(self, key: str, above: tuple[str, ...]) -> tuple[Holds, int, int]:
        """Return a segment's function, its size, and how long a chain of segments it begins."""
        place = f"segments.{key}"
        if key in above:
            cycle = " → ".join((*above[above.index(key) :], key))
            raise ConfigurationError(place, f"the segment refers to itself: {cycle:.200}")
        if key not in self._done:
            segment = self._segments[key]
            if len(above) >= MAX_DEPTH:
                raise ConfigurationError(place, f"segments refer to each other over {MAX_DEPTH} levels")
            if segment.condition is None:
                self._done[key] = _operators.ids(str(segment.attribute), segment.ids), 1, 1
            else:
                holds, size, depth = self._compile(segment.condition, f"{place}.condition", (*above, key))
                self._done[key] = holds, size, depth + 1
        done = self._done[key]
        if len(above) + done[2] > MAX_DEPTH:
            raise ConfigurationError(place, f"segments refer to each other over {MAX_DEPTH} levels")
        return done

    def _compile(self, condition: Condition, place: str, above: tuple[str, ...]) -> tuple[Holds, int, int]:
        if "attribute" in condition:
            return _operators.compile(condition), 1, 0
        if "segment" in condition:
            key = condition["segment"]
            if key not in self._segments:
                raise ConfigurationError(f"{place}.segment", f"there is no segment {key!r:.80}")
            return self._segment(key, above)
        if "not" in condition:
            holds, size, depth = self._compile(condition["not"], f"{place}.not", above)
            return negation(holds), size, depth
        kind = "all" if "all" in condition else "any"
        parts = [
            self._compile(each, f"{place}.{kind}[{index}]", above)
            for index, each in enumerate(condition[kind])
        ]
        size = sum(part[1] for part in parts)
        if size > MAX_SIZE:
            raise ConfigurationError(
                place, f"the condition comes to more than {MAX_SIZE:,} single conditions"
            )
        combine = conjunction if kind == "all" else disjunction
        return combine([part[0] for part in parts]), size, max((part[2] for part in parts), default=0)


def negation(holds: Holds) -> Holds:
    return lambda unit, attributes: not holds(unit, attributes)


def conjunction(parts: list[Holds]) -> Holds:
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        return lambda unit, attributes: first(unit, attributes) and second(unit, attributes)

    def every(unit: str, attributes: Any) -> bool:
        for holds in parts:  # noqa: SIM110 (all() with a generator takes twice the time)
            if not holds(unit, attributes):
                return False
        return True

    return every


def disjunction(parts: list[Holds]) -> Holds:
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 2:
        first, second = parts
        return lambda unit, attributes: first(unit, attributes) or second(unit, attributes)

    def some(unit: str, attributes: Any) -> bool:
        for holds in parts:  # noqa: SIM110 (any() with a generator takes twice the time)
            if holds(unit, attributes):
                return True
        return False

    return some
