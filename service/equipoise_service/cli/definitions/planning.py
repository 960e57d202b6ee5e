"""What an apply would do: what the files say, held against what the service has."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec

from equipoise_service.cli.definitions.api import Api
from equipoise_service.cli.definitions.files import Definitions
from equipoise_service.cli.definitions.kinds import KINDS, Kind, in_order


class Action(StrEnum):
    """What is done with one definition."""

    CREATE = "create"
    CHANGE = "change"
    RESTORE = "restore"
    UNCHANGED = "unchanged"
    ARCHIVE = "archive"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """One definition and what is done with it.

    Attributes:
        action: What.
        kind: Its kind.
        key: Its key.
        before: What the service has; absent where it has none.
        after: What the file says; absent where it goes.
        etag: Of what the service has.
        used_by: The experiments that use what goes.
        recorded_for: The experiments in whose readouts a change is recorded, with a reason.
    """

    action: Action
    kind: Kind
    key: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    etag: str | None = None
    used_by: tuple[str, ...] = ()
    recorded_for: tuple[str, ...] = ()

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """Field, before and after, as JSON, of what differs."""
        before, after = self.before or {}, self.after or {}
        for name in dict.fromkeys([*before, *after]):
            if not _same(before.get(name), after.get(name)):
                yield name, _shown(before.get(name)), _shown(after.get(name))


def make_steps(api: Api, wanted: Definitions, *, prune: bool) -> list[Step]:
    """The steps from what the service has to what the files say, in the order in which they work.

    Args:
        api: The service.
        wanted: What the files say.
        prune: Whether what is in no file goes; only of the kinds that the files have.
    """
    steps: list[Step] = []
    goes: list[Step] = []
    for name, kind in KINDS.items():
        documents = wanted[name]
        if not documents:
            continue
        there = {body["key"]: body for body in api.all(kind.path)}
        steps += [_step(api, kind, documents[key], there.get(key)) for key in in_order(documents)]
        if prune:
            goes += [
                _going(api, kind, body)
                for key, body in there.items()
                if key not in documents and body.get("archived_at") is None
            ]
    # What refers to others goes first.
    return steps + list(reversed(goes))


def carry_out(api: Api, step: Step, reason: str | None = None) -> None:
    """Do one step.

    Args:
        api: The service.
        step: It.
        reason: Why, for a change that is recorded in readouts.

    Raises:
        Failure: The service refuses, also because somebody changed it meanwhile.
    """
    path = f"{step.kind.path}/{step.key}"
    if step.action is Action.CREATE:
        api.create(step.kind.path, {k: v for k, v in (step.after or {}).items() if _given(step.kind, k, v)})
    elif step.action is Action.RESTORE:
        api.send("POST", f"{path}/restore", etag=step.etag)
        _change(api, step, api.get(path).etag)
    elif step.action is Action.CHANGE:
        _change(api, step, step.etag, reason)
    elif step.action is Action.ARCHIVE:
        # The plan said who uses it, and was agreed to.
        api.send("POST", f"{path}/archive?in_use=true", etag=step.etag)
    elif step.action is Action.DELETE:
        api.send("DELETE", path, etag=step.etag)


def _step(api: Api, kind: Kind, after: dict[str, Any], listed: dict[str, Any] | None) -> Step:
    key = after["key"]
    if listed is None:
        return Step(Action.CREATE, kind, key, after=after)
    archived = listed.get("archived_at") is not None
    before = kind.of_service(api, listed)
    if not archived and _same(before, after):
        return Step(Action.UNCHANGED, kind, key, before, after)
    # Read again with its ETag: what is compared is what the change will be held against.
    entity = api.get(f"{kind.path}/{key}")
    before = kind.of_service(api, entity.body)
    action = Action.RESTORE if archived else Action.UNCHANGED if _same(before, after) else Action.CHANGE
    step = Step(action, kind, key, before, after, entity.etag)
    changed = {name for name, *_ in step.differences()}
    return replace(step, recorded_for=_readers(api, kind, key)) if changed & set(kind.read_by) else step


def _readers(api: Api, kind: Kind, key: str) -> tuple[str, ...]:
    """The started experiments that read it and are not archived, with their environments."""
    uses = api.all(f"{kind.path}/{key}/experiments")
    live = (each for each in uses if each["status"] != "archived")
    return tuple(dict.fromkeys(f"{each['experiment']} in {each['environment']}" for each in live))


def _going(api: Api, kind: Kind, listed: dict[str, Any]) -> Step:
    entity = api.get(f"{kind.path}/{listed['key']}")
    action = Action.ARCHIVE if kind.archived else Action.DELETE
    return Step(
        action,
        kind,
        listed["key"],
        kind.of_service(api, entity.body),
        etag=entity.etag,
        used_by=tuple(entity.body.get("used_by", ())),
    )


def _change(api: Api, step: Step, etag: str | None, reason: str | None = None) -> None:
    changed = {name for name, *_ in step.differences()} - {"key"}
    if changed:
        after = step.after or {}
        body = {name: after[name] for name in sorted(changed)}
        # Also where the plan saw no experiment: one may have started meanwhile.
        if reason is not None and changed & set(step.kind.read_by):
            body["reason"] = reason
        api.send("PATCH", f"{step.kind.path}/{step.key}", body, etag)


def _given(kind: Kind, name: str, value: Any) -> bool:
    return value is not None or kind.model.model_fields[name].is_required()


def _same(one: Any, other: Any) -> bool:
    # Not by ==, to which 1 and true are the same.
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:199]}…"
