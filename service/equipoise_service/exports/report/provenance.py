"""Where a readout comes from: what a sceptic asks."""

from collections.abc import Iterator

from equipoise_service.exports.markup import Markup, tag
from equipoise_service.exports.report.page import section
from equipoise_service.readouts.numerals import percent, to_the_minute
from equipoise_service.readouts.schemas import Readout
from equipoise_service.texts.saying import counted, say


def provenance(readout: Readout, *, agrees: bool) -> Markup:
    """The plan, what was left out, and the digests."""
    facts = [
        part
        for name, value in _facts(readout)
        if value
        for part in (tag("dt", say(f"report.{name}")), tag("dd", value))
    ]
    notes = [say("report.provenance.verify"), *([say("report.recomputed")] if agrees else [])]
    return section(say("report.provenance"), *(tag("p", note) for note in notes), tag("dl", *facts))


def _facts(readout: Readout) -> Iterator[tuple[str, str]]:
    plan = readout.plan
    yield "experiment", readout.experiment
    yield "started", _time(readout.started_at)
    yield "ended", _time(readout.ended_at)
    yield "watermark", _time(readout.watermark)
    yield "traffic", "" if readout.traffic is None else percent(readout.traffic, decimals=1)
    yield "method", plan.method.value
    yield "horizon", _horizon(readout)
    yield "alpha", f"{plan.alpha:g}"
    yield "multiplicity", plan.multiplicity.value
    locked = readout.locked
    yield "locked", "" if locked is None else f"{_time(locked.at)}, {locked.digest}"
    yield (
        "deviations",
        " ".join(
            say(
                "report.deviation",
                at=_time(each.at),
                by=each.by,
                reason=each.reason,
                changed=", ".join(each.changed),
            )
            for each in readout.deviations
        ),
    )
    yield "sources", ", ".join(f"{each.key}: {each.digest}" for each in readout.sources or ())
    yield "looks", "; ".join(f"{look.number}: {_time(look.taken_at)}" for look in readout.looks)
    yield "left_out", ", ".join(_left_out(readout))
    yield "schema", readout.schema_
    yield "plan_digest", readout.plan_digest
    yield "digest", readout.digest


def _horizon(readout: Readout) -> str:
    horizon = readout.plan.horizon
    if horizon is None:
        return say("report.horizon.none")
    units = [] if horizon.units is None else [counted("units", horizon.units)]
    days = [] if horizon.days is None else [counted("days", horizon.days)]
    return ", ".join([*units, *days])


def _left_out(readout: Readout) -> Iterator[str]:
    population = readout.population
    yield from (
        counted(f"report.left_out.{name}", units)
        for name, units in (
            ("crossovers", readout.health.crossovers.units),
            ("overridden", population.overridden),
            ("bots", population.bots),
        )
        if units
    )


def _time(text: str | None) -> str:
    return "" if text is None else to_the_minute(text)
