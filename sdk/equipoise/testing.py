"""For the tests of applications: a client without a service, whose flags a test sets and whose log it reads.

`FakeClient` is a `Client`, so that it goes wherever one goes. With pytest, the fixture `equipoise_client`
gives each test one; a fixture `equipoise_configuration` of your own says what it begins with.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from equipoise import _reading as read
from equipoise._client import Client
from equipoise._definitions import DEFAULT_UNIT_TYPE, Flag
from equipoise._items import Item
from equipoise._offline import Offline, read_configuration
from equipoise._snapshot import View
from equipoise.assignment import Assignment, Reason
from equipoise.configuration import SCHEMA, Configuration

if TYPE_CHECKING:
    from equipoise._exposures import Arm
    from equipoise.sticky import StickyStore

__all__ = ["FakeClient", "RecordedEvent", "RecordedExposure"]

_UNSET: Final[Any] = object()
_EMPTY: Final = {
    "schema": SCHEMA,
    "project": "tests",
    "environment": "tests",
    "version": 1,
    "flags": {},
    "experiments": {},
}
_OVERRIDE: Final = "override"


class RecordedExposure(NamedTuple):
    """An exposure as it would have been sent.

    Attributes:
        unit: the id that was randomised.
        experiment: the experiment's key.
        variant: the variant that the unit met.
        revision: the revision that assigned the unit.
        unit_type: what the unit is.
    """

    unit: str
    experiment: str
    variant: str
    revision: int
    unit_type: str


class RecordedEvent(NamedTuple):
    """An event as it would have been sent.

    Attributes:
        name: the event's name.
        unit: the unit's id.
        value: the value; None without one.
        properties: the properties; empty without any.
        unit_type: what the unit is.
        time: when it happened, RFC 3339 in UTC.
    """

    name: str
    unit: str
    value: float | None
    properties: Mapping[str, Any]
    unit_type: str
    time: str


class FakeClient(Client):
    """A client for tests: offline, with flags that a test overrides, recording what would have been sent.

    What a real client refuses (an event without a name, a value that is not finite, …) is not recorded, and
    counted in `counters` as a real one does. Exposures are recorded once per unit, as they are sent.

    Args:
        configuration: a configuration document, or the path of one; without one there are no flags but those
            that are overridden.
        sticky: as for `Client`.

    Attributes:
        exposures: what was exposed, in order.
        events: what was tracked, in order.

    Raises:
        OSError: the file cannot be read.
        ConfigurationError: it is no configuration; the error names the place.

    Example:
        >>> client = FakeClient()
        >>> with client.override("new-search", value=True):
        ...     client.boolean("new-search", "user-1", False).value
        True
        >>> client.boolean("new-search", "user-1", False).value
        False
        >>> client.track("searched", "user-1")
        >>> [event.name for event in client.events]
        ['searched']
    """

    exposures: list[RecordedExposure]
    events: list[RecordedEvent]

    def __init__(
        self,
        configuration: str | PathLike[str] | Mapping[str, Any] | None = None,
        *,
        sticky: "StickyStore | None" = None,
    ) -> None:
        self._base = read_configuration(_EMPTY if configuration is None else configuration)
        recorder = _Recorder(self._base)
        self.exposures = recorder.exposed
        self.events = recorder.tracked
        self._forced: dict[str, tuple[Flag, Assignment[Any]]] = {}
        self._begin_offline(recorder, sticky)

    @contextmanager
    def override(self, flag: str, variant: str | None = None, *, value: Any = _UNSET) -> Iterator[None]:
        """Give every unit one variant, or one value, of a flag, within a `with` block.

        Overriding by a variant is as if the flag's experiment had drawn it: exposures are recorded. A value
        may be one that no variant has, and of a flag that does not exist. Blocks nest; the inner one holds.

        Args:
            flag: the flag's key.
            variant: a variant of the flag, or
            value: what evaluation gives, of the flag's type. Exactly one of the two.

        Raises:
            ValueError: there is no such flag or variant, or the value is not of the flag's type.
        """
        if (variant is None) == (value is _UNSET):
            raise ValueError("override: give either a variant or a value")
        before = self._forced
        forced = self._by_value(flag, value) if variant is None else self._by_variant(flag, variant)
        self._force({**before, flag: forced})
        try:
            yield
        finally:
            self._force(before)

    def _by_variant(self, key: str, variant: str) -> tuple[Flag, Assignment[Any]]:
        flag = self._base.flags.get(key)
        if flag is None:
            raise ValueError(f"override: the configuration has no flag {key!r}; override it by a value")
        if variant not in flag.variants:
            raise ValueError(
                f"override: {key!r} has no variant {variant!r}; it has {', '.join(flag.variants)}"
            )
        value = flag.variants[variant]
        for rule in flag.rules:
            experiment = self._base.experiments[rule.experiment] if rule.experiment else None
            if experiment is not None and variant in experiment.variants:
                return flag, Assignment(
                    key, experiment.key, variant, value, Reason.SPLIT, experiment.revision or 1
                )
        return flag, Assignment(key, None, variant, value, Reason.TARGETING_MATCH, None)

    def _by_value(self, key: str, value: Any) -> tuple[Flag, Assignment[Any]]:
        flag = self._base.flags.get(key)
        if flag is None:
            flag = Flag(key, _type_of(value), DEFAULT_UNIT_TYPE, True, {_OVERRIDE: value}, _OVERRIDE, (), ())
        exact = read.value_of_type(value, flag.type, f"override of {key!r}")
        variant = next((name for name, each in flag.variants.items() if each == exact), _OVERRIDE)
        return flag, Assignment(key, None, variant, exact, Reason.TARGETING_MATCH, None)

    def _force(self, forced: dict[str, tuple[Flag, Assignment[Any]]]) -> None:
        base = self._base
        flags = {**base.flags, **{key: flag for key, (flag, _) in forced.items()}}
        configuration = Configuration(
            base.project,
            base.environment,
            base.version,
            base.segments,
            base.holdouts,
            flags,
            base.experiments,
        )
        view = View(configuration, self._worker.exposures)
        for key, (_, assignment) in forced.items():
            view.serve(key, _always(assignment))
        self._forced = forced
        self._snapshot.view = view


class _Recorder(Offline):
    """Records what a worker would send."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration, self._meet)
        self.exposed: list[RecordedExposure] = []
        self.tracked: list[RecordedEvent] = []

    def _meet(self, arm: "Arm", unit: str) -> None:
        if arm.enter(unit):
            self.ledger.lose("offline")
            self.exposed.append(
                RecordedExposure(unit, arm.experiment, arm.variant, arm.revision, arm.unit_type)
            )

    def offer(self, item: Item) -> bool:
        sent = json.loads(item.body)
        self.tracked.append(
            RecordedEvent(
                sent["name"],
                sent["unit"],
                sent.get("value"),
                sent.get("properties", {}),
                sent["unit_type"],
                sent["time"],
            )
        )
        return super().offer(item)


def _always(assignment: Assignment[Any]) -> Callable[[str, Any], Assignment[Any]]:
    def plan(unit: str, _: Any) -> Assignment[Any]:
        if not str.encode(unit):
            raise ValueError("the unit is empty")
        return assignment

    return plan


def _type_of(value: Any) -> str:
    for kind, name in ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number")):
        if isinstance(value, kind):
            return name
    return "object"
