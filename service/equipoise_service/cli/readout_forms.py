"""The forms that commands write a readout in."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from equipoise_service.cli.failures import Failure

if TYPE_CHECKING:
    from equipoise_service.figures.figure import Figure
    from equipoise_service.readouts.schemas import Readout


class Form(StrEnum):
    """The forms that a readout is written in."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    HTML = "html"
    PNG = "png"
    SVG = "svg"
    NOTEBOOK = "notebook"


_SUFFIXES = {
    ".txt": Form.TEXT,
    ".json": Form.JSON,
    ".csv": Form.CSV,
    ".parquet": Form.PARQUET,
    ".html": Form.HTML,
    ".png": Form.PNG,
    ".svg": Form.SVG,
    ".ipynb": Form.NOTEBOOK,
}
_IMAGES = (Form.PNG, Form.SVG)
NEED_FIGURES = (*_IMAGES, Form.HTML)
_BINARY = (Form.PARQUET, Form.PNG)


def form_of(form: Form | None, output: Path | None) -> Form:
    """The form that was asked for, else the one of the output's ending, else text."""
    return form or (_SUFFIXES.get(output.suffix.lower()) if output is not None else None) or Form.TEXT


def check_form(form: Form, output: Path | None, figure: str | None) -> None:
    """Check, before anything is computed, that what was asked for fits together.

    Raises:
        Failure: It does not, or something that it needs is not installed.
    """
    if figure is not None and form not in _IMAGES:
        raise Failure(f"--figure picks a figure of --format png or svg; the format is {form}.")
    if output is None and (form in _BINARY or (form in _IMAGES and figure is None)):
        raise Failure(f"--format {form} needs --output: a path to write to.")
    looks_like_one = output is not None and output.suffix == f".{form}" and not output.is_dir()
    if form in _IMAGES and figure is None and looks_like_one:
        raise Failure(
            f"{output} looks like one file, and without --figure all figures are written, into a directory. "
            "Name the figure, as --figure lifts, or give a directory."
        )
    if form in NEED_FIGURES:
        from equipoise_service.figures.installed import FiguresMissing, need_figures

        try:
            need_figures()
        except FiguresMissing as error:
            raise Failure(str(error)) from None


def write_readout(
    document: Any, before: "Sequence[Readout]", form: Form, *, figure: str | None, output: Path | None
) -> None:
    """Write a readout, or show it.

    Args:
        document: The readout.
        before: Readouts of the same revision from before, for figures over time.
        form: The form.
        figure: For png and svg: this figure alone.
        output: Where to; for several figures a directory. None: the standard output.

    Raises:
        Failure: The readout has no such figure.
    """
    if form in _IMAGES:
        _write_figures(document, before, form, figure, output)
    elif form is Form.TEXT and output is None:
        _draw(document)
    else:
        _write(_content(document, before, form), output)


def _content(document: Any, before: "Sequence[Readout]", form: Form) -> bytes:
    from equipoise_service.readouts.reading import readout_of

    if form is Form.HTML:
        from equipoise_service.exports.report.report import html_of

        return html_of(document, before).encode()
    if form is Form.NOTEBOOK:
        from equipoise_service.exports.notebook import notebook_of

        return notebook_of(document).encode()
    if form is Form.JSON:
        from equipoise_service.readouts.terminal import pretty_json

        return f"{pretty_json(document)}\n".encode()
    if form is Form.TEXT:
        return _text(document)
    from equipoise_service.exports.tables import csv_of, parquet_of

    return (csv_of if form is Form.CSV else parquet_of)(readout_of(document))


def _write_figures(
    document: Any, before: "Sequence[Readout]", form: Form, name: str | None, output: Path | None
) -> None:
    from equipoise_service.figures.catalogue import figures_of
    from equipoise_service.readouts.reading import readout_of

    figures = {each.name: each for each in figures_of(readout_of(document), before)}
    if name is not None:
        if name not in figures:
            known = ", ".join(figures) or "none, as it has no units"
            raise Failure(f"--figure {name}: the readout has no such figure. It has: {known}.")
        _write(_image(figures[name], form), output)
    elif output is not None:
        output.mkdir(parents=True, exist_ok=True)
        for each in figures.values():
            path = output / f"{each.name}.{form}"
            path.write_bytes(_image(each, form))
            typer.echo(path)


def _image(figure: "Figure", form: Form) -> bytes:
    from equipoise_service.figures.rendering import png, svg

    return png(figure) if form is Form.PNG else svg(figure).encode()


def _draw(document: Any) -> None:
    from rich.console import Console

    from equipoise_service.readouts.terminal import draw

    draw(document, Console())


def _text(document: Any) -> bytes:
    from io import StringIO

    from rich.console import Console

    from equipoise_service.readouts.terminal import draw

    output = StringIO()
    draw(document, Console(file=output, width=120))
    return output.getvalue().encode()


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        typer.echo(content, nl=False)
        return
    output.write_bytes(content)
