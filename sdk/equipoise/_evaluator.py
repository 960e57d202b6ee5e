"""Reading flags: the fast path, and the exposures that go with it."""

from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from equipoise import _sticking
from equipoise.assignment import Assignment, Reason
from equipoise.evaluation import unanswerable

if TYPE_CHECKING:
    from equipoise._offline import Offline
    from equipoise._snapshot import Snapshot, View
    from equipoise._worker import Worker
    from equipoise.explanation import Explanation
    from equipoise.sticky import StickyStore

_SLOW_SECONDS: Final = 0.01
"""A sticky store that fails and took longer to do so is left alone for a while."""

_REST: Final = 10
"""How many times as long as it took to fail."""

_LONGEST_REST_SECONDS: Final = 60.0

Attributes = Mapping[str, Any]
"""What conditions are about: strings, numbers, booleans, or lists of them, by name."""


class Evaluator:
    """The part of a client that reads flags. Nothing here waits for the network, and nothing raises.

    `flag` is a flag's key; an experiment registered without a flag has one of its own key. `unit` is the id
    of a unit of the flag's unit type, hashed as given. `default` is the value when there is no such flag, no
    usable unit or no configuration yet. `attributes` are what audiences are about, and where a rule of
    another unit type finds its id, under that unit type's name.
    """

    _worker: "Worker | Offline"
    _snapshot: "Snapshot"
    _sticky: "StickyStore | None"
    _sticky_rests_until: float = 0.0

    def assign(
        self, flag: str, unit: str, default: Any = None, attributes: Attributes | None = None
    ) -> Assignment[Any]:
        """Return what the unit gets from the flag, and log nothing."""
        try:
            view = self._snapshot.view
            if view.special and flag in view.special:  # type: ignore[union-attr] # None: caught below
                return self._place(view, flag, unit, attributes)  # type: ignore[arg-type] # as above
            return view.plans[flag](unit, attributes)  # type: ignore[union-attr]
        except Exception:
            return self._answer(flag, unit, default, attributes)

    def variant(
        self, flag: str, unit: str, default: Any = None, attributes: Attributes | None = None
    ) -> Assignment[Any]:
        """Return what the unit gets from the flag, and log the exposure where an experiment placed it.

        Call it at the decision point: where the unit is about to meet its variant.
        """
        try:
            return self._snapshot.view.reads[flag](unit, attributes)  # type: ignore[union-attr] # None: caught
        except Exception:
            assignment = self._answer(flag, unit, default, attributes)
            self.expose(assignment, unit, attributes)
            return assignment

    def boolean(
        self, flag: str, unit: str, default: bool, attributes: Attributes | None = None
    ) -> Assignment[bool]:
        """Return what `variant` does from a boolean flag; from any other flag `default`, with `ERROR`."""
        return self._typed("boolean", flag, unit, default, attributes)

    def string(
        self, flag: str, unit: str, default: str, attributes: Attributes | None = None
    ) -> Assignment[str]:
        """Return what `variant` does from a string flag; from any other flag `default`, with `ERROR`."""
        return self._typed("string", flag, unit, default, attributes)

    def integer(
        self, flag: str, unit: str, default: int, attributes: Attributes | None = None
    ) -> Assignment[int]:
        """Return what `variant` does from an integer flag; from any other flag `default`, with `ERROR`."""
        return self._typed("integer", flag, unit, default, attributes)

    def number(
        self, flag: str, unit: str, default: float, attributes: Attributes | None = None
    ) -> Assignment[float]:
        """Return what `variant` does from a number flag; from any other flag `default`, with `ERROR`."""
        return self._typed("number", flag, unit, default, attributes)

    def object(
        self, flag: str, unit: str, default: dict[str, Any], attributes: Attributes | None = None
    ) -> Assignment[dict[str, Any]]:
        """Return what `variant` does from an object flag; from any other flag `default`, with `ERROR`."""
        return self._typed("object", flag, unit, default, attributes)

    def expose(self, assignment: Assignment[Any], unit: str, attributes: Attributes | None = None) -> None:
        """Log that the unit met its variant; for an assignment that came from `assign`.

        An exposure is logged once per unit, variant and revision within an hour, as far as the latest eight
        thousand are remembered. An assignment that no experiment made is ignored.

        Args:
            assignment: what `assign` returned.
            unit: as it was given to `assign`.
            attributes: as they were given to `assign`; needed where the experiment randomises another unit
                type than the flag's, as the exposure is of the id that was randomised.
        """
        if not isinstance(assignment, Assignment):
            self._worker.refuse("invalid", f"expose: expected an Assignment, got {type(assignment).__name__}")
            return
        experiment, variant, revision = assignment.experiment, assignment.variant, assignment.revision
        if assignment.reason is not Reason.SPLIT or experiment is None:
            return
        # Here, where it is the caller's own fault: the exposure is encoded later, in anybody's call.
        if not (isinstance(experiment, str) and isinstance(variant, str) and type(revision) is int):
            self._worker.refuse(
                "invalid", f"expose: this is nothing that assign returns: {assignment!r:.200}"
            )
            return
        view = self._snapshot.view
        known = view.configuration.experiments.get(experiment) if view else None
        if view is None or known is None:
            self._refuse_unknown(experiment)
            return
        randomised = _sticking.randomised_id(view.configuration, known, unit, attributes)
        if not randomised:
            self._worker.refuse(
                "invalid", f"expose: there is no id (a non-empty string) of unit type {known.unit_type!r}"
            )
            return
        self._worker.exposures.arm(known.unit_type, experiment, revision, variant).meet(randomised)

    def explain(self, flag: str, unit: str, attributes: Attributes | None = None) -> "Explanation":
        """Return what the unit gets from the flag and why, rule by rule; for people, and logs nothing.

        It says what the configuration decides; what a sticky store keeps is not looked at.
        """
        from equipoise import explanation

        view = self._snapshot.view or self._begin()
        if view is None:
            problem = "There is no configuration yet."
            return explanation.Explanation(unanswerable(flag, None), unit, problem)
        return explanation.explain(view.configuration, flag, unit, attributes)

    def _typed(
        self, kind: str, flag: str, unit: str, default: Any, attributes: Attributes | None
    ) -> Assignment[Any]:
        try:
            view: View = self._snapshot.view or self._begin()  # type: ignore[assignment] # None: caught below
            declared = view.configuration.flags[flag].type
            if declared != kind:
                self._worker.notices.warning(
                    f"type {kind} {flag:.200}", "The flag %.200s is of type %s, not %s", flag, declared, kind
                )
                return unanswerable(flag, default)
            return view.reads[flag](unit, attributes)
        except Exception:
            assignment = self._answer(flag, unit, default, attributes)
            self.expose(assignment, unit, attributes)
            return assignment

    def _answer(self, flag: str, unit: str, default: Any, attributes: Attributes | None) -> Assignment[Any]:
        """Return what `assign` does, where the fast path could not.

        That is at first, for what is unusable, and for the flags that are special.
        """
        view = self._snapshot.view or self._begin()
        if view is None:
            return unanswerable(flag, default)
        try:
            return self._place(view, flag, unit, attributes)
        except Exception:
            return unanswerable(flag, default)

    def _place(self, view: "View", flag: str, unit: str, attributes: Attributes | None) -> Assignment[Any]:
        """Return what the unit gets, from the sticky store where the flag has a sticky experiment."""
        assignment = view.plans[flag](unit, attributes)
        if self._sticky is None or flag not in view.special:
            return assignment
        begun = monotonic()
        if begun < self._sticky_rests_until:
            return assignment
        try:
            return _sticking.stick(self._sticky, view.configuration, assignment, unit, attributes)
        except Exception as error:
            failed = monotonic()
            if failed - begun > _SLOW_SECONDS:  # of one that is down each caller would wait for the time-out
                self._sticky_rests_until = failed + min(_REST * (failed - begun), _LONGEST_REST_SECONDS)
            self._worker.notices.warning(
                "sticky", "The sticky store failed; units are assigned as if there were none: %r", error
            )
            return assignment

    def _refuse_unknown(self, experiment: str) -> None:
        self._worker.refuse(
            "unknown_experiment",
            f"expose: the configuration has no experiment {experiment!r:.200} any more",
        )

    def _begin(self) -> "View | None":
        """Start what brings configurations; return what there is."""
        return self._worker.start()
