"""What an earlier readout found for good, which stands in newer data.

A bound that was crossed at a look stays crossed, and what a confidence sequence excluded stays excluded: both
hold the error over all moments together. After the last look all of its conclusion stands, with what is asked
at the end only: alpha is spent, so nothing new can be shown. Newer data can still say that a metric is worse,
or that they cannot be trusted: that is asked at any moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equipoise_service.plans.documents import Plan
from equipoise_service.plans.looks import LOOKED_AT
from equipoise_service.plans.schemas import Method
from equipoise_service.readouts.advice import Recommendation, Standing, TreatmentRecommendation
from equipoise_service.readouts.checks import Health
from equipoise_service.readouts.differing import MetricHeterogeneity, PartEffect
from equipoise_service.readouts.reading import readable
from equipoise_service.readouts.recorded import Deviation, SourceRead
from equipoise_service.readouts.schemas import Readout, SegmentResult
from equipoise_service.readouts.wording import wording
from equipoise_service.texts.saying import say
from equipoise_stats import DecisionOutcome, ReasonCode

_OVERRIDES = (ReasonCode.QUALITY_FAILED, ReasonCode.DETERIORATED)
# What the rule ships by: where it is changed, what it found before is found no more.
_DECISIVE = ("method", "variants", "metrics", "alpha", "deterioration_alpha", "multiplicity", "prior")


@dataclass(frozen=True, slots=True)
class Concluded:
    """What a readout concluded for good.

    Attributes:
        standing: Which readout it is.
        final: Whether it is that of the last look, of which everything stands; of others what they shipped.
        treatments: What stands of each treatment.
        readout: The readout; None where a readout from before it was held refers to it.
        document: The readout as it was stored.
    """

    standing: Standing
    final: bool
    treatments: Mapping[str, TreatmentRecommendation]
    readout: Readout | None = None
    document: Mapping[str, Any] | None = None

    @property
    def once(self) -> bool:
        """Whether it is the one analysis of a plan, of which no look has to be named by its number."""
        return self.readout is not None and self.readout.plan.method is Method.FIXED_HORIZON

    def told(self, text: str) -> str:
        """A text, with what found it: something that is asked at the end only."""
        if self.once:
            return say("segments.analysis_stands", text=text)
        return say("segments.stands", text=text, number=self.standing.look)

    def instead_of(self, now: TreatmentRecommendation) -> TreatmentRecommendation:
        """What holds of a treatment: what was concluded, unless newer data say that it is worse, or broken.

        What they find themselves needs nothing that was found before.
        """
        then = self.treatments.get(now.variant)
        if then is None or overrides(now) or now.outcome is DecisionOutcome.SHIP:
            return now
        return then.model_copy(update={"stands": True})

    def is_found_anew(self, treatments: Iterable[TreatmentRecommendation]) -> bool:
        """Whether newer data found all of it again, so that nothing has to be referred to."""
        ships = [each for each in treatments if each.outcome is DecisionOutcome.SHIP]
        return (
            not self.final and {each.variant for each in ships if not each.stands} >= self.treatments.keys()
        )

    def segment(self, now: SegmentResult) -> SegmentResult:
        """The segment with what the last look found of it, which is asked once."""
        if not self.final or self.readout is None:
            return now
        then = next((each for each in self.readout.segments if each.segment == now.segment), None)
        if then is None:
            return now
        return now.model_copy(
            update={
                "look": self.standing.look,
                "text": self.told(then.text),
                "heterogeneity": [_in_order_of(now, each) for each in then.heterogeneity],
            }
        )

    def health(self, now: Health) -> Health:
        """The checks, with what the last look found of other experiments, which is asked once."""
        then = self.readout.health.interactions if self.final and self.readout is not None else None
        if then is None:
            return now
        number, reason = self.standing.look, then.reason
        told = {
            "look": number,
            "number": say("found.interactions.analysis_stands", text=then.number)
            if self.once
            else say("found.interactions.stands", text=then.number, number=number),
            "reason": reason and self.told(reason),
        }
        return now.model_copy(update={"interactions": then.model_copy(update=told)})


def overrides(found: TreatmentRecommendation) -> bool:
    """Whether newer data say that a treatment is worse, or that they cannot be trusted."""
    return any(reason.decisive and reason.code in _OVERRIDES for reason in found.reasons)


def concluded_by(readout: Mapping[str, Any]) -> Concluded | None:
    """What stands in data that are newer than a readout: what it concluded, or else what stands in it.

    Args:
        readout: That of the last look; of a plan without looks, the one before.
    """
    for found in readable([readout]):
        if is_final(found) or _ships(found, anew=True):
            return _of(found, readout)
    return concluded_before(readout)


def concluded_before(readout: Mapping[str, Any]) -> Concluded | None:
    """What stands in a readout itself."""
    document = readout.get("stands_on")
    if document is None:
        return None
    return next((_of(found, document) for found in readable([document])), None)


def concluded_in(readout: Readout) -> Concluded | None:
    """What stands in a readout that is recomputed; None where what it holds cannot stand in it."""
    if readout.stands_on is None:
        # Those that are written here hold what they refer to.
        return None if readout.wording == wording() else _referred_to(readout.recommendation)
    found = concluded_before({"stands_on": readout.stands_on})
    if found is None or not _is_before(found, readout) or not asks_the_same(readout.plan, found):
        return None
    return found if reads_the_same(readout.sources or (), readout.deviations, found) else None


def is_final(readout: Readout) -> bool:
    """Whether a readout is that of a last look."""
    return readout.progress.look is not None and readout.progress.complete


def asks_the_same(plan: Plan, concluded: Concluded) -> bool:
    """Whether a plan still ships by the rule that something was concluded by.

    The last look's conclusion is that of the plan of its time: nothing can be asked after it.
    """
    then = concluded.readout
    return concluded.final or then is None or _rule(plan) == _rule(then.plan)


def reads_the_same(
    sources: Sequence[SourceRead], deviations: Iterable[Deviation], concluded: Concluded
) -> bool:
    """Whether sources are still defined as they were when something was concluded.

    The last look's conclusion is that of the definitions of its time.

    Args:
        sources: The definitions that are read; empty where that is not known.
        deviations: What was changed since the lock.
        concluded: What was concluded.
    """
    then = concluded.readout
    if concluded.final or then is None:
        return True
    if then.sources is None:
        # Before readouts said it, no change was on record.
        return not any(each.redefined for each in deviations)
    return list(sources) == then.sources


def _rule(plan: Plan) -> dict[str, Any]:
    return plan.model_dump(mode="json", include=set(_DECISIVE))


def _is_before(concluded: Concluded, now: Readout) -> bool:
    """Whether what was concluded is that of an earlier readout of the same revision."""
    then = concluded.readout
    if then is None or (then.experiment, then.revision) != (now.experiment, now.revision):
        return False
    if now.plan.method in LOOKED_AT:
        number = len(then.looks)
        return then.progress.look == number != now.progress.look and now.looks[:number] == then.looks
    return now.plan.method is Method.CONFIDENCE_SEQUENCE and then.generated_at < now.generated_at


def _ships(readout: Readout, *, anew: bool) -> Sequence[TreatmentRecommendation]:
    """The treatments that a readout ships for good; with `anew` only if it found one of them itself."""
    if readout.plan.method not in (Method.GROUP_SEQUENTIAL, Method.CONFIDENCE_SEQUENCE):
        return ()
    ships = [each for each in readout.recommendation.treatments if each.outcome is DecisionOutcome.SHIP]
    return () if anew and all(each.stands for each in ships) else ships


def _of(found: Readout, document: Mapping[str, Any]) -> Concluded:
    final = is_final(found)
    stands = found.recommendation.treatments if final else _ships(found, anew=False)
    return Concluded(
        Standing(
            look=found.progress.look,
            at=found.generated_at,
            readout_digest=found.digest,
            variant=found.recommendation.variant,
        ),
        final,
        {each.variant: each for each in stands},
        found,
        document,
    )


def _referred_to(found: Recommendation) -> Concluded | None:
    """What a readout from before `stands_on` holds of the last look's conclusion."""
    if found.stands is None:
        return None
    return Concluded(found.stands, True, {each.variant: each for each in found.treatments if each.stands})


def _in_order_of(now: SegmentResult, then: MetricHeterogeneity) -> MetricHeterogeneity:
    """An answer with its values in the order of the newer ones; of one that is new nothing is known."""
    known = {(part.value, part.others): part for part in then.parts}
    parts = [
        known.get(
            (part.value, part.others),
            PartEffect(
                value=part.value,
                others=part.others,
                deviation=None,
                p_value=None,
                differs=None,
                best_guess=None,
            ),
        )
        for part in now.parts
    ]
    return then.model_copy(update={"parts": parts})
