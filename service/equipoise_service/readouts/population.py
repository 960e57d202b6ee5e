"""Who a plan counts, as an analysis is asked for it."""

from equipoise_service.analysis.requests import Bots, Identity, Segment
from equipoise_service.plans.documents import Plan


def asked_segments(plan: Plan) -> tuple[Segment, ...]:
    """The segments of a plan."""
    return tuple(Segment(each.key, each.event, each.property) for each in plan.segments)


def asked_bots(plan: Plan) -> Bots | None:
    """What makes a unit a bot; None without a rule."""
    rule = plan.bots
    return None if rule is None else Bots(rule.most_events, rule.event, rule.filters)


def asked_identity(plan: Plan) -> Identity | None:
    """What makes an anonymous unit one of those that are randomised; None without a rule."""
    rule = plan.identity
    if rule is None:
        return None
    return Identity(rule.anonymous, plan.unit_type, rule.event, rule.property, rule.conflicts)
