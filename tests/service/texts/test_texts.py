"""Every text exists that the code can ask for, and is asked for; and no sentence stands elsewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from equipoise_service import decisions, exports, figures, jobs, power, previews, readouts
from equipoise_service.figures.theme import FONT
from equipoise_service.metrics.schemas import Aggregation, Direction, MetricType, Role
from equipoise_service.readouts.checks import Health
from equipoise_service.readouts.outcomes import Outcome
from equipoise_service.readouts.repeat import Lasting
from equipoise_service.texts.checks import CHECKS
from equipoise_service.texts.plurals import form
from equipoise_service.texts.saying import SUBJECTS, TEXTS
from equipoise_stats import NOTICE_MESSAGES, CheckStatus, DecisionOutcome, NoveltyFinding, ReasonCode, Status

PARTS = (decisions, exports, figures, jobs, power, previews, readouts)
FILES = [path for part in PARTS for path in Path(part.__path__[0]).rglob("*.py")]
FORMS = {form(number) for number in range(100)}

# What is asked for by names that the code puts together.
CHOSEN = (
    {f"reason.{code}" for code in ReasonCode}
    | {f"outcome.{outcome}" for outcome in DecisionOutcome}
    | {f"{group}.{outcome}" for group in ("group", "others", "result", "outcome_of") for outcome in Outcome}
    | {"result.harmed", "result.since", "result.flat_briefly", "group.since"}
    | {f"briefly.{finding}" for finding in NoveltyFinding}
    | {f"until.{end}" for end in ("units", "date", "units_or_date", "open", "final_look")}
    | {f"found.segment_sample_ratio.{which}" for which in ("value", "others", "none")}
    | {f"rests_on.{word}" for word in ("differ", "moved", "not_mature", "skewed")}
    | {f"rests_on.none_{word}" for word in ("differ", "moved", "not_mature", "skewed")}
    | {f"no_effect.{status}" for status in {*Status, "not_finite"} - {Status.OK}}
    | {f"no_result.{status}" for status in set(Status) - {Status.OK}}
    | {f"no_lift.{status}" for status in (Status.UNBOUNDED, Status.NO_VARIANCE)}
    | {f"notice.{code}" for code in NOTICE_MESSAGES}
    | {f"choice.{outcome}" for outcome in (*DecisionOutcome, "open")}
    | {f"type.{each}" for each in MetricType}
    | {f"adjusted.for_{each}" for each in Aggregation}
    | {f"role.{each}" for each in Role}
    | {f"direction.{each}" for each in Direction}
    | {f"figure.bounds.{each}" for each in Direction}
    | {f"status.{each}" for each in CheckStatus}
    | {f"figure.segment.{since}" for since in ("declared", "exploratory", "unknown")}
    | {f"figure.segment.{found}{of}" for found in ("differ", "alike") for of in ("", "_of")}
    | {f"figure.shares_{how}.whose" for how in ("over_time", "by_day")}
    | {f"ages.{finding}{means}" for finding in NoveltyFinding for means in ("", ".means")}
    | {f"repeat.finding.{finding}" for finding in Lasting}
    | {f"report.health.{status}" for status in ("failed", "warning")}
    | {f"report.left_out.{who}.{each}" for who in ("crossovers", "overridden", "bots") for each in FORMS}
)
# What is no text: what is said of the interface, its examples and its errors, what is logged, what is raised.
UNREAD = {
    *("Field", "Path", "Query", "Header", "Depends", "APIRouter", "InvalidPayload"),
    *("exception", "warning", "info"),
}
LEFT_OUT = {"description", "response_description", "summary", "detail", "example"}
WORD = re.compile(r"(?:^|(?<=[ (]))[A-Za-z][A-Za-z'-]+(?=[ ,.:;?!)]|$)")
FEWEST_WORDS = 4
NO_SENTENCES = {FONT}


def literals(node: ast.AST) -> Iterator[str]:
    """The texts in a piece of code, with braces for what is filled in."""
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in UNREAD:
            return
    if isinstance(node, ast.keyword) and node.arg in LEFT_OUT:
        return
    if isinstance(node, ast.Dict):
        named = zip(node.keys, node.values, strict=True)
        node = ast.Tuple([each for key, each in named if getattr(key, "value", None) not in LEFT_OUT])
    if isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from literals(child)


def fields_of(text: str) -> set[str]:
    """What a text names."""
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


@pytest.mark.parametrize(
    "file",
    # Of exports the report is read by people; the page's frame is HTML.
    [path for path in FILES if path.parent.name != "exports" and path.name != "page.py"],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_no_sentence_stands_elsewhere(file: Path) -> None:
    texts = literals(ast.parse(file.read_text()))
    assert {text for text in texts if len(WORD.findall(text)) >= FEWEST_WORDS} - NO_SENTENCES == set()


def test_every_text_that_is_asked_for_exists_and_every_text_is_asked_for() -> None:
    code = "\n".join(path.read_text() for path in FILES)
    strings = set(re.findall(r"[\"']([\w.]+)[\"']", code))
    # The heads of columns and the facts of the report are chosen by their names.
    asked = strings | {f"{start}.{name}" for start in ("column", "report") for name in strings}
    asked |= {f"{key}.{each}" for key in strings for each in FORMS} | CHOSEN
    changes = {key for key in TEXTS if key.startswith("change.")}
    assert TEXTS.keys() - asked - changes - {"list.between", "list.last"} == set()
    assert CHOSEN | set(re.findall(r"\bsay\(\s*[\"']([\w.]+)[\"']", code)) <= TEXTS.keys()
    # A warning never decides, and what was shown is no lack.
    shown = {ReasonCode.QUALITY_WARNING, ReasonCode.SUCCESS_SHOWN, ReasonCode.GUARDRAIL_SHOWN}
    assert changes == {f"change.{code}" for code in set(ReasonCode) - shown} | {"change.shown"}


def test_every_key_is_that_of_one_text() -> None:
    assert len(TEXTS) == sum(len(subject.TEXTS) for subject in SUBJECTS)


def test_a_counted_text_has_every_form() -> None:
    counted = {key.rpartition(".")[0] for key in TEXTS if key.rpartition(".")[2] in FORMS}
    assert counted
    assert {f"{key}.{each}" for key in counted for each in FORMS} <= TEXTS.keys()


def test_every_check_has_a_meaning_causes_and_something_to_do() -> None:
    assert CHECKS.keys() == Health.model_fields.keys()
    assert all(text.title and text.meaning and text.causes and text.action for text in CHECKS.values())


def test_every_field_of_a_text_has_a_name() -> None:
    for text in TEXTS.values():
        assert all(re.fullmatch(r"[a-z_]+", name) for name in fields_of(text))


def test_a_text_about_a_warning_names_only_what_the_warning_has() -> None:
    for code, message in NOTICE_MESSAGES.items():
        assert fields_of(TEXTS[f"notice.{code}"]) <= fields_of(message), code


def test_every_field_of_a_text_is_given_where_it_is_asked_for() -> None:
    checked = 0
    for call in (node for path in FILES for node in ast.walk(ast.parse(path.read_text()))):
        name = getattr(call.func, "id", "") if isinstance(call, ast.Call) else ""
        if not isinstance(call, ast.Call) or name not in ("say", "counted"):
            continue
        given = {word.arg for word in call.keywords} | ({"count"} if name == "counted" else set())
        asked = [str(each.value) for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant)]
        for key in (f"{text}{end}" for text in asked for end in ("", *(f".{each}" for each in FORMS))):
            if key in TEXTS and None not in given:
                assert fields_of(TEXTS[key]) <= given, key
                checked += 1
    assert checked > 100
