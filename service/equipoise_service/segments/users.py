"""What refers to a segment."""

from collections.abc import Iterator

from sqlmodel import Session

from equipoise_service.flags import repository as flags
from equipoise_service.rollouts import repository as rollouts
from equipoise_service.segments import repository
from equipoise_service.segments.references import referred


def users_of(session: Session, project_id: int, key: str) -> list[str]:
    """Everything in a project that refers to a segment, in words, in any environment."""
    return list(dict.fromkeys(_users(session, project_id, key)))


def _users(session: Session, project_id: int, key: str) -> Iterator[str]:
    for segment in repository.segments(session, project_id):
        if segment.condition is not None and key in referred(segment.condition):
            yield f"the segment {segment.key}"
    for flag, state, environment in flags.states_of_project(session, project_id):
        for rule in state.rules:
            if "audience" in rule and key in referred(rule["audience"]):
                yield f"the flag {flag.key} in {environment}"
    for flag_key, rollout, environment in rollouts.live_of_project(session, project_id):
        if rollout.audience is not None and key in referred(rollout.audience):
            yield f"the rollout {rollout.key} of the flag {flag_key} in {environment}"
    for experiment, audience in repository.audiences_of_experiments(session, project_id):
        if key in referred(audience):
            yield f"the experiment {experiment}"
