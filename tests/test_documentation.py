"""Documentation that must not fall behind the code."""

import re
from pathlib import Path

import pytest

from equipoise_service.errors import PROBLEM_TYPES
from equipoise_service.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"


def table_names(page: str, pattern: str) -> list[str]:
    return re.findall(rf"^\| `({pattern})` \|", (REFERENCE / page).read_text(), re.MULTILINE)


def test_every_setting_is_documented_with_its_default_and_no_other() -> None:
    rows = re.findall(
        rf"^\| `{PREFIX}(\w+)` \| (.+?) \|", (REFERENCE / "settings.md").read_text(), re.MULTILINE
    )
    shown = {name.lower(): default.strip("`") for name, default in rows}
    defaults = {name: str(field.default) for name, field in Settings.model_fields.items()}
    defaults["database_url"] = defaults["event_store_url"] = defaults["cors_origins"] = "empty"
    defaults["unit_key"] = defaults["backup_dir"] = "empty"
    defaults["access_log"] = "false"
    assert shown == defaults


def test_every_problem_type_is_documented_and_no_other() -> None:
    assert sorted(table_names("errors.md", "[a-z-]+")) == sorted(PROBLEM_TYPES)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    missing = [
        target
        for target in targets
        if not target.startswith(("http:", "https:", "mailto:")) and not (page.parent / target).exists()
    ]
    assert missing == []
