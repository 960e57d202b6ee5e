"""The figures of the documentation are those that the code draws."""

import re
from pathlib import Path

from tests.service.figures.pictures import IMAGES, draw


def texts(file: Path) -> list[str]:
    """What is written in a figure, in its order."""
    return re.findall(r">([^<>]+)</text>", file.read_text())


def test_the_figures_of_the_documentation_say_what_is_drawn_today(tmp_path: Path) -> None:
    for file in draw(tmp_path):
        assert texts(file)
        # Draw them anew with `python -m tests.service.figures.pictures`, and look at them.
        assert texts(IMAGES / file.name) == texts(file)
