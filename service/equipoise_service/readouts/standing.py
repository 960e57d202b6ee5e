"""The conclusion of the last look, which stands in newer data: alpha is spent, so nothing new can be shown.

Newer data can still say that a metric is worse, or that they cannot be trusted: that is asked at any moment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from equipoise_service.readouts.advice import Recommendation, Standing, TreatmentRecommendation
from equipoise_stats import DecisionOutcome


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a look concluded.

    Attributes:
        digest: The digest of its readout.
        variant: What it shipped; None for another outcome.
        treatments: What the rule said of each treatment.
    """

    digest: str
    variant: str | None
    treatments: Mapping[str, TreatmentRecommendation]

    def instead_of(self, now: TreatmentRecommendation) -> TreatmentRecommendation:
        """What holds of a treatment: what the look concluded, unless newer data say more than to wait."""
        then = self.treatments.get(now.variant)
        if now.outcome is not DecisionOutcome.KEEP_RUNNING or then is None:
            return now
        return then.model_copy(update={"stands": True})

    def standing(self, number: int, treatments: Iterable[TreatmentRecommendation]) -> Standing | None:
        """What newer data refer to, the look with this number; None where nothing of it stands."""
        if not any(each.stands for each in treatments):
            return None
        return Standing(look=number, readout_digest=self.digest, variant=self.variant)


def concluded_by(readout: Mapping[str, Any]) -> Concluded:
    """What a look concluded, from its readout."""
    found = Recommendation.model_validate(readout["recommendation"])
    return _of(readout["digest"], found.variant, found.treatments)


def concluded_in(found: Recommendation) -> Concluded | None:
    """What the last look concluded, from what a newer readout holds of it."""
    if found.stands is None:
        return None
    standing = [each for each in found.treatments if each.stands]
    return _of(found.stands.readout_digest, found.stands.variant, standing)


def _of(digest: str, variant: str | None, treatments: Iterable[TreatmentRecommendation]) -> Concluded:
    return Concluded(digest, variant, {each.variant: each for each in treatments})
