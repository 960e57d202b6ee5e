"""What figures show is what the readout says."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.service.figures.readouts import HOSTILE, believed, funnelled, hostile, watched
from tests.service.readouts.by_day import day
from tests.service.readouts.by_day import readout as readout_of_days
from tests.service.readouts.documents import (
    CONVERTED,
    LOAD_TIME,
    PROVENANCE,
    bayesian_readout,
    converted,
    looked_readout,
    moments,
    plan,
    rich_readout,
    segmented_readout,
    statistics,
)

from equipoise_service.figures.catalogue import figures_of
from equipoise_service.figures.figure import Figure
from equipoise_service.figures.looks import bounds
from equipoise_service.figures.rendering import page_svg, png, svg
from equipoise_service.metrics.schemas import Role
from equipoise_service.plans.schemas import Horizon, Method, Multiplicity
from equipoise_service.readouts.building import build_readout, statistics_digest
from equipoise_service.readouts.reading import readout_of
from equipoise_stats import Counts, plan_looks

DAYS = watched()


def drawn(document: dict[str, Any], *earlier: dict[str, Any]) -> dict[str, Figure]:
    found = figures_of(readout_of(document), [readout_of(each) for each in earlier])
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure for figure in found}


def rows(figure: Figure) -> list[dict[str, Any]]:
    """All data of a figure, whatever its layers."""
    named = figure.specification.get("datasets", {})
    inline = [layer.get("data", {}) for layer in figure.specification["layer"]]
    inline.append(figure.specification.get("data", {}))
    found = [*named.values(), *(each["values"] for each in inline if "values" in each)]
    return [row for values in found for row in values]


def texts(image: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(image).iter() if element.tag.endswith("}text")]


def test_the_forest_shows_the_lifts_and_the_margin_of_the_plan() -> None:
    document = looked_readout()
    found = {row["label"]: row for row in rows(drawn(document)["lifts"]) if "label" in row}
    for metric, label in (("converted", "converted"), ("load-time", "load-time (less is better)")):
        lift = next(each for each in document["metrics"] if each["metric"] == metric)["comparisons"][0][
            "lift"
        ]
        assert [found[label][name] for name in ("estimate", "low", "high")] == pytest.approx(
            [100 * lift["estimate"], *(100 * end for end in lift["interval"])]
        )
        assert found[label]["outcome"] == "shown to be better"
    assert found["load-time (less is better)"]["margin"] == pytest.approx(2.0)
    assert found["converted"]["margin"] is None


def test_a_very_wide_interval_is_cut_with_an_arrow_and_its_numbers_stay() -> None:
    metrics = [LOAD_TIME.model_copy(update={"key": key, "direction": CONVERTED.direction}) for key in "abcde"]
    sizes = dict.fromkeys("abcd", 1.0) | {"e": 1_000.0}
    arms: dict[str, Any] = {
        variant: {key: moments(1_000, 10.0, size) for key, size in sizes.items()}
        for variant in ("control", "treatment")
    }
    document = build_readout(plan(*metrics), statistics(**arms), PROVENANCE)
    cut = {row["label"]: row for row in rows(drawn(document)["lifts"]) if "label" in row}
    assert (cut["e"]["low_cut"], cut["e"]["high_cut"]) == (True, True)
    assert not any(cut[key]["high_cut"] for key in "abcd")
    high = document["metrics"][-1]["comparisons"][0]["lift"]["interval"][1]
    assert cut["e"]["high"] < 14 * cut["a"]["high"] < 100 * high
    assert f"to +{100 * high:.0f})" in cut["e"]["shown"]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(990, 1_010),
    st.integers(1_210, 1_260),
    st.integers(1_210, 1_260),
    st.sampled_from([each for each in Multiplicity if each is not Multiplicity.DUNNETT]),
)
@example(1_000, 1_226, 1_000, Multiplicity.HOLM)
@example(1_000, 1_226, 1_250, Multiplicity.HOLM)
@example(1_000, 1_226, 1_000, Multiplicity.BENJAMINI_HOCHBERG)
@example(1_000, 1_226, 1_230, Multiplicity.BENJAMINI_HOCHBERG)
def test_a_look_is_beyond_its_bound_exactly_when_a_difference_is_detected(
    control: int, new: int, bold: int, multiplicity: Multiplicity
) -> None:
    second = readout_of(DAYS[1])
    planned = second.plan.model_copy(update={"multiplicity": multiplicity})
    arms: dict[str, Any] = {
        variant: {"converted": Counts(10_000, n), "load-time": moments(10_000, 812.5, 90_000.0)}
        for variant, n in {"control": control, "new": new, "bold": bold}.items()
    }
    found = statistics(**arms)
    digest = statistics_digest(planned, found)
    looks = [second.looks[0], second.looks[1].model_copy(update={"statistics_digest": digest})]
    looked = build_readout(planned, found, PROVENANCE, looks)
    [figure] = bounds(readout_of(looked), ())
    said = " ".join(figure.specification["title"]["subtitle"])
    assert ("The bounds are corrected for 2 tests" in said) == (multiplicity is not Multiplicity.NONE)
    wall = [row["upper"] for row in rows(figure) if row.get("taken")][-1]
    at = {row["arm"].split()[0]: row["z"] for row in rows(figure) if "z" in row}
    for comparison in looked["metrics"][0]["comparisons"]:
        assert (abs(at[comparison["variant"]]) > wall) == comparison["detected"]


def test_the_bound_of_two_tests_is_that_of_half_the_level_until_one_of_them_is_shown() -> None:
    readouts = [readout_of(each) for each in DAYS]
    [figure] = bounds(readouts[-1], readouts[:-1])
    walls = [row["upper"] for row in rows(figure) if row.get("taken")]
    shown = [
        sum(bool(each.detected) for each in result.comparisons)
        for result in (readout.metrics[0] for readout in readouts)
    ]
    assert {0, 1} <= set(shown)
    fractions = [look.fractions["converted"] for look in readouts[-1].looks]
    for i, count in enumerate(shown):
        bound = plan_looks(fractions, alpha=0.05 / (2 - count)).critical_values[i]
        assert walls[i] == pytest.approx(min(bound, max(walls)))
    # Of looks whose readouts are not at hand nobody knows what they showed.
    [alone] = bounds(readouts[-1], ())
    before = [row["upper"] for row in rows(alone) if row.get("taken")][:-1]
    expected = plan_looks(fractions, alpha=0.025).critical_values[:-1]
    assert before == pytest.approx([min(bound, max(before)) for bound in expected])


def test_a_look_that_is_alone_has_its_ground() -> None:
    first = readout_of(DAYS[0])
    looks = [first.looks[0].model_copy(update={"final": True, "spent": first.plan.alpha})]
    [figure] = bounds(first.model_copy(update={"looks": looks}), ())
    grounds = [layer for layer in figure.specification["layer"] if layer["mark"]["type"] == "area"]
    at = 100 * looks[0].fractions["converted"]
    for ground in grounds:
        drawn_at = (
            [row["fraction"] for row in figure.specification["datasets"][ground["data"]["name"]]]
            if ("name" in ground["data"])
            else [row["fraction"] for row in ground["data"]["values"]]
        )
        assert min(drawn_at) < at < max(drawn_at)


def test_earlier_readouts_are_the_way_to_this_one_and_those_of_others_are_not() -> None:
    *earlier, last = DAYS
    other = {**earlier[0], "revision": 2}
    figures = drawn(last, *reversed(earlier), other)
    lifts = [day["metrics"][0]["comparisons"][0]["lift"]["estimate"] for day in DAYS]
    path = [row["value"] for row in rows(figures["effect-over-time-new"]) if "value" in row]
    # The ground and the path have the same data, which a specification holds once.
    assert path[: len(DAYS)] == pytest.approx([100 * lift for lift in lifts])
    shares = [row for row in rows(figures["sample-ratio-over-time"]) if row.get("arm") == "new"]
    units = [[arm["units"] for arm in day["arms"]] for day in DAYS]
    assert [row["value"] for row in shares] == pytest.approx(
        [100 * (each[1] / sum(each) - 1 / 3) for each in units], abs=1e-9
    )
    zs = [row for row in rows(figures["bounds"]) if "z" in row and row["arm"].startswith("new")]
    assert len(zs) == len(DAYS)
    assert "effect-over-time-new" not in drawn(last)


def test_each_metric_has_its_way_and_its_bounds() -> None:
    days = watched(4, second=Role.SUCCESS)
    figures = drawn(days[-1], *days[:-1])
    for metric, ending in (("converted", ""), ("load-time", "-load-time")):
        results = [next(each for each in day["metrics"] if each["metric"] == metric) for day in days]
        lifts = [result["comparisons"][0]["lift"]["estimate"] for result in results]
        figure = figures[f"effect-over-time{ending}-new"]
        assert metric in figure.title
        path = [row["value"] for row in rows(figure) if "value" in row]
        assert path[: len(days)] == pytest.approx([100 * lift for lift in lifts])
        points = [row for row in rows(figures[f"bounds{ending}"]) if "z" in row]
        stands = [row["z"] for row in points if row["arm"].startswith("new")]
        assert all((z > 0) == (lift > 0) for z, lift in zip(stands, lifts, strict=True))
        assert figure.leading == figures[f"bounds{ending}"].leading == (not ending)
    spent = [row["spent"] for row in rows(figures["bounds"]) if row.get("taken")]
    assert spent == pytest.approx([100 * look["spent"] / 0.05 for look in days[-1]["looks"]])


def test_each_metric_has_its_beliefs() -> None:
    document = believed()
    figures = drawn(document)
    for result, name in zip(document["metrics"], ("beliefs", "beliefs-signed-up"), strict=True):
        above = result["comparisons"][0]["posterior"]["probability_above"]
        assert f"{100 * above:.1f} %" in figures[name].text


@pytest.mark.parametrize(("days", "marks"), [(31, 31), (32, 16), (118, 30)])
def test_of_many_days_some_are_marked(days: int, marks: int) -> None:
    """Marks of all days would be one thick line; the line itself has them all."""
    figure = drawn(readout_of_days([day(i, 400, 405) for i in range(days)]))["effect-over-time"]
    named = figure.specification.get("datasets", {})

    def drawn_by(mark: str) -> list[str]:
        layer = next(each for each in figure.specification["layer"] if each["mark"]["type"] == mark)
        data = layer.get("data", figure.specification.get("data"))
        return [row["at"] for row in (data["values"] if "values" in data else named[data["name"]])]

    line, marked = drawn_by("line"), drawn_by("point")
    assert (len(line), len(marked)) == (days, marks)
    assert marked[-1] == line[-1]


def test_days_are_drawn_from_the_readout_alone() -> None:
    document = readout_of_days([day(0, 500, 520), day(1, 900, 880), day(4, 400, 40)])
    figures = drawn(document)
    so_far = document["by_day"]["metrics"][0]["effects"][0]["so_far"]
    path = [row for row in rows(figures["effect-over-time"]) if "value" in row]
    assert [row["value"] for row in path] == pytest.approx([100 * each["lift"] for each in so_far])
    assert [row["at"] for row in path] == ["2026-02-22", "2026-02-23", "2026-02-26"]
    for name, shares in (
        ("sample-ratio-over-time", [500 / 1020, 1400 / 2800, 1800 / 3240]),
        ("sample-ratio-by-day", [500 / 1020, 900 / 1780, 400 / 440]),
    ):
        drawn_shares = [row["value"] for row in rows(figures[name]) if row.get("arm") == "control"]
        assert drawn_shares == pytest.approx([100 * (share - 0.5) for share in shares], abs=1e-9)
    assert figures["sample-ratio-by-day"].text.startswith(document["health"]["daily_sample_ratio"]["reason"])


def test_the_belief_above_zero_is_the_probability_of_the_readout() -> None:
    document = bayesian_readout()
    curve = [row for row in rows(drawn(document)["beliefs"]) if row.get("arm") == "treatment"]
    step = (curve[1]["lift"] - curve[0]["lift"]) / 100
    above = sum(row["density"] for row in curve if row["lift"] >= 0) * step
    posterior = document["metrics"][0]["comparisons"][0]["posterior"]
    assert above == pytest.approx(posterior["probability_above"], abs=5e-3)


def test_a_funnel_shows_every_step_of_every_arm() -> None:
    found = [row for row in rows(drawn(funnelled())["funnel-bought"]) if "step" in row]
    assert [(row["step"], row["arm"], round(row["share"], 9)) for row in found] == [
        ("1. see", "control", 60.0),
        ("2. cart", "control", 30.0),
        ("3. buy", "control", 9.0),
        ("1. see", "treatment", 61.0),
        ("2. cart", "treatment", 34.0),
        ("3. buy", "treatment", 14.0),
    ]


def test_a_broken_ratio_is_seen() -> None:
    fine, broken = converted((100, 1_000), (110, 1_000)), converted((1_000, 10_000), (1_150, 11_000))
    assert drawn(fine)["sample-ratio"].text.startswith("The shares agree with the plan.")
    figure = drawn(broken)["sample-ratio"]
    assert figure.text.startswith("The shares are not the planned ones.")
    found = {row["label"]: row for row in rows(figure) if "label" in row}
    assert found["treatment (11,000 units)"]["estimate"] == pytest.approx(100 * (11 / 21 - 0.5))
    assert found["treatment (11,000 units)"]["low"] > 0
    horizon = Horizon(units=100_000)
    early = converted((1_000, 10_000), (1_050, 10_500), method=Method.FIXED_HORIZON, horizon=horizon)
    assert early["health"]["sample_ratio"]["reason"] in drawn(early)["sample-ratio"].text
    assert "agree" not in drawn(early)["sample-ratio"].text


def test_segments_say_whether_they_were_declared_and_stand_beside_all_units() -> None:
    unlocked = segmented_readout()
    of_file = drawn(unlocked)["segment-country-converted"].specification["title"]["subtitle"][0]
    assert "nothing says since when it is asked for" in of_file
    document = {**unlocked, "locked": {"at": "2026-02-22T12:30:00Z", "digest": "sha256:" + "1" * 64}}
    figure = drawn(document)["segment-country-converted"]
    assert "declared in advance" in figure.specification["title"]["subtitle"][0]
    overall = 100 * document["metrics"][0]["comparisons"][0]["lift"]["estimate"]
    assert overall in [row.get("place") for row in rows(figure)]
    assert "DE (1,000 units)" in figure.text
    undeclared = {**document, "segments": [{**document["segments"][0], "declared": False}]}
    assert (
        "exploratory" in drawn(undeclared)["segment-country-converted"].specification["title"]["subtitle"][0]
    )


def test_parts_are_coloured_only_where_the_effects_are_shown_to_differ() -> None:
    document = segmented_readout()
    part = document["segments"][0]["parts"][0]["metrics"][0]["comparisons"][0]
    # Alone it would count as a difference; among three parts it is none.
    assert part["lift"]["interval"][0] > 0
    outcomes = [
        row["outcome"] for row in rows(drawn(document)["segment-country-converted"]) if "label" in row
    ]
    assert outcomes == ["no difference shown"] * 3
    tested = document["segments"][0]["heterogeneity"][0]
    tested["detected"], tested["parts"][0]["differs"], tested["corrected_p_value"] = True, True, 0.001
    figure = drawn(document)["segment-country-converted"]
    found = {row["label"]: row for row in rows(figure) if "label" in row}
    assert found["DE (1,000 units)"]["outcome"] == "shown to be better"
    assert found["DE (1,000 units)"]["shown"].endswith(", differs")
    assert sum(row["outcome"] == "no difference shown" for row in found.values()) == 2
    assert "Effects differ (corrected p 0.00100)." in figure.specification["title"]["subtitle"][0]


@pytest.mark.parametrize(
    "document", [rich_readout(), hostile(), looked_readout()], ids=["rich", "hostile", "looked"]
)
def test_every_figure_can_be_drawn_and_no_name_is_more_than_a_text(document: dict[str, Any]) -> None:
    for figure in drawn(document).values():
        image = svg(figure)
        elements = {element.tag.rpartition("}")[2] for element in ET.fromstring(image).iter()}
        assert elements <= {"svg", "g", "path", "text", "rect", "line", "defs", "clipPath", "circle", "tspan"}
        assert figure.title in texts(image) or figure.name == "lifts"
        assert png(figure, scale=1.0).startswith(b"\x89PNG")
        assert "#0072b2" not in page_svg(figure)
    if document["experiment"] == HOSTILE:
        assert any(HOSTILE in text for text in texts(svg(drawn(document)["lifts"])))


def test_a_name_with_control_characters_can_be_drawn() -> None:
    arms: dict[str, Any] = {
        variant: {"converted": Counts(900, 90)} for variant in ("control", "b\x00\x1b[2J\ufffe")
    }
    figure = drawn(build_readout(plan(CONVERTED), statistics(**arms), PROVENANCE))["sample-ratio"]
    assert any("b\ufffd\ufffd[2J\ufffd (900 units)" in text for text in texts(svg(figure)))
    assert png(figure, scale=1.0).startswith(b"\x89PNG")


def test_without_units_there_is_nothing_to_draw() -> None:
    assert drawn(build_readout(plan(CONVERTED, LOAD_TIME), statistics(), PROVENANCE)) == {}
