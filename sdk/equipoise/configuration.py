"""The configuration document (`GET /v1/config`) as immutable data: everything that evaluation needs."""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from equipoise import _documents, _references
from equipoise import _reading as read
from equipoise._conditions import Compiled
from equipoise._definitions import (
    Experiment,
    Flag,
    Holdout,
    Prerequisite,
    Rollout,
    Rule,
    Segment,
)
from equipoise._plans import OneDraw, Plan, compile_flags
from equipoise.errors import ConfigurationError

__all__ = [
    "SCHEMA",
    "Configuration",
    "Experiment",
    "Flag",
    "Holdout",
    "Prerequisite",
    "Rollout",
    "Rule",
    "Segment",
    "load",
    "parse",
]

SCHEMA: Final = "equipoise.config/2"
"""The version of the document that this reader understands."""


class Configuration:
    """One published version of an environment's flags and experiments. Immutable; equal by its content.

    Attributes:
        project: the project's key.
        environment: the environment's key.
        version: counts the published versions.
        segments: by key.
        holdouts: by key.
        flags: by key.
        experiments: by key.
        plans: the flags compiled for `equipoise.evaluation.evaluate`, by key.
        draws: what is compiled of the simplest of them, by key.

    Raises:
        ConfigurationError: what the parts say about each other does not fit.
    """

    __slots__ = (
        "draws",
        "environment",
        "experiments",
        "flags",
        "holdouts",
        "plans",
        "project",
        "segments",
        "version",
    )

    project: str
    environment: str
    version: int
    segments: Mapping[str, Segment]
    holdouts: Mapping[str, Holdout]
    flags: Mapping[str, Flag]
    experiments: Mapping[str, Experiment]
    plans: Mapping[str, Plan]
    draws: Mapping[str, OneDraw]

    def __init__(
        self,
        project: str,
        environment: str,
        version: int,
        segments: Mapping[str, Segment],
        holdouts: Mapping[str, Holdout],
        flags: Mapping[str, Flag],
        experiments: Mapping[str, Experiment],
    ) -> None:
        _references.check(flags, experiments, holdouts)
        plans, draws = compile_flags(flags, experiments, holdouts, Compiled(segments).compile)
        for name, value in (
            ("project", project),
            ("environment", environment),
            ("version", version),
            ("segments", segments),
            ("holdouts", holdouts),
            ("flags", flags),
            ("experiments", experiments),
            ("plans", plans),
            ("draws", draws),
        ):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Configuration cannot be changed: {name}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Configuration cannot be changed: {name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Configuration):
            return NotImplemented
        members = (name for name in self.__slots__ if name not in ("plans", "draws"))
        return all(getattr(self, name) == getattr(other, name) for name in members)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Configuration({self.project!r}, {self.environment!r}, version={self.version})"


def load(document: bytes) -> Configuration:
    """Read the bytes of a configuration document.

    Raises:
        ConfigurationError: not JSON, or not a configuration; the error names the place.
    """
    try:
        parsed = json.loads(document, parse_constant=_refuse_constant)
    except ConfigurationError:
        raise
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("", f"not a JSON document: {error}") from error
    return parse(parsed)


def parse(document: Mapping[str, Any]) -> Configuration:
    """Read a configuration document. Members that this reader does not know are ignored.

    Raises:
        ConfigurationError: the document is malformed or contradicts itself; the error names the place.
    """
    top = read.mapping(document, "")
    schema = read.member(top, "schema", "")
    if schema != SCHEMA:
        raise ConfigurationError(
            "schema", f"expected {SCHEMA!r}, found {schema!r:.80}; a newer SDK may read it"
        )
    for name in ("flags", "experiments"):
        read.member(top, name, "")
    flags = _documents.named(top, "flags", _documents.flag)
    return Configuration(
        project=read.text(read.member(top, "project", ""), "project"),
        environment=read.text(read.member(top, "environment", ""), "environment"),
        version=read.whole(read.member(top, "version", ""), "version"),
        segments=_documents.named(top, "segments", _documents.segment),
        holdouts=_documents.named(top, "holdouts", _documents.holdout),
        flags=flags,
        experiments=_documents.named(
            top, "experiments", lambda key, value, place: _documents.experiment(key, value, place, flags)
        ),
    )


def _refuse_constant(name: str) -> Any:
    raise ConfigurationError("", f"not a JSON document: {name} is not a JSON number")
