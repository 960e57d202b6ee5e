"""What the report begins with: the recommendation, the summary, and whether the data can be believed."""

from collections.abc import Mapping, Sequence

from equipoise_service.exports.markup import Markup, tag
from equipoise_service.exports.report.page import cell, pill, section, table
from equipoise_service.readouts.cells import stand
from equipoise_service.readouts.checks import Check
from equipoise_service.readouts.numerals import to_the_minute
from equipoise_service.readouts.repeat_cells import repeat_heads, repeat_rows
from equipoise_service.readouts.schemas import Readout
from equipoise_service.readouts.verification import Disagreement
from equipoise_service.texts.checks import CHECKS
from equipoise_service.texts.saying import counted, say
from equipoise_stats import CheckStatus, DecisionOutcome

_KINDS: Mapping[DecisionOutcome | None, str] = {
    DecisionOutcome.SHIP: "good",
    DecisionOutcome.DO_NOT_SHIP: "bad",
    DecisionOutcome.INVESTIGATE: "bad",
}
_PILLS = {
    CheckStatus.WARNING: "care",
    CheckStatus.FAILED: "bad",
    CheckStatus.UNAVAILABLE: "",
}
_ORDER = (CheckStatus.FAILED, CheckStatus.WARNING, CheckStatus.UNAVAILABLE)


def heading(readout: Readout, disagreements: Sequence[Disagreement]) -> Markup:
    """Which readout it is, and whether it was edited."""
    units = sum(arm.units for arm in readout.arms)
    facts = [
        *([say("report.revision", revision=readout.revision)] if readout.revision is not None else []),
        say("report.computed", at=to_the_minute(readout.generated_at)),
        counted("units", units),
    ]
    parts = [tag("h1", readout.experiment), tag("p", " · ".join(facts), class_="muted")]
    if disagreements:
        edited = counted("report.edited", len(disagreements), first=disagreements[0].pointer or "/")
        parts.append(tag("p", edited, class_="alarm", role="alert"))
    return tag("header", *parts)


def verdict(readout: Readout) -> Markup:
    """The recommendation and the summary."""
    advice = readout.recommendation
    said = readout.summary.removeprefix(advice.text).strip()
    told = advice.text if advice.outcome or readout.repeat else say("report.no_rule")
    parts = [tag("strong", told), tag("p", said)]
    if advice.would_change:
        changes = tag("ul", *(tag("li", each) for each in advice.would_change))
        parts += [tag("p", f"{say('report.would_change')}:", class_="muted small"), changes]
    fraction = readout.progress.fraction
    if fraction is not None:
        width = f"width:{100 * min(1.0, fraction):.1f}%"
        parts.append(tag("div", tag("div", style=width), class_="bar", aria_hidden="true"))
    parts.append(tag("p", stand(readout), class_="muted small"))
    kind = "bad" if failed(readout) else _KINDS.get(advice.outcome, "")
    return tag("section", *parts, class_=f"verdict {kind}".strip())


def since(readout: Readout) -> list[Markup]:
    """What became of the effects that were decided on, of a readout that asks."""
    if readout.repeat is None:
        return []
    rows = [
        [cell(row.metric), *(cell(*pair) for pair in row.effects), cell(row.finding)]
        for row in repeat_rows(readout.plan.metrics, readout.repeat)
    ]
    return [section(say("repeat.title"), table(repeat_heads(), rows))]


def health(readout: Readout, *figures: Markup) -> Markup:
    """The checks: a row for each that found something, and a sentence for the others."""
    named = [(CHECKS[name].title, check) for name, check in readout.health.all.items()]
    found = sorted(
        ((title, check) for title, check in named if check.status is not CheckStatus.OK),
        key=lambda each: _ORDER.index(each[1].status),
    )
    fine = [f"{title} ({check.number})" for title, check in named if check.status is CheckStatus.OK]
    names = [say(f"column.{name}") for name in ("check", "status", "number", "found")]
    parts = [table(names, [_check(title, check) for title, check in found])] if found else []
    if fine:
        parts.append(tag("p", say("report.health.fine", checks="; ".join(fine)), class_="muted small"))
    counts = {
        name: sum(check.status is status for _, check in named)
        for name, status in (("failed", CheckStatus.FAILED), ("warning", CheckStatus.WARNING))
    }
    said = [say(f"report.health.{name}", count=n, checks=len(named)) for name, n in counts.items() if n]
    return section(
        say("report.health"), tag("p", " ".join(said) or say("report.health.ok")), *parts, *figures
    )


def failed(readout: Readout) -> bool:
    """Whether a check failed, so that nothing may be concluded."""
    return any(check.status is CheckStatus.FAILED for check in readout.health.all.values())


def _check(title: str, check: Check) -> list[Markup]:
    told = " ".join(filter(None, [check.reason, check.action])) or check.meaning
    causes = say("report.causes", causes="; ".join(check.causes)) if check.causes else ""
    return [
        cell(title),
        tag("td", pill(say(f"status.{check.status}"), _PILLS[check.status])),
        cell(check.number),
        cell(told, causes),
    ]
