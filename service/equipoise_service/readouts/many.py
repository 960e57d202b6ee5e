"""The comparisons of all parts of a segment, corrected for how many are shown.

Among twenty parts that are alike one shows a difference by chance at alpha 0.05. So what is detected in a
part is detected among all parts, metrics and treatments of its segment, whatever the plan's correction of its
own family: none of these comparisons was planned to decide anything.
"""

import sys
from collections.abc import Mapping, Sequence

from equipoise_service.plans.documents import Plan
from equipoise_service.readouts import inference
from equipoise_service.readouts.corrections import by_holm
from equipoise_service.readouts.inference import Corrected
from equipoise_service.readouts.pairs import Pair
from equipoise_service.readouts.progress import Moment
from equipoise_stats import Compare

Shown = tuple[str, str, int]
"""A part, a metric, and the place of a treatment."""

Asking = Mapping[Shown, Compare]
"""The inference of each comparison."""


def inferences_of(plan: Plan, moment: Moment, parts: Mapping[str, Mapping[str, Sequence[Pair]]]) -> Asking:
    """The inference of every treatment against the control, in every part.

    Args:
        plan: The plan.
        moment: Where it stands.
        parts: For each part and metric, the pairs of arms.
    """
    return {
        (label, metric, i): inference.remembered(inference.planned(plan, metric, pair.found, moment))
        for label, metrics in parts.items()
        for metric, pairs in metrics.items()
        for i, pair in enumerate(pairs[: len(plan.treatments)])
    }


def corrected_for_all(plan: Plan, moment: Moment, asking: Asking) -> dict[Shown, Corrected]:
    """Corrects comparisons for their number: by Holm, and where there are no p-values by Bonferroni.

    Args:
        plan: The plan.
        moment: Where it stands.
        asking: The inference of each; those without an answer count for nothing.
    """
    if not moment.valid:
        return {}
    answers = {shown: compare(alpha=plan.alpha) for shown, compare in asking.items()}
    answered = [shown for shown, each in answers.items() if each.test.rejected is not None]
    if not inference.concluding(plan, moment):
        return {shown: _by_bonferroni(plan, asking[shown], len(answered)) for shown in answered}
    adjusted = by_holm({shown: answers[shown].test.log_p_value or 0.0 for shown in answered})
    # As the statistics print a p-value: never 0.
    return {shown: _by_p_value(plan, max(p, sys.float_info.min)) for shown, p in adjusted.items()}


def _by_p_value(plan: Plan, p_value: float) -> Corrected:
    return Corrected(p_value, None, p_value <= plan.alpha)


def _by_bonferroni(plan: Plan, compare: Compare, number: int) -> Corrected:
    """By the credible interval at a share of alpha."""
    answer = compare(alpha=plan.alpha / number)
    interval = answer.difference.interval
    ends = None if interval is None else (interval.lower, interval.upper)
    return Corrected(None, ends, answer.test.rejected)
