"""Definitions in files: YAML or JSON, several documents a file."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from equipoise_service.cli.definitions.kinds import KINDS
from equipoise_service.cli.failures import Failure

MOST_BYTES = 64 << 20
"""Largest file that is read."""

MOST_LEVELS = 50
"""How deep YAML nests at most. Its reader calls itself for each level, as deep as the process lets it."""

Definitions = dict[str, dict[str, dict[str, Any]]]
"""Complete documents by kind and key."""


def read_files(paths: list[Path]) -> Definitions:
    """Read definitions; `-` is the standard input.

    Raises:
        Failure: A file cannot be read, a document is not valid, or something is defined twice.
    """
    found: Definitions = {kind: {} for kind in KINDS}
    places: dict[tuple[str, str], str] = {}
    for path in paths:
        for number, given in enumerate(read_documents(path), start=1):
            where = f"{path}, document {number}"
            kind, document = _of_kind(given, where)
            complete = KINDS[kind].complete(document, where)
            key = complete["key"]
            if (kind, key) in places:
                raise Failure(f"{where}: the {kind} {key} stands in {places[kind, key]} already.")
            places[kind, key] = where
            found[kind][key] = complete
    return found


class _Dumper(yaml.SafeDumper):
    """Writes texts so that they are read as they are."""


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # A next line (U+0085) is read as a line feed where it is not escaped.
    style = '"' if "\x85" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_node)


def written(definitions: Definitions, *, as_json: bool) -> str:
    """Definitions as a file: YAML, one document each, or a JSON list.

    What is the default anyway is left out.
    """
    documents = [
        {"kind": kind, **KINDS[kind].short(document)}
        for kind, by_key in definitions.items()
        for document in by_key.values()
    ]
    if as_json:
        return json.dumps(documents, indent=2, ensure_ascii=False) + "\n"
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def read_documents(path: Path) -> Iterator[Any]:
    """Read the documents of a file, YAML or JSON; `-` is the standard input.

    Raises:
        Failure: It cannot be read.
    """
    try:
        text = sys.stdin.read(MOST_BYTES + 1) if str(path) == "-" else _text(path)
    except UnicodeDecodeError:
        raise Failure(f"{path} is not in UTF-8.") from None
    if len(text) > MOST_BYTES:
        raise Failure(f"{path} has more than {MOST_BYTES:,} characters.")
    try:
        for each in _loaded(text):
            if isinstance(each, list):
                yield from each
            elif each is not None:
                yield each
    except yaml.YAMLError as error:
        raise Failure(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}.") from None
    except RecursionError:  # of JSON, whose reader has no limit of its own
        raise Failure(f"{path} nests too deeply.") from None


def _loaded(text: str) -> Iterator[Any]:
    """The documents of a text. JSON is read as such: YAML takes its escapes of large characters apart."""
    if text.lstrip()[:1] in ("[", "{"):
        with suppress(json.JSONDecodeError):
            yield json.loads(text)
            return
    yield from yaml.load_all(text, Loader=_Loader)  # a safe loader that knows no times


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(MOST_BYTES + 1)


class _Loader(yaml.SafeLoader):
    """YAML with the types of JSON: no times, no anchors that would make a small file large."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases, ten lines of which can stand for a billion values, and what nests too deeply."""
        at: Any = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not taken; write it out", at)
        if self._depth == MOST_LEVELS:
            raise yaml.composer.ComposerError(
                None, None, f"it nests too deeply, more than {MOST_LEVELS} levels", at
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _of_kind(given: Any, where: str) -> tuple[str, Mapping[str, Any]]:
    kinds = ", ".join(KINDS)
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise Failure(f"{where}: a document is a mapping with kind ({kinds}), key, and so on.")
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise Failure(f"{where}: kind is {kind!r}; it is one of {kinds}.")
    return kind, {name: value for name, value in given.items() if name != "kind"}
