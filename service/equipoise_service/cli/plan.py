"""`equipoise plan power`: what a plan needs, in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url

if TYPE_CHECKING:
    from equipoise_service.power.schemas import HorizonOut, MetricPower, PowerOut, Reach

plan = typer.Typer(help="Plan experiments.", no_args_is_help=True)


@plan.callback()
def _group() -> None:
    """Plan experiments."""


@plan.command()
def power(
    asked: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT|FILE.json",
            help="A registered experiment's key, or a file with a body of POST /v1/plans/power.",
        ),
    ],
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON.")] = False,
) -> None:
    """Say how many units and days a plan needs, and how small an effect it finds by when.

    Exit status 0: it is known what it needs; 1: something is missing; 2: it could not be asked.
    """
    from equipoise_service.cli.definitions.api import Api
    from equipoise_service.power.schemas import PowerOut

    body = _read(Path(asked)) if asked.endswith(".json") else {"experiment": asked}
    api = Api(checked_url(url), checked_key(key, "read"))
    found = PowerOut.model_validate(api.post("/v1/plans/power", body))
    typer.echo(found.model_dump_json(indent=2) if as_json else "\n".join(_said(found)))
    raise typer.Exit(1 if found.units is None else 0)


def _read(file: Path) -> dict[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}.") from None
    except msgspec.DecodeError as error:
        raise Failure(f"{file} is no JSON object: {error}.") from None


def _said(found: "PowerOut") -> list[str]:
    if found.units is None:
        lines = [f"What it needs is not known. {found.reason}."]
    else:
        time = "no traffic to tell how long" if found.days is None else f"{found.days} days"
        lines = [f"It needs {found.units:,} units, {time}; {found.binding} needs the most."]
    if found.traffic.daily_units is not None:
        lines.append(f"New units a day: {found.traffic.daily_units:,.0f}.")
    lines += ["", *(_metric(each) for each in found.metrics)]
    for horizon in found.horizons:
        lines += ["", *_horizon(horizon)]
    return [*lines, *(["", *found.notes] if found.notes else [])]


def _metric(found: "MetricPower") -> str:
    value = "unknown" if found.value is None else f"{found.value:.6g}"
    need = found.reason if found.units is None else f"{found.units:,} units"
    return f"{found.metric} ({found.role}): now {value}; {need}"


def _horizon(found: "HorizonOut") -> list[str]:
    shown = "" if found.power is None else f", ships a change as planned with {100 * found.power:.0f} %"
    return [
        f"{found.days} days, {found.units:,} units{shown}",
        *(f"  {_reach(each)}" for each in found.metrics),
    ]


def _reach(found: "Reach") -> str:
    if found.difference is None:
        return f"{found.metric}: {found.reason}"
    lift = "" if found.lift is None else f" ({100 * found.lift:+.3g} %)"
    return f"{found.metric}: finds {found.difference:.4g}{lift}"
