"""`equipoise events tail|rejected|counters`: what comes into a running service, and what it refused."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url, get

events = typer.Typer(help="See what is sent, what was refused and why.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one item a line, for programs.")]

# The service sends a sign of life every 15 seconds.
_SILENCE_SECONDS = 60.0


class KindName(StrEnum):
    """The kinds of items, as the command line offers them."""

    exposure = "exposure"
    event = "event"
    line = "line"


@events.command()
def tail(
    name: Annotated[str | None, typer.Option(help="Only events of this name.")] = None,
    experiment: Annotated[str | None, typer.Option(help="Only exposures to this experiment.")] = None,
    unit: Annotated[str | None, typer.Option(help="Only items of this unit.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show exposures and events as they are stored, until Ctrl-C."""
    from rich.console import Console

    console = Console(soft_wrap=True)
    query = _query({"name": name, "experiment": experiment, "unit": unit})
    told = _told(checked_url(url), checked_key(key, "read"), f"/v1/events/tail{query}")
    try:
        for kind, item in told:
            if as_json:
                typer.echo(json.dumps({"kind": kind, **item}))
            elif kind == "skipped":
                console.print(f"… {item['count']:,} more came and are not shown", style="yellow")
            else:
                console.print(_line(kind, item), highlight=False, markup=False)
    except KeyboardInterrupt:
        return


@events.command()
def rejected(
    since_hours: Annotated[float, typer.Option(min=0, max=87_600, help="How far back, in hours.")] = 24.0,
    kind: Annotated[KindName | None, typer.Option(help="Only of this kind.")] = None,
    reason: Annotated[str | None, typer.Option(help="Only where the reason has this text.")] = None,
    sender: Annotated[str | None, typer.Option(help="Only of the key with this id.")] = None,
    most: Annotated[int, typer.Option(min=1, max=100_000, help="Show at most so many.")] = 100,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """List what the service refused, with the reason, oldest first."""
    since = datetime.now(UTC) - timedelta(hours=since_hours)
    query = {"since": since.isoformat(), "kind": kind, "reason": reason, "key": sender}
    found = _pages(checked_url(url), checked_key(key, "read"), "/v1/events/rejected", query, most + 1)
    shown = found[:most]
    if as_json:
        for each in shown:
            typer.echo(json.dumps(each))
        return
    _print_rejected(shown, more=len(found) > most)


@events.command()
def counters(
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days, today among them.")] = 7,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Show how much each key sent on each day, and what became of it."""
    from rich.console import Console
    from rich.table import Table

    address, opened = checked_url(url), checked_key(key, "read")
    found = _pages(address, opened, "/v1/events/counters", {"days": str(days)}, 1_000_000)
    if as_json:
        for each in found:
            typer.echo(json.dumps(each))
        return
    table = Table("day", "key", "kind")
    for heading in ("accepted", "duplicate", "refused"):
        table.add_column(heading, justify="right")
    for each in found:
        counts = (f"{each[name]:,}" for name in ("accepted", "duplicate", "refused"))
        table.add_row(each["day"], each["key"] or "(none)", each["kind"], *counts)
    Console().print(table)


def _print_rejected(shown: list[dict[str, Any]], *, more: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not shown:
        console.print("Nothing was refused.")
        return
    table = Table("received (UTC)", "kind", "where", "reason", "item")
    for each in shown:
        received = datetime.fromisoformat(each["received_at"])
        # What was sent is shown as text: it must not colour the terminal.
        texts = (each["pointer"], each["reason"], _printable(each["item"])[:300])
        table.add_row(f"{received:%Y-%m-%d %H:%M:%S}", each["kind"], *(Text(text) for text in texts))
    console.print(table)
    if more:
        console.print("There are more: raise --most, or narrow it with --reason, --kind, --sender.")


def _line(kind: str, item: Mapping[str, Any]) -> str:
    """An item on one line, as a person reads it."""
    if kind == "exposure":
        what = f"{item['experiment']} = {item['variant']} (revision {item['revision']})"
    else:
        what = str(item["name"]) + (f" {item['value']:g}" if "value" in item else "")
    properties = f"  {json.dumps(item['properties'], ensure_ascii=False)}" if "properties" in item else ""
    text = (
        f"{item['received_at'][:23]:<23}  {kind:<8}  {item['unit_type']} {item['unit']}  {what}{properties}"
    )
    return _printable(text)


def _printable(text: str) -> str:
    """Text without characters that move the cursor or colour the terminal."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


def _query(given: Mapping[str, str | None]) -> str:
    from urllib.parse import urlencode

    text = urlencode({name: value for name, value in given.items() if value is not None})
    return f"?{text}" if text else ""


def _pages(url: str, key: str, path: str, query: Mapping[str, str | None], most: int) -> list[dict[str, Any]]:
    """The items of a list, page after page."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {**query, "limit": str(min(500, most - len(found))), "cursor": cursor}
        page = json.loads(get(url, key, path + _query(asked)))
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None or len(found) >= most:
            return found


def _told(url: str, key: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and data of each event of a stream, until it ends.

    Raises:
        Failure: It cannot be opened, or breaks.
    """
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    try:
        asked = Request(url + path, headers=headers)  # noqa: S310 - the scheme was checked
        with urlopen(asked, timeout=_SILENCE_SECONDS) as answer:  # noqa: S310 - as above
            name = ""
            for line in answer:
                field, _, value = line.decode().rstrip("\r\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)
    except HTTPError as error:
        with error:
            raise Failure(f"{url}: {_said(error.read(), error.code)}") from None
    except (OSError, HTTPException) as error:
        raise Failure(f"The service at {url} cannot be reached: {error}.") from None
    raise Failure("The service ended the stream: it stops, the key was revoked, or its store is away.")


def _said(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"answered {status}; is it an Equipoise service?"
