"""The digests of a readout and of its parts: what was edited is named, also where nothing else gives it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from equipoise_service.canonical import canonical_json, canonical_object

_OWN = ("digest", "digests")

# The part's digest only says where: that anything was edited is said by the whole digest.
_DIGITS = 4


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A readout with the digests of what it says.

    Args:
        document: The readout; digests in it are made anew.
    """
    texts, digests = _texts_and_digests(document)
    whole = canonical_object({**texts, "digests": canonical_json(digests)})
    rest = {name: value for name, value in document.items() if name not in _OWN}
    return {**rest, "digests": digests, "digest": f"sha256:{_sha256(whole)}"}


def digests_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The short digests of a readout's parts, those of a kind in one text, as the readout holds them."""
    return _texts_and_digests(document)[1]


def by_part(document: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """Short digests by the part that they are of; a text as it is where it is of more parts, or fewer."""
    names = {"members": _members(document), "health": sorted(document["health"])}
    of_metrics = _cut(digests["metrics"])
    found: dict[str, Any] = {
        kind: dict(zip(of, _cut(digests[kind]), strict=True))
        if len(of) * _DIGITS == len(digests[kind])
        else digests[kind]
        for kind, of in names.items()
    }
    return {**found, "metrics": of_metrics}


def _texts_and_digests(document: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    # Every part is written once: to write takes longer than all the rest.
    health = {name: canonical_json(document["health"][name]) for name in sorted(document["health"])}
    metrics = [canonical_json(each) for each in document["metrics"]]
    written = {"health": canonical_object(health), "metrics": f"[{','.join(metrics)}]"}
    texts = {
        name: written[name] if name in written else canonical_json(document[name])
        for name in _members(document)
    }
    return texts, {
        "members": _short(texts.values()),
        "health": _short(health.values()),
        "metrics": _short(metrics),
    }


def _members(document: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in document if name not in _OWN)


def _short(texts: Iterable[str]) -> str:
    return "".join(_sha256(text)[:_DIGITS] for text in texts)


def _cut(digests: str) -> Sequence[str]:
    return [digests[i : i + _DIGITS] for i in range(0, len(digests), _DIGITS)]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
