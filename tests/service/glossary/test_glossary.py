"""The glossary: one source, served and documented, that explains the words of summaries and checks."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from equipoise_service.texts.checks import CHECKS
from equipoise_service.texts.glossary import TERMS
from equipoise_service.texts.saying import TEXTS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "glossary.md"
FORMS = {form for term in TERMS for form in (term.name.lower(), *term.forms)}

# The words of the trade, by their stems: where a text uses one, somebody has to ask what it means.
JARGON = (
    r"alpha|anonymous|arms?|assignments?|bots?|confidence|control|corrected|credible|crossovers?|CUPED|"
    r"denominators?|deviations?|exploratory|exposures?|exposed|funnels?|guardrails?|harm|horizon|immature|"
    r"intervals?|lifts?|looks?|margins?|mature|maturity|metrics?|p-values?|plan|posterior|power|"
    r"pre-period|prior|quantiles?|randomi[sz]ation|ratios?|revisions?|sample|segments?|skew(?:ed|ness)|"
    r"spent|spends|success metrics?|treatments?|underpowered|units?|variants?|windows?|[Ww]insori[sz]ed?"
)


def texts() -> dict[str, str]:
    """Everything that summaries and checks say, without the places that are filled in."""
    found = dict(TEXTS)
    for name, check in CHECKS.items():
        found[f"check.{name}"] = " ".join((check.title, check.meaning, *check.causes, check.action))
    return {name: re.sub(r"\{[^}]*\}", " ", text) for name, text in found.items()}


def explains(word: str) -> bool:
    """Whether a term is the word, or begins or ends with it."""
    return any(re.search(rf"(?:^|\s){re.escape(word)}(?:$|\s)", form) for form in FORMS)


def test_every_word_of_the_trade_in_summaries_and_checks_is_in_it() -> None:
    used = {
        word.lower(): name
        for name, text in texts().items()
        for word in re.findall(rf"\b(?:{JARGON})\b", text)
    }
    assert len(used) > 20
    assert {word: name for word, name in used.items() if not explains(word)} == {}


def test_it_is_in_order_and_no_form_means_two_things() -> None:
    names = [term.name for term in TERMS]
    assert names == sorted(names)
    forms = [form for term in TERMS for form in (term.name.lower(), *term.forms)]
    assert sorted(set(forms)) == sorted(forms)
    assert all(form == form.lower() for form in forms)


def test_the_page_says_the_same() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert rows[0] == ("term", "meaning")
    assert rows[1:] == [(term.name, term.meaning) for term in TERMS]


@pytest.mark.parametrize("key", [True, False], ids=["with a key", "without"])
def test_it_is_served_to_who_may_read(client: TestClient, key: bool) -> None:
    answer = client.get("/v1/glossary", headers=None if key else {"Authorization": "Bearer none"})
    if not key:
        assert answer.status_code == 401
        return
    assert answer.json()[0] == {
        "term": TERMS[0].name,
        "meaning": TERMS[0].meaning,
        "forms": list(TERMS[0].forms),
    }
    assert len(answer.json()) == len(TERMS)
