"""A notebook that recomputes a readout from the sufficient statistics in it."""

import json
from collections.abc import Mapping
from typing import Any

from equipoise_service.readouts.schemas import Readout
from equipoise_service.texts.saying import say

# nbformat 4.5: https://nbformat.readthedocs.io/en/latest/format_description.html
_FORMAT = {"nbformat": 4, "nbformat_minor": 5}
_LANGUAGE = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

_RECOMPUTED = '''\
import math


def value(arm):
    """A proportion's share, a quantile, a mean, or a ratio of two means."""
    if not arm["n"]:
        return None
    if "successes" in arm:
        return arm["successes"] / arm["n"]
    if "quantile" in arm:
        return arm["value"]
    if "means" not in arm:
        return arm["mean"]
    if arm["means"] is None:
        return None
    columns = dict(zip(arm["columns"], arm["means"], strict=True))
    if "d" not in columns:
        return columns["y"]
    return columns["y"] / columns["d"] if columns["d"] > 0 else None


def agree(what, shown, recomputed):
    close = math.isclose(shown, recomputed, rel_tol=1e-9, abs_tol=1e-12)
    assert close, f"{what}: the readout says {shown}, recomputed {recomputed}"


def everything():
    """Every comparison, with its place in the readout."""
    for metric in readout["metrics"]:
        for comparison in metric["comparisons"] + metric["between_treatments"]:
            yield metric["metric"], comparison
    for segment in readout["segments"]:
        for part in segment["parts"]:
            for metric in part["metrics"]:
                for comparison in metric["comparisons"]:
                    yield f"{metric['metric']}, {segment['segment']} {part['value']}", comparison


BAYESIAN = readout["plan"]["method"] == "bayesian"
checked = 0
for place, comparison in everything():
    statistics = comparison["statistics"]
    treated, baseline = value(statistics["variant"]), value(statistics["baseline"])
    adjusted = "y_before" in statistics["variant"].get("columns", ())
    if adjusted or BAYESIAN or treated is None or baseline is None:
        continue  # these take more than a subtraction: the next part recomputes them
    name = f"{place}: {comparison['variant']} against {comparison['baseline']}"
    if comparison["difference"]["estimate"] is not None:
        agree(f"difference of {name}", comparison["difference"]["estimate"], treated - baseline)
        checked += 1
    if comparison["lift"]["estimate"] is not None:
        agree(f"lift of {name}", comparison["lift"]["estimate"], treated / baseline - 1)
        checked += 1
checked'''

_SHARES = """\
# Pearson's chi-square for the shares of the arms, by its definition; with two arms its p-value is one line.
units = [arm["units"] for arm in readout["arms"]]
expected = [arm["expected_share"] * sum(units) for arm in readout["arms"]]
shown = readout["health"]["sample_ratio"]["p_value"]  # null before the planned end
if shown is not None and len(units) == 2 and min(expected) >= 5:
    chi_square = sum((n - e) ** 2 / e for n, e in zip(units, expected, strict=True))
    p_value = math.erfc(math.sqrt(chi_square / 2))
    agree("p-value of the sample ratio", shown, p_value)"""

_REPEAT = """\
# What was decided on, what is found now, and the change: now minus then, taken as independent. The ends of
# its interval are made of the ends of both (Zou and Donner 2008).
rows = []
results = {each["metric"]: each["comparisons"][0] for each in readout["metrics"] if each["comparisons"]}
for effect in readout["repeat"]["effects"]:
    if effect["scale"] is not None:
        then, now, change = effect["then"], effect["now"], effect["change"]
        found = results[effect["metric"]][effect["scale"]]
        agree(f"{effect['metric']} now", now["estimate"], found["estimate"])
        agree(f"change of {effect['metric']}", change["estimate"], now["estimate"] - then["estimate"])
        before, after = then["interval"], now["interval"]
        below = math.hypot(now["estimate"] - after[0], before[1] - then["estimate"])
        above = math.hypot(after[1] - now["estimate"], then["estimate"] - before[0])
        agree(f"change of {effect['metric']}, lower end", change["interval"][0], change["estimate"] - below)
        agree(f"change of {effect['metric']}, upper end", change["interval"][1], change["estimate"] + above)
        rows.append((effect["metric"], effect["scale"], then, now, change, effect["finding"]))
rows"""

_VERIFIED = """\
from equipoise_service.readouts.verification import verify_readout

disagreements = verify_readout(readout)
assert not disagreements, disagreements
"every number, status, text and digest follows from the statistics and the plan\""""

_FRAME = """\
from equipoise_service.exports.opened import charts, results
from equipoise_service.readouts.reading import readout_of

opened = readout_of(readout)
frame = results(opened).to_pandas()
frame[["metric", "segment_value", "arm", "baseline", "value", "difference", "lift", "p_value", "outcome"]]"""

_CHARTS = """\
drawn = charts(opened)
list(drawn)"""

_CHART = """\
drawn.get("lifts")"""


def notebook_of(document: Mapping[str, Any]) -> str:
    """The notebook, as JSON; its first cell holds the readout.

    Args:
        document: The readout, as its JSON parses.
    """
    readout = Readout.model_validate(document)
    data = f"import json\n\nreadout = json.loads({_literal(document)})"
    cells = [
        _text("introduction", say("notebook.introduction", experiment=_plain(readout.experiment))),
        _code("readout", data, {"jupyter": {"source_hidden": True}}),
        _text("arithmetic", say("notebook.arithmetic")),
        _code("estimates", _RECOMPUTED),
        _code("shares", _SHARES),
        *_repeated(readout),
        _text("full", say("notebook.full")),
        _code("verified", _VERIFIED),
        _text("results", say("notebook.results")),
        _code("frame", _FRAME),
        _code("charts", _CHARTS),
        _code("chart", _CHART),
    ]
    whole = {"cells": cells, "metadata": {**_LANGUAGE, "readout": readout.digest}, **_FORMAT}
    return json.dumps(whole, indent=1, ensure_ascii=False)


def _repeated(readout: Readout) -> list[dict[str, Any]]:
    """The cells of a readout that is repeated on a holdback."""
    if readout.repeat is None:
        return []
    introduction = say(
        "notebook.repeat", days=readout.repeat.days, variant=_plain(readout.repeat.decided.variant)
    )
    return [_text("since-the-ship", introduction), _code("repeat", _REPEAT)]


def _literal(document: Mapping[str, Any]) -> str:
    """The document's JSON as a Python literal, whatever is in its texts."""
    return repr(json.dumps(document, allow_nan=False))


def _plain(text: str) -> str:
    """A text as Markdown shows it as it is."""
    return "".join(f"\\{each}" if each in r"\`*_{}[]()<>#+-.!|&$" else each for each in text)


def _text(name: str, source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(name: str, source: str, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": name,
        "metadata": dict(metadata or {}),
        "execution_count": None,
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }
