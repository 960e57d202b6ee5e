"""What refers to a segment."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlmodel import Session

from equipoise_service.flags import repository as flags
from equipoise_service.rollouts import repository as rollouts
from equipoise_service.segments import repository
from equipoise_service.segments.references import referred


def users_of(session: Session, project_id: int, key: str) -> list[str]:
    """Everything in a project that refers to a segment, in words, in any environment."""
    names = [
        f"the segment {segment.key}"
        for segment in repository.segments(session, project_id)
        if segment.condition is not None and key in referred(segment.condition)
    ]
    names += [name for name, audience in audiences(session, project_id) if key in referred(audience)]
    return list(dict.fromkeys(names))


def audiences(session: Session, project_id: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every audience in a project, in any environment, with what it is the audience of, in words."""
    for flag, state, environment in flags.states_of_project(session, project_id):
        for rule in state.rules:
            if "audience" in rule:
                yield f"the flag {flag.key} in {environment}", rule["audience"]
    for flag_key, rollout, environment in rollouts.live_of_project(session, project_id):
        if rollout.audience is not None:
            yield f"the rollout {rollout.key} of the flag {flag_key} in {environment}", rollout.audience
    for experiment, audience in repository.audiences_of_experiments(session, project_id):
        yield f"the experiment {experiment}", audience
