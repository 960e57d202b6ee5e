"""Publication: the definitions of an environment become one immutable, versioned document.

It runs at the end of every write transaction, inside it, so that definitions and document never disagree.
A document that says the same as the one before is not published again.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlmodel import Session

from equipoise.configuration import SCHEMA, load
from equipoise_service.accounts import repository as accounts
from equipoise_service.evaluation import repository
from equipoise_service.evaluation.models import PublishedConfiguration
from equipoise_service.experiments import repository as experiments
from equipoise_service.experiments.lifecycle import Status
from equipoise_service.experiments.models import Experiment, Revision, Run
from equipoise_service.flags import repository as flags
from equipoise_service.flags.models import Flag
from equipoise_service.layers import repository as layers

KEPT_VERSIONS = 100
"""Published versions that are kept of an environment; the oldest are dropped."""


def publish(session: Session) -> None:
    """Publish the configuration of every environment where it differs from the present one.

    Raises:
        ConfigurationError: A document would be unreadable. That is a defect, and nothing may be stored: no
            process could take up any later change, nor start again.
    """
    for environment, project in accounts.environments(session):
        if environment.id is None or project.id is None:
            continue
        content = _content(session, project.id, environment.id)
        digest = hashlib.sha256(msgspec.json.encode(content)).hexdigest()
        before = repository.latest(session, environment.id)
        if before is not None and before.content_digest == digest:
            continue
        version = before.version + 1 if before else 1
        document = {
            "schema": SCHEMA,
            "project": project.key,
            "environment": environment.key,
            "version": version,
            **content,
        }
        encoded = msgspec.json.encode(document)
        load(encoded)
        session.add(
            PublishedConfiguration(
                environment_id=environment.id,
                version=version,
                content_digest=digest,
                document=encoded,
                published_at=datetime.now(UTC),
            )
        )
        repository.forget(session, environment.id, before_version=version - KEPT_VERSIONS)
    session.flush()


def _content(session: Session, project_id: int, environment_id: int) -> dict[str, Any]:
    runs = {run.experiment_id: run for run in experiments.runs_of_environment(session, environment_id)}
    latest = experiments.latest_revisions(session, environment_id)
    by_flag: dict[int, Experiment] = {}
    for experiment in experiments.experiments(session, project_id):
        run = runs.get(experiment.id or 0)
        if run is None or run.status != Status.ARCHIVED:
            by_flag[experiment.flag_id] = experiment
    salts = layers.salts(session, project_id)
    shown = [flag for flag in flags.flags(session, project_id) if flag.id in by_flag]
    return {
        "flags": {flag.key: _flag(flag, by_flag[flag.id or 0]) for flag in shown},
        "experiments": {
            by_flag[flag.id or 0].key: _experiment(by_flag[flag.id or 0], flag, runs, latest, salts)
            for flag in shown
        },
    }


def _flag(flag: Flag, experiment: Experiment) -> dict[str, Any]:
    return {
        "type": flag.type,
        "variants": flag.values,
        "default": flag.default_variant,
        "rules": [{"experiment": experiment.key}],
    }


def _experiment(
    experiment: Experiment,
    flag: Flag,
    runs: Mapping[int, Run],
    latest: Mapping[int, Revision],
    salts: Mapping[int, str],
) -> dict[str, Any]:
    run = runs.get(experiment.id or 0)
    revision = latest.get(run.id or 0) if run else None
    return {
        "status": run.status if run else Status.DRAFT,
        "unit_type": experiment.unit_type,
        "flag": flag.key,
        # The flag still knows variants that were taken out, and so do the exposures that still arrive.
        "variants": list(flag.values),
        "control": flag.default_variant,
        "layer_salt": salts[experiment.layer_id],
        "slots": revision.slots if revision else [],
        "revision": revision.number if revision else None,
        "salt": revision.salt if revision else None,
        "ranges": revision.ranges if revision else [],
    }
