"""`equipoise readout`: a readout from a service or a file, in the terminal or in another form."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url, get

if TYPE_CHECKING:
    from equipoise_service.figures.figure import Figure
    from equipoise_service.readouts.schemas import Readout

_MOST_EARLIER = 60


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
_NEED_FIGURES = (*_IMAGES, Form.HTML)
_BINARY = (Form.PARQUET, Form.PNG)


def readout(
    what: Annotated[str, typer.Argument(help="An experiment's key, or a file with a readout as JSON.")],
    form: Annotated[
        Form | None,
        typer.Option("--format", help="The form; without it, that of the output's ending, else text."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Where to write it; for several figures a directory.", metavar="PATH"
        ),
    ] = None,
    figure: Annotated[
        str | None, typer.Option(help="For png and svg: this figure alone.", metavar="NAME")
    ] = None,
    revision: Annotated[
        int | None, typer.Option(min=1, help="Number of the revision; the latest without it.")
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            help="A readout of the same revision from before, for figures over time; several times for "
            "several. From a service, those of the looks are used.",
            metavar="FILE",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show the readout of an experiment, or write it as a table, a page, figures or a notebook.

    A readout from a file is recomputed from its statistics first; where it disagrees, that is said.
    """
    form = form or (_SUFFIXES.get(output.suffix.lower()) if output is not None else None) or Form.TEXT
    _check(form, output, figure)
    from equipoise_service.readouts.reading import NotAReadout, read_document, readout_of

    try:
        if Path(what).is_file():
            document = read_document(Path(what))
            _warn(what, document)
            before = [readout_of(read_document(each)) for each in earlier or ()]
        else:
            document, before = _asked(what, form, revision, checked_url(url), checked_key(key, "read"))
        readout_of(document)
    except NotAReadout as error:
        raise Failure(str(error)) from None
    if form in _IMAGES:
        _write_figures(document, before, form, figure, output)
    elif form is Form.TEXT and output is None:
        _draw(document)
    else:
        _write(_content(document, before, form), output)


def _check(form: Form, output: Path | None, figure: str | None) -> None:
    """What does not fit together is said before anything is computed."""
    if figure is not None and form not in _IMAGES:
        raise Failure(f"--figure picks a figure of --format png or svg; the format is {form}.")
    if output is None and (form in _BINARY or (form in _IMAGES and figure is None)):
        raise Failure(f"--format {form} needs --output: a path to write to.")
    if form in _NEED_FIGURES:
        from equipoise_service.figures.installed import FiguresMissing, need_figures

        try:
            need_figures()
        except FiguresMissing as error:
            raise Failure(str(error)) from None


def _asked(
    experiment: str, form: Form, revision: int | None, url: str, key: str
) -> "tuple[Any, list[Readout]]":
    """The readout that a service has, and those of the looks where figures are drawn."""
    import json

    from equipoise_service.readouts.reading import readable

    place = f"/v1/experiments/{quote(experiment, safe='')}"
    # Computed anew: who types a command asks about now.
    of_revision = "" if revision is None else f"&revision={revision}"
    document = json.loads(get(url, key, f"{place}/readout?wait=60{of_revision}"))
    if form not in _NEED_FIGURES:
        return document, []
    of_revision = f"?revision={document['revision']}"
    looks = [look["number"] for look in document["looks"]][-_MOST_EARLIER:]
    return document, readable(
        json.loads(get(url, key, f"{place}/looks/{number}{of_revision}")) for number in looks
    )


def _warn(what: str, document: Any) -> None:
    from equipoise_service.readouts.verification import verify_readout

    found = verify_readout(document)
    if found:
        places = f"{len(found)} {'place' if len(found) == 1 else 'places'}, first {found[0].pointer or '/'}"
        typer.secho(
            f"{what} disagrees with its own statistics ({places}): do not rely on it. `equipoise verify` "
            "lists where.",
            fg="red",
            err=True,
        )


def _content(document: Any, before: "list[Readout]", form: Form) -> bytes:
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
    document: Any, before: "list[Readout]", form: Form, name: str | None, output: Path | None
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
