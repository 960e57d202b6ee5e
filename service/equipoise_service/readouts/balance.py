"""The check of the pre-period: whether the arms were alike before they met a variant.

At the end it is one test of all covariates together, which sees most. Before, people look every hour, and one
test in a thousand at each of them would become one experiment in a hundred: there each covariate has its
confidence sequence, which holds at all moments together.
"""

from collections.abc import Iterator, Sequence

from equipoise_service.plans.documents import Plan
from equipoise_service.readouts.checks import Balance
from equipoise_service.readouts.found import CHECK_ALPHA, about
from equipoise_service.readouts.inference import monitoring
from equipoise_service.readouts.numerals import p_value
from equipoise_service.texts.saying import say
from equipoise_stats import CheckStatus, Moments, bonferroni, mean_difference, pre_exposure_balance

Arms = tuple[Moments, Moments]
"""The moments of a treatment and of the control."""


def balance(plan: Plan, compared: Sequence[Arms], *, complete: bool) -> Balance | None:
    """Whether the arms were alike; None where no metric has a pre-period.

    Args:
        plan: The plan.
        compared: Of each metric and treatment.
        complete: Whether the planned end is reached.
    """
    asked = [arms for arms in compared if _covariates(arms)]
    if not asked:
        return None
    p_values = [_at_the_end(arms) for arms in asked] if complete else list(_at_any_moment(plan, asked))
    known = [p for p in p_values if p is not None]
    if not known:
        unknown = say("found.no_balance")
        nothing = about("pre_exposure_balance", CheckStatus.UNAVAILABLE, say("rests_on.no_p"), unknown)
        return Balance(**nothing, p_value=None)
    smallest = float(min(bonferroni(known)))
    failed = smallest <= CHECK_ALPHA
    reason = say("found.balance") if failed else None
    status = CheckStatus.FAILED if failed else CheckStatus.OK
    number = say("rests_on.p", p=p_value(smallest))
    return Balance(**about("pre_exposure_balance", status, number, reason), p_value=smallest)


def _covariates(arms: Arms) -> list[str]:
    return [column for column in arms[0].columns if column.endswith("_before")]


def _at_the_end(arms: Arms) -> float | None:
    treatment, control = arms
    return pre_exposure_balance(
        treatment=treatment, control=control, columns=_covariates(arms), alpha=CHECK_ALPHA
    ).p_value


def _at_any_moment(plan: Plan, compared: Sequence[Arms]) -> Iterator[float | None]:
    """A p-value for each covariate; the confidence sequence does not know how they go together."""
    for arms in compared:
        treatment, control = arms
        for column in _covariates(arms):
            found = mean_difference(treatment=treatment, control=control, column=column)
            yield monitoring(plan, found)(alpha=CHECK_ALPHA).test.p_value
