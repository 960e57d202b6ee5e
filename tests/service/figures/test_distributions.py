"""The figure of values shows what the readout says of them."""

import math
from copy import deepcopy
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.service.figures.test_figures import drawn, rows, texts
from tests.service.readouts.documents import spread_readout

from equipoise_service.figures.distributions import distributions
from equipoise_service.figures.figure import Figure
from equipoise_service.figures.rendering import svg
from equipoise_service.readouts.reading import readout_of

UNITS = 10**9
ALL = spread_readout(0)
ROUND = sorted(float(f"{tenths / 10}e{power}") for power in range(-3, 4) for tenths in (10, 20, 50, 85))


def of_values(edges: list[float], *counts: list[int], cut: float | None = None) -> Figure:
    """The figure of a control and a treatment with so many units in each bin, the others at zero."""
    document = deepcopy(ALL)
    (metric,) = document["metrics"]
    metric["values"]["edges"], metric["cut"] = edges, cut
    for arm, in_bins in zip(metric["values"]["arms"], counts, strict=True):
        arm |= {"units": UNITS, "drawn": UNITS, "zero": UNITS - sum(in_bins), "counts": in_bins}
    (figure,) = distributions(readout_of(document))
    return figure


def bins(figure: Figure, arm: str = "control") -> list[tuple[float, float]]:
    """Width and height of each bin of an arm."""
    outline = [row for row in rows(figure) if row.get("arm") == arm]
    outline = outline[: 1 + [row["middle"] for row in outline].index(None)]
    return [(after["place"] - row["place"], row["share"]) for row, after in pairwise(outline)]


def marks(figure: Figure) -> list[float]:
    return [row["place"] for row in rows(figure) if set(row) == {"place"}]


@given(
    st.lists(
        st.sampled_from([*(-edge for edge in ROUND), 0.0, *ROUND]), min_size=1, max_size=20, unique=True
    ),
    st.data(),
)
def test_areas_are_shares_of_the_units_and_widths_are_those_of_a_logarithmic_scale(
    edges: list[float], data: st.DataObject
) -> None:
    edges = sorted(edges)
    counts = [data.draw(st.integers(0, UNITS // 30)) for _ in range(len(edges) + 1)]
    found = bins(of_values(edges, counts, counts))
    assert [width * height for width, height in found] == pytest.approx([100 * n / UNITS for n in counts])
    widths = [width for width, _ in found]
    assert min(widths) > 0
    known = {
        i: math.log(high / low, 1.1) for i, (low, high) in enumerate(pairwise(edges), 1) if low * high > 0
    }
    for i, steps in known.items():
        assert widths[i] == pytest.approx(abs(steps))
    for open_bin, beside in ((0, 1), (len(edges), len(edges) - 1)):
        if beside in known:
            assert widths[open_bin] == pytest.approx(widths[beside])
    if not known:
        assert widths == [1.0] * len(widths)


def tops(heights: list[float]) -> int:
    """How many heights are above both that are beside them."""
    around = [0.0, *heights, 0.0]
    return sum(around[i] < height > around[i + 2] for i, height in enumerate(heights))


def test_one_heap_of_values_is_one_heap_whatever_the_widths_of_its_bins() -> None:
    edges = [float(f"{digit}e{power}") for power in (-1, 0, 1) for digit in range(1, 10)]
    logarithms = NormalDist(1.0, 1.2)
    below = [0.0, *(logarithms.cdf(math.log(edge)) for edge in edges), 1.0]
    counts = [int(UNITS * (after - before)) for before, after in pairwise(below)]
    # From 10 to 20 there are more units than from 9 to 10.
    assert tops(list(map(float, counts[1:-1]))) > 1
    heights = [height for _, height in bins(of_values(edges, counts, counts))[1:-1]]
    assert tops(heights) == 1
    # Around the middle of the bin from 2 to 3, from x to 1.1 x.
    x = math.sqrt(2 * 3 / 1.1)
    share = logarithms.cdf(math.log(1.1 * x)) - logarithms.cdf(math.log(x))
    assert heights[edges.index(2.0)] == pytest.approx(100 * share, rel=0.02)


def test_zero_and_who_was_looked_at_are_in_words() -> None:
    figure = drawn(spread_readout())["values-load-time"]
    assert "control: 76.00 % are at zero. treatment: 75.60 % are at zero." in figure.text
    assert "control: half of the other values are below 200." in figure.text
    assert "A sample of 500 of 2,000 mature units." in figure.text
    treatment = [width * height for width, height in bins(figure, "treatment")]
    assert treatment == pytest.approx([8.4, 12.0, 4.0])


def test_the_cut_stands_where_its_value_is_between_the_edges() -> None:
    figure = drawn(spread_readout())["values-load-time"]
    first, second = (width for width, _ in bins(figure)[:2])
    assert marks(figure) == [pytest.approx(first + second * math.log(1.5) / math.log(2))]
    image = svg(figure)
    assert {"100", "200", "control", "treatment"} <= set(texts(image))
    assert "Dashed: values above 150 were set to it." in image
    at = {
        cut: marks(of_values([100.0, 200.0], [9, 9, 9], [9, 9, 9], cut=cut)) for cut in (100.0, 200.0, 900.0)
    }
    assert at == {100.0: [first], 200.0: [first + second], 900.0: [first + 1.5 * second]}


@pytest.mark.parametrize(
    ("edges", "axis", "labels"),
    [
        ([2.0], "share of the arm's units, in %", ["2"]),
        ([2.0, 3.0, 4.0], "share of the arm's units between x and x plus 10 %, in %", ["2", "3", "4"]),
        (
            [-20.0, -10.0, 0.0, 10.0, 15.0],
            "share of the arm's units between x and x plus 10 %, in %",
            ["−20", "−10", "0", "10"],
        ),
    ],
)
def test_an_edge_is_written_where_its_bin_begins(edges: list[float], axis: str, labels: list[str]) -> None:
    counts = [50] * (len(edges) + 1)
    figure = of_values(edges, counts, counts)
    written = texts(svg(figure))
    assert axis in written
    names = {f"{edge:g}".replace("-", "−") for edge in edges}
    assert [text for text in written if text in names][: len(labels)] == labels
    axes = [layer["encoding"]["x"].get("axis", {}) for layer in figure.specification["layer"]]
    across = next(axis["values"] for axis in axes if "values" in axis)
    begins = [sum(width for width, _ in bins(figure)[: i + 1]) for i in range(len(edges))]
    assert across == pytest.approx(begins[: len(labels)])


def test_values_that_are_nearly_all_zero_have_no_figure() -> None:
    document: dict[str, Any] = spread_readout()
    values = document["metrics"][0]["values"]
    values["edges"] = None
    for arm in values["arms"]:
        arm["counts"] = [arm["drawn"] - arm["zero"]]
    assert "values-load-time" not in drawn(document)
