"""A readout from a file, or from what its JSON parses to."""

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from equipoise_service.readouts.schemas import Readout

LARGEST_BYTES = 64 << 20


class NotAReadout(ValueError):
    """A document that is no readout, or whose statistics are impossible; the message says where and why."""


def read_document(file: Path) -> Any:
    """What the JSON of a file parses to.

    Raises:
        NotAReadout: The file cannot be read, is too large, or is not JSON.
    """
    try:
        if file.stat().st_size > LARGEST_BYTES:
            raise NotAReadout(f"{file} is larger than {LARGEST_BYTES >> 20} MiB, which no readout is.")
        content = file.read_bytes()
    except OSError as error:
        raise NotAReadout(f"{file} cannot be read: {error.strerror}.") from None
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotAReadout(f"{file} is not JSON: {error}.") from None


def readout_of(document: Any) -> Readout:
    """The readout that a document is.

    Raises:
        NotAReadout: It is none.
    """
    try:
        return Readout.model_validate(document)
    except ValidationError as error:
        places = [f"/{'/'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5]]
        raise NotAReadout(
            f"This is not a readout of schema equipoise.readout/2. {'; '.join(places)}"
        ) from None


def readable(documents: Iterable[Any]) -> list[Readout]:
    """The readouts of looks: those that an earlier release took, in another form, are left out."""
    found = []
    for each in documents:
        with suppress(NotAReadout):
            found.append(readout_of(each))
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
