"""What the tests of planning share."""

from typing import Any

from hypothesis import strategies as st
from scipy import stats

import equipoise_stats as es

NORMAL = es.Outcome("x", 10.0, 4.0)
SHARES = st.floats(0.05, 0.95)
POWERS = st.floats(0.3, 0.99)
Z = stats.norm.isf


def planned(outcome: es.Outcome, effect: float, **more: Any) -> es.PlannedTest:
    return es.PlannedTest(outcome, effect, **more)
