"""`equipoise readout`: a readout from a service or a file, in the terminal or in another form."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.readout_forms import NEED_FIGURES, Form, check_form, form_of, write_readout
from equipoise_service.cli.service_address import DEFAULT_URL, Key, NotYet, Url, checked_key, checked_url, get

if TYPE_CHECKING:
    from equipoise_service.readouts.schemas import Readout

_MOST_EARLIER = 60


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
    after: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The readout that was repeated so many days after the ship, on those who were held back.",
            metavar="DAYS",
        ),
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
    form = form_of(form, output)
    check_form(form, output, figure)
    from equipoise_service.readouts.reading import NotAReadout, read_document, readout_of

    try:
        if Path(what).is_file():
            if revision is not None or after is not None:
                raise Failure(
                    f"{what} is a file with the readout of one revision: --revision and --after are for an "
                    "experiment's key. Leave them out."
                )
            document = read_document(Path(what))
            _warn(what, document)
            before = [readout_of(read_document(each)) for each in earlier or ()]
        elif after is not None:
            document, before = _repeated(what, after, checked_url(url), checked_key(key, "read")), []
        else:
            document, before = _asked(what, form, revision, checked_url(url), checked_key(key, "read"))
        readout_of(document)
    except NotAReadout as error:
        raise Failure(str(error)) from None
    write_readout(document, before, form, figure=figure, output=output)


def _asked(
    experiment: str, form: Form, revision: int | None, url: str, key: str
) -> "tuple[Any, list[Readout]]":
    """The readout that a service has, and those of the looks where figures are drawn."""
    import json

    from equipoise_service.readouts.reading import readable

    place = f"/v1/experiments/{quote(experiment, safe='')}"
    # Computed anew: who types a command asks about now.
    of_revision = "" if revision is None else f"&revision={revision}"
    try:
        document = json.loads(get(url, key, f"{place}/readout?wait=60{of_revision}"))
    except NotYet:
        # One that is computed for longer than that may have an earlier one beside it.
        document = json.loads(get(url, key, f"{place}/readout{of_revision.replace('&', '?')}"))
        typer.secho(
            f"This is the readout of {document['generated_at']}; a newer one is being computed.",
            fg="yellow",
            err=True,
        )
    if form not in NEED_FIGURES:
        return document, []
    of_revision = f"?revision={document['revision']}"
    looks = [look["number"] for look in document["looks"]][-_MOST_EARLIER:]
    return document, readable(
        json.loads(get(url, key, f"{place}/looks/{number}{of_revision}")) for number in looks
    )


def _repeated(experiment: str, days: int, url: str, key: str) -> Any:
    """The readout that a service has repeated on a holdback."""
    import json

    return json.loads(get(url, key, f"/v1/experiments/{quote(experiment, safe='')}/repeats/{days}"))


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
