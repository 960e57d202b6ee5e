"""The kinds of definitions that can be kept in files, and what the service's API has of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from equipoise_service.cli.definitions.api import Api
from equipoise_service.cli.failures import Failure
from equipoise_service.metrics.stored import MetricIn
from equipoise_service.segments.references import referred
from equipoise_service.segments.schemas import SegmentIn
from equipoise_service.sources.schemas import READ_BY, SourceIn

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of definition.

    Attributes:
        name: As documents say it in `kind`.
        path: Where the API has its list.
        model: What the API takes to make one.
        archived: Whether it is archived and not deleted when it has to go.
        read_by: Its fields that say what started experiments read, whose changes their readouts record.
    """

    name: str
    path: str
    model: type[BaseModel]
    archived: bool = False
    read_by: tuple[str, ...] = ()

    def complete(self, document: Document, where: str) -> dict[str, Any]:
        """A document with all its defaults, as JSON.

        Args:
            document: As it was written, without its kind.
            where: What to blame.

        Raises:
            Failure: It is not valid.
        """
        try:
            return self.normal(self.model.model_validate(document).model_dump(mode="json"))
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(str(part) for part in each['loc']) or 'the document'}: {each['msg']}"
                for each in error.errors()[:5]
            )
            raise Failure(f"{where}: {said}.") from None

    def normal(self, document: dict[str, Any]) -> dict[str, Any]:
        """A complete document in the one form that is compared."""
        if document.get("ids") is not None:
            document = {**document, "ids": sorted(set(document["ids"]))}
        if self.name == "segment" and document.get("condition") is not None:
            document = {**document, "attribute": None}
        return document

    def of_service(self, api: Api, body: Document) -> dict[str, Any]:
        """What the service has, as a complete document."""
        known = {name: body[name] for name in self.model.model_fields if name in body}
        if self.name == "segment" and body["condition"] is None:
            return {**known, **api.get(f"{self.path}/{body['key']}/ids").body}
        if self.name == "segment":
            return {**known, "ids": None}
        return known

    def short(self, document: Document) -> dict[str, Any]:
        """A complete document without what is the default anyway."""
        given = {name: value for name, value in document.items() if value is not None}
        return self.model.model_validate(given).model_dump(mode="json", exclude_defaults=True)


KINDS: Mapping[str, Kind] = {
    each.name: each
    for each in (
        Kind("segment", "/v1/segments", SegmentIn),
        Kind("source", "/v1/sources", SourceIn, read_by=READ_BY),
        Kind("metric", "/v1/metrics", MetricIn, archived=True),
    )
}
"""In the order in which they are made: what refers to others comes after them."""


def in_order(documents: Mapping[str, Document]) -> list[str]:
    """The keys of documents, those that others refer to before them."""
    ordered: dict[str, None] = {}

    def add(key: str, above: tuple[str, ...]) -> None:
        if key in ordered or key in above or key not in documents:
            return
        for needed in _needs(documents[key]):
            add(needed, (*above, key))
        ordered[key] = None

    for key in documents:
        add(key, ())
    return list(ordered)


def _needs(document: Document) -> list[str]:
    condition = document.get("condition")
    return list(referred(condition)) if isinstance(condition, dict) else []
