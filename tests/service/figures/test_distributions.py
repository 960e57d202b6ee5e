"""The figure of values shows what the readout says of them."""

from typing import Any

import pytest
from tests.service.figures.test_figures import drawn, rows, texts
from tests.service.readouts.documents import spread_readout

from equipoise_service.figures.rendering import svg


def test_the_bins_are_shares_of_all_units_that_were_drawn_and_zero_is_in_words() -> None:
    figure = drawn(spread_readout())["values-load-time"]
    shares: dict[str, list[float]] = {}
    for row in rows(figure):
        if row.get("middle") is not None:
            shares.setdefault(row["arm"], []).append(row["share"])
    assert shares["control"] == pytest.approx([8.0, 12.0, 4.0])
    assert shares["treatment"] == pytest.approx([8.4, 12.0, 4.0])
    assert "control: 76.00 % are at zero. treatment: 75.60 % are at zero." in figure.text
    assert "control: half of the other values are below 200." in figure.text
    assert "A sample of 500 of 2,000 mature units." in figure.text


def test_the_cut_stands_where_its_value_is_between_the_edges() -> None:
    figure = drawn(spread_readout())["values-load-time"]
    # 150 is half way through the second bin.
    assert [row["place"] for row in rows(figure) if set(row) == {"place"}] == [1.5]
    image = svg(figure)
    assert {"100", "200", "control", "treatment"} <= set(texts(image))
    assert "Dashed: values above 150 were set to it." in image


def test_values_that_are_nearly_all_zero_have_no_figure() -> None:
    document: dict[str, Any] = spread_readout()
    values = document["metrics"][0]["values"]
    values["edges"] = None
    for arm in values["arms"]:
        arm["counts"] = [arm["drawn"] - arm["zero"]]
    assert "values-load-time" not in drawn(document)
