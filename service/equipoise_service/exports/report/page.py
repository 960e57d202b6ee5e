"""The page around the report: it loads nothing, runs nothing, and fits light, dark and paper."""

import re

from equipoise_service.exports.markup import Markup, tag, together
from equipoise_service.figures.figure import Figure
from equipoise_service.figures.rendering import colour_variables, page_svg
from equipoise_service.figures.theme import BAND, BETTER, FLAT, GRID, INK, MUTED, SURFACE, WORSE
from equipoise_service.texts.saying import say

# Nothing from anywhere, not even from here, but the styles of the page itself.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_WIDTH = re.compile(r'<svg [^>]*?width="([0-9.]+)"')
_NARROWEST = 7 / 12
"""On a narrow page a figure is made so much smaller at most: then its letters, 12 pixels high, are 7."""


def _of(colour: str) -> str:
    return f"var(--c{colour[1:]})"


_STYLE = f"""
:root{{{colour_variables(dark=False)}color-scheme:light dark}}
@media screen and (prefers-color-scheme:dark){{:root{{{colour_variables(dark=True)}}}}}
*{{box-sizing:border-box}}
body{{margin:0 auto;max-width:58rem;padding:2rem 1.25rem 4rem;background:{_of(SURFACE)};color:{_of(INK)};
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}}
h1{{font-size:1.6rem;line-height:1.25;margin:0;overflow-wrap:anywhere}}
h2{{font-size:1.2rem;margin:2.5rem 0 .75rem;padding-top:1rem;border-top:1px solid {_of(GRID)}}}
h3{{font-size:1rem;margin:1.75rem 0 .25rem;overflow-wrap:anywhere}}
p{{margin:.4rem 0}} ul{{margin:.25rem 0;padding-left:1.25rem}} .muted{{color:{_of(MUTED)}}}
.small{{font-size:.875rem}}
.verdict{{margin:1.25rem 0;padding:1rem 1.25rem;border-left:6px solid {_of(FLAT)};background:{_of(BAND)};
border-radius:0 6px 6px 0}}
.verdict strong{{font-size:1.25rem;display:block;margin-bottom:.25rem}}
.verdict.good{{border-color:{_of(BETTER)}}} .verdict.bad,.alarm{{border-color:{_of(WORSE)}}}
.alarm{{border:2px solid {_of(WORSE)};padding:.75rem 1rem;border-radius:6px;margin:1rem 0;font-weight:600}}
.bar{{height:8px;border-radius:4px;background:{_of(GRID)};overflow:hidden;margin:.75rem 0 .25rem}}
.bar div{{height:100%;background:{_of(INK)}}}
.wide{{overflow-x:auto}}
table{{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}}
th,td{{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid {_of(GRID)}}}
th{{font-weight:600;color:{_of(MUTED)};white-space:nowrap}}
td.figure{{text-align:right;white-space:nowrap}} th.figure{{text-align:right}}
td small{{display:block;color:{_of(MUTED)};font-size:.8rem}}
td.name{{overflow-wrap:anywhere;min-width:6rem}}
.pill{{display:inline-block;padding:0 .5rem;border:1.5px solid {_of(FLAT)};border-radius:999px;
font-size:.8rem;white-space:nowrap}}
.pill.good{{border-color:{_of(BETTER)};color:{_of(BETTER)}}}
.pill.bad{{border-color:{_of(WORSE)};color:{_of(WORSE)};font-weight:700}}
.pill.care{{border-style:dashed;border-color:{_of(INK)}}}
figure{{margin:1rem 0;overflow-x:auto}}
figure svg{{display:block;max-width:100%;min-width:var(--least);height:auto}}
dl{{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.25rem;font-size:.9rem;margin:.5rem 0}}
dt{{color:{_of(MUTED)}}} dd{{margin:0;overflow-wrap:anywhere}}
@media (max-width:36rem){{body{{padding:1rem .75rem 2rem}}
dl{{grid-template-columns:1fr}}dd{{margin-bottom:.5rem}}}}
@media print{{body{{max-width:none;padding:0;font-size:11pt}}h2,h3{{break-after:avoid}}
figure,tr,.verdict{{break-inside:avoid}}figure,.wide{{overflow:visible}}
*{{print-color-adjust:exact}}}}
"""


def page(title: str, *parts: Markup) -> str:
    """A whole page.

    Args:
        title: Its title.
        parts: What is on it.
    """
    head = together(
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", title),
        tag("style", Markup(_STYLE)),
    )
    body = tag("body", tag("main", *parts))
    return f"<!doctype html>\n{tag('html', tag('head', head), body, lang=say('language'))}\n"


def drawn(figure: Figure) -> Markup:
    """A figure on the page, with its words for those who do not see it."""
    image = page_svg(figure)
    found = _WIDTH.search(image)
    least = f"--least:{_NARROWEST * float(found[1]):.0f}px" if found else None
    said = f"{figure.title}. {figure.text}"
    return tag("figure", Markup(image), role="img", aria_label=said, style=least)


def section(title: str, *parts: Markup) -> Markup:
    """A part of the page under a heading."""
    return tag("section", tag("h2", title), *parts)


def pill(text: str, kind: str = "") -> Markup:
    """A status, in a word.

    Args:
        text: The word.
        kind: `good`, `bad`, `care` or nothing.
    """
    return tag("span", text, class_=f"pill {kind}".strip())


def table(names: list[str], rows: list[list[Markup]], *, figures: int = 0) -> Markup:
    """A table.

    Args:
        names: The heads of its columns.
        rows: Its cells, made by `cell`.
        figures: From which column on numbers stand; 0 for none.
    """
    kinds = ["figure" if figures and i >= figures else None for i in range(len(names))]
    head = tag(
        "tr", *(tag("th", name, scope="col", class_=kind) for name, kind in zip(names, kinds, strict=True))
    )
    body = [tag("tr", *cells) for cells in rows]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="wide")


def cell(first: str, second: str = "", *, kind: str | None = None) -> Markup:
    """A cell with one line, or with a second, smaller one."""
    return tag("td", first, *([tag("small", second)] if second else []), class_=kind)
