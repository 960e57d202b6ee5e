"""An OpenFeature provider that evaluates locally: `pip install 'equipoise[openfeature]'`.

The evaluation context's targeting key is the unit, its attributes are what audiences are about. An evaluation
that an experiment placed logs an exposure; `OpenFeatureClient.track` logs an event.
"""

# ruff: noqa: ARG002 - the arguments are those of OpenFeature's classes

import logging
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from equipoise._client import Client
from equipoise.assignment import Assignment, Reason

try:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import (
        FlagNotFoundError,
        InvalidContextError,
        ProviderNotReadyError,
        TargetingKeyMissingError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails, FlagValueType
    from openfeature.hook import Hook, HookContext, HookHints
    from openfeature.provider import AbstractProvider, Metadata
    from openfeature.track import TrackingEventDetails
except ImportError as error:
    raise ImportError(
        "equipoise.openfeature needs openfeature-sdk: pip install 'equipoise[openfeature]'"
    ) from error

__all__ = ["EXPOSURE_HINT", "EquipoiseProvider"]

EXPOSURE_HINT: Final = "equipoise.exposure"
"""The hook hint that keeps an evaluation from logging an exposure, where it is False."""

_LOOK_SECONDS: Final = 0.2

_log = logging.getLogger("equipoise")
_suppressed: ContextVar[bool] = ContextVar("equipoise_suppressed", default=False)

_T = TypeVar("_T")


class EquipoiseProvider(AbstractProvider):
    """Evaluates flags with a client, in this process.

    It emits `PROVIDER_CONFIGURATION_CHANGED` when a new configuration is in force, and `PROVIDER_READY` when
    the first one came later than `initialize` waits; not in a child that was forked later. `shutdown` closes
    the client.

    Args:
        client: evaluates, and delivers exposures and events.
        exposures: whether an evaluation logs an exposure. One evaluation does not where the hook hint
            `EXPOSURE_HINT` is False.
        unit_type: what the targeting key of a tracked event is.
        ready_timeout: seconds that `initialize` waits for the first configuration.

    Example:
        >>> from openfeature.evaluation_context import EvaluationContext
        >>> provider = EquipoiseProvider(Client.from_config({
        ...     "schema": "equipoise.config/2", "project": "shop", "environment": "production", "version": 1,
        ...     "flags": {"search": {
        ...         "type": "string", "variants": {"old": "v1"}, "default": "old", "rules": [],
        ...     }},
        ...     "experiments": {},
        ... }))
        >>> details = provider.resolve_string_details("search", "v0", EvaluationContext("user-1"))
        >>> details.value, details.variant, str(details.reason)
        ('v1', 'old', 'STATIC')
    """

    def __init__(
        self, client: Client, *, exposures: bool = True, unit_type: str = "user", ready_timeout: float = 5.0
    ) -> None:
        super().__init__()
        self._client = client
        self._exposures = exposures
        self._unit_type = unit_type
        self._ready_timeout = ready_timeout
        self._ended = threading.Event()
        self._watcher: threading.Thread | None = None

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata("Equipoise")

    def get_provider_hooks(self) -> list[Hook]:
        """Return the hook that reads `EXPOSURE_HINT`."""
        return [_Suppression()] if self._exposures else []

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Wait for the first configuration.

        Raises:
            ProviderNotReadyError: none came in time. The client goes on asking for it.
        """
        is_ready = self._client.wait_ready(self._ready_timeout)
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=self._watch, args=(self._version(),), name="equipoise-openfeature", daemon=True
            )
            self._watcher.start()
        if not is_ready:
            raise ProviderNotReadyError(
                f"no configuration came within {self._ready_timeout:g} seconds; the log equipoise says why"
            )

    def shutdown(self) -> None:
        """Send what is queued, and close the client."""
        self._ended.set()
        if self._watcher is not None and self._watcher is not threading.current_thread():
            self._watcher.join()
        self._client.close()

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Log an event of the unit that the targeting key names. Never raises, never waits."""
        unit = evaluation_context.targeting_key if evaluation_context else None
        if not unit:
            _log.warning(
                "track(%.100r) has no targeting key: nobody did it, so it is not logged", tracking_event_name
            )
            return
        value = tracking_event_details.value if tracking_event_details else None
        properties = tracking_event_details.attributes if tracking_event_details else None
        self._client.track(tracking_event_name, unit, value, properties, unit_type=self._unit_type)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Evaluate a boolean flag."""
        return self._resolve(flag_key, bool, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Evaluate a string flag."""
        return self._resolve(flag_key, str, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Evaluate an integer flag."""
        return self._resolve(flag_key, int, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Evaluate a number flag. An integer flag is another type."""
        return self._resolve(flag_key, float, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Evaluate an object flag."""
        resolved: FlagResolutionDetails[Any] = self._resolve(flag_key, dict, evaluation_context)
        return resolved

    def _resolve(
        self, flag: str, value_type: type[_T], context: EvaluationContext | None
    ) -> FlagResolutionDetails[_T]:
        """Evaluate a flag whose value must be of a type.

        Raises:
            OpenFeatureError: it cannot; OpenFeature gives the caller's default, with the error's code.
        """
        if context is None or not context.targeting_key:
            raise TargetingKeyMissingError("set the evaluation context's targeting_key: the unit's id")
        unit, attributes = context.targeting_key, context.attributes
        assignment = self._client.assign(flag, unit, None, attributes)
        if assignment.reason is Reason.ERROR:
            raise self._problem(flag, unit)
        # Exactly: a bool is an int, too.
        if type(assignment.value) is not value_type:
            raise TypeMismatchError(f"the flag {flag} has values of type {type(assignment.value).__name__}")
        if self._exposures and not _suppressed.get():
            self._client.expose(assignment, unit, attributes)
        return FlagResolutionDetails(
            value=assignment.value,
            variant=assignment.variant,
            reason=str(assignment.reason),
            flag_metadata=_metadata(assignment),
        )

    def _problem(self, flag: str, unit: Any) -> Exception:
        """Return the error for an evaluation that gave none."""
        if not self._client.wait_ready(0.0):
            return ProviderNotReadyError("there is no configuration yet")
        try:
            str.encode(unit)
        except (TypeError, UnicodeEncodeError):
            return InvalidContextError("the targeting_key must be a string that has a UTF-8 form")
        return FlagNotFoundError(f"there is no flag {flag!r:.200}")

    def _version(self) -> int | None:
        view = self._client._snapshot.view
        return view.configuration.version if view else None

    def _watch(self, seen: int | None) -> None:
        """Emit an event for each configuration that is found to be in force."""
        while not self._ended.wait(_LOOK_SECONDS):
            version = self._version()
            if version is None or version == seen:
                continue
            details = ProviderEventDetails(metadata={"version": version})
            if seen is None:
                self.emit_provider_ready(details)
            else:
                self.emit_provider_configuration_changed(details)
            seen = version


def _metadata(assignment: Assignment[Any]) -> dict[str, bool | int | float | str]:
    """Return what OFREP says about an assignment, too."""
    experiment, revision = assignment.experiment, assignment.revision
    if experiment is None or revision is None:
        return {"inExperiment": False}
    return {"inExperiment": True, "experiment": experiment, "revision": revision}


class _Suppression(Hook):
    """Tells the provider of the hint.

    The exposure itself is logged there: a hook is not shown the context that the hooks before it changed,
    so it does not know who was evaluated.
    """

    def before(self, hook_context: HookContext, hints: HookHints) -> None:
        _suppressed.set(hints.get(EXPOSURE_HINT) is False)

    def finally_after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[FlagValueType],
        hints: HookHints,
    ) -> None:
        _suppressed.set(False)
