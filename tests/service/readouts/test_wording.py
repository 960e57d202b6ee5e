"""Every text exists that the code can ask for, and is asked for."""

import re
from pathlib import Path
from string import Formatter

from equipoise_service import readouts
from equipoise_service.readouts.checks import Health
from equipoise_service.readouts.summary import Outcome
from equipoise_service.readouts.wording import CHECKS, TEXTS
from equipoise_stats import DecisionOutcome, ReasonCode

CODE = "".join(
    path.read_text() for path in Path(readouts.__file__).parent.glob("*.py") if path.name != "wording.py"
)
COUNTED = {
    f"{key}.{number}" for key in re.findall(r'_counted\(\s*"(\w+)"', CODE) for number in ("one", "many")
}
CHOSEN = (
    {f"reason.{code}" for code in ReasonCode}
    | {f"outcome.{outcome}" for outcome in DecisionOutcome}
    | {f"{group}.{outcome}" for group in ("group", "others") for outcome in Outcome}
    | {f"until.{end}" for end in ("units", "date", "units_or_date", "open", "final_look")}
    | {str(outcome) for outcome in Outcome}
    | {f"found.segment_sample_ratio.{which}" for which in ("value", "others", "none")}
    | {"raises", "lowers", "stand.whole", "stand.open"}
    | COUNTED
)


def test_every_text_that_is_asked_for_exists_and_every_text_is_asked_for() -> None:
    named = set(re.findall(r"say\(\s*[\"']([\w.]+)[\"']", CODE))
    changes = {key for key in TEXTS if key.startswith("change.")}
    assert named | CHOSEN | changes == set(TEXTS)
    # A warning never decides, and what was shown is no lack.
    shown = {ReasonCode.QUALITY_WARNING, ReasonCode.SUCCESS_SHOWN, ReasonCode.GUARDRAIL_SHOWN}
    assert changes == {f"change.{code}" for code in set(ReasonCode) - shown} | {"change.shown"}


def test_every_check_has_a_meaning_causes_and_something_to_do() -> None:
    assert CHECKS.keys() == Health.model_fields.keys()
    assert all(text.title and text.meaning and text.causes and text.action for text in CHECKS.values())


def test_every_field_of_a_text_has_a_name() -> None:
    for text in TEXTS.values():
        assert all(
            name is None or re.fullmatch(r"[a-z_]+", name) for _, name, _, _ in Formatter().parse(text)
        )
