"""What a progressive rollout serves, as the configuration document has it."""

from typing import Any

from equipoise import BUCKETS
from equipoise_service.rollouts.models import Rollout


def published_rollout(rollout: Rollout) -> dict[str, Any]:
    """What the rule of a progressive rollout serves, and to whom, as the configuration document has it.

    The first buckets, as many as the present step's share, get the new variant; all others the old one.
    """
    share = rollout.steps[rollout.step]["share"]
    ranges = [[rollout.to_variant, 0, share], [rollout.from_variant, share, BUCKETS]]
    served = {
        "rollout": {"salt": rollout.salt, "ranges": [each for each in ranges if each[1] < each[2]]},
    }
    return served if rollout.audience is None else {"audience": rollout.audience, **served}
