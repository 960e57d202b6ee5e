"""The simulated experiment: what is true, and users who behave by it.

Users' ids are random, so that their assignment is the service's own. How a user behaves is drawn from a seed.
"""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from equipoise import Client, Counters, Reason

EXPERIMENT: Final = "shorter-checkout"
CONTROL: Final = "control"
TREATMENT: Final = "treatment"
PURCHASE: Final = "purchase"
_SEED: Final = "equipoise"

CONVERSION_RATE: Final = {CONTROL: 0.10, TREATMENT: 0.12}
"""The chance that a user of an arm buys."""

SMALLEST_AMOUNT: Final = 20.0
MEAN_EXTRA_AMOUNT: Final = 30.0
"""Somebody who buys spends the smallest amount and an exponential one of this mean beside it."""

_WAITING_MOST: Final = 20_000
_READY_SECONDS: Final = 20.0
_FLUSH_SECONDS: Final = 60.0


def definition() -> dict[str, Any]:
    """The experiment, as it is registered."""
    return {
        "key": EXPERIMENT,
        "name": "Shorter checkout",
        "hypothesis": "A checkout of one page instead of three makes more visitors buy.",
        "variants": [
            {"key": CONTROL, "value": "three-pages", "control": True},
            {"key": TREATMENT, "value": "one-page"},
        ],
        "metrics": [
            {"key": "conversion", "type": "proportion", "event": PURCHASE},
            {"key": "revenue", "type": "mean", "event": PURCHASE},
        ],
    }


def true_value(metric: str, variant: str) -> float:
    """What a metric is for an arm, exactly.

    Example:
        >>> true_value("revenue", "control")
        5.0
    """
    rate = CONVERSION_RATE[variant]
    return rate if metric == "conversion" else rate * (SMALLEST_AMOUNT + MEAN_EXTRA_AMOUNT)


@dataclass(slots=True)
class Observed:
    """What simulated users of one arm did.

    Attributes:
        users: How many there were.
        buyers: How many of them bought.
        amount: What they spent.
    """

    users: int = 0
    buyers: int = 0
    amount: float = 0.0

    def __iadd__(self, other: "Observed") -> "Observed":
        self.users += other.users
        self.buyers += other.buyers
        self.amount += other.amount
        return self


@dataclass(slots=True)
class Report:
    """What one process of the simulation did.

    Attributes:
        observed: What the users of each arm did.
        counters: Where what it logged ended, by the SDK's own account; absent when it did not come so far.
        problem: Why it failed, if it did.
    """

    observed: dict[str, Observed] = field(
        default_factory=lambda: {CONTROL: Observed(), TREATMENT: Observed()}
    )
    counters: dict[str, int] = field(default_factory=dict)
    problem: str | None = None


def simulate(url: str, key: str, users: int, process: int, tell: Callable[[int], None]) -> Report:
    """Let some users meet their variants and act, through the SDK.

    Args:
        url: The service.
        key: A key with the scopes `evaluate` and `ingest`.
        users: How many.
        process: Number of the process; its users behave differently from another's.
        tell: Told how many users are done, now and then.
    """
    behaviour = random.Random(f"{_SEED}-{process}")  # noqa: S311 - a simulation
    report = Report()
    with Client(url, key) as client:
        if not client.wait_ready(_READY_SECONDS):
            report.problem = "The SDK got no configuration from the service."
            return report
        for done in range(1, users + 1):
            problem = _one_user(client, behaviour, report)
            if problem:
                report.problem = problem
                return report
            if done % 200 == 0 or done == users:
                tell(done)
                if client.counters.pending > _WAITING_MOST and client.flush(_FLUSH_SECONDS).pending:
                    report.problem = f"The service did not take all that it was sent in {_FLUSH_SECONDS:g} s."
                    return report
        client.flush(_FLUSH_SECONDS)
        report.counters = _flat(client.counters)
    return report


def _one_user(client: Client, behaviour: random.Random, report: Report) -> str | None:
    user = str(uuid.uuid4())
    assignment = client.variant(EXPERIMENT, user)
    if assignment.reason is not Reason.SPLIT or assignment.variant not in CONVERSION_RATE:
        return f"The SDK assigned {user} with the reason {assignment.reason}, not to a variant."
    chance, extra = behaviour.random(), behaviour.expovariate(1 / MEAN_EXTRA_AMOUNT)
    seen = report.observed[assignment.variant]
    seen.users += 1
    if chance < CONVERSION_RATE[assignment.variant]:
        amount = round(SMALLEST_AMOUNT + extra, 2)
        client.track(PURCHASE, user, value=amount)
        seen.buyers += 1
        seen.amount += amount
    return None


def _flat(counters: Counters) -> dict[str, int]:
    dropped = {f"dropped: {reason}": count for reason, count in counters.dropped.items()}
    return {
        "logged": counters.logged,
        "accepted": counters.accepted,
        "duplicate": counters.duplicate,
        "refused": counters.refused,
        "pending": counters.pending,
        **dropped,
    }
