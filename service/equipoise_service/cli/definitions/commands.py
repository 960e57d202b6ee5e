"""`equipoise apply` and `equipoise export`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise_service.cli.failures import Failure
from equipoise_service.cli.service_address import DEFAULT_URL, Key, Url, checked_key, checked_url

if TYPE_CHECKING:
    from equipoise_service.cli.definitions.planning import Step

_SIGNS = {"create": "+", "change": "~", "restore": "~", "archive": "-", "delete": "-"}


def apply(
    files: Annotated[
        list[Path], typer.Option("--file", "-f", help="YAML or JSON; repeat for several; - is the input.")
    ],
    url: Url = DEFAULT_URL,
    key: Key = None,
    yes: Annotated[bool, typer.Option("--yes", help="Apply without asking.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Archive or delete what is in no file, of the kinds in them.")
    ] = False,
    plan_only: Annotated[
        bool, typer.Option("--plan", help="Show the plan alone; exit status 3 where it would do anything.")
    ] = False,
    reason: Annotated[
        str | None,
        typer.Option(help="Why sources change that started experiments read; their readouts will show it."),
    ] = None,
) -> None:
    """Make the service's metrics, sources and segments what the files say.

    It shows what it would do and asks. Applying the same again changes nothing.
    """
    from equipoise_service.cli.definitions.api import Api
    from equipoise_service.cli.definitions.files import read_files
    from equipoise_service.cli.definitions.planning import Action, carry_out, make_steps

    wanted = read_files(files)
    api = Api(checked_url(url), checked_key(key, "write"))
    steps = make_steps(api, wanted, prune=prune)
    doing = [step for step in steps if step.action is not Action.UNCHANGED]
    typer.echo(_plan(doing, len(steps) - len(doing), reason))
    if plan_only:
        raise typer.Exit(3 if doing else 0)
    if not doing:
        return
    if reason is None and any(step.recorded_for for step in doing):
        raise Failure("Nothing was changed: say why with --reason, as the plan asks for.")
    if not yes:
        if not sys.stdin.isatty():
            raise Failure("Nothing was changed: say --yes to apply without being asked.")
        typer.confirm("Apply?", abort=True)
    for number, step in enumerate(doing):
        try:
            carry_out(api, step, reason)
        except Failure as failure:
            raise Failure(
                f"{failure}\n{number} of {len(doing)} steps were done; {step.kind.name} {step.key} and what "
                "comes after it were not. Mend it and apply again: what was done stays done."
            ) from None
    typer.echo(f"Applied {len(doing)} of {len(doing)}.")


def export(
    url: Url = DEFAULT_URL,
    key: Key = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="metric, source or segment; repeat for several; all without.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON instead of YAML.")] = False,
    parquet: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Write exposures and events there, as Parquet, instead."),
    ] = None,
) -> None:
    """Write the service's metrics, sources and segments as `equipoise apply` reads them.

    With --parquet: the exposures and events of the key's environment, a file a day. Run again, it writes what
    is new.
    """
    if parquet is not None:
        from equipoise_service.cli.lakehouse import export_parquet

        if kind or as_json:
            raise Failure("--kind and --json are for definitions, --parquet is for exposures and events.")
        export_parquet(checked_url(url), checked_key(key, "admin"), parquet)
        return
    from equipoise_service.cli.definitions.api import Api
    from equipoise_service.cli.definitions.files import written
    from equipoise_service.cli.definitions.kinds import KINDS

    for name in kind or ():
        if name not in KINDS:
            raise Failure(f"--kind {name}: it is one of {', '.join(KINDS)}.")
    api = Api(checked_url(url), checked_key(key, "read"))
    found = {
        name: {
            body["key"]: each.normal(each.of_service(api, body))
            for body in api.all(each.path)
            if body.get("archived_at") is None
        }
        for name, each in KINDS.items()
        if not kind or name in kind
    }
    typer.echo(written(found, as_json=as_json), nl=False)


def _plan(doing: "list[Step]", unchanged: int, reason: str | None) -> str:
    lines: list[str] = []
    for step in doing:
        used = f", which {', '.join(step.used_by)} uses" if step.used_by else ""
        lines.append(f"{_SIGNS[step.action]} {step.action} {step.kind.name} {step.key}{used}")
        if step.action in ("change", "restore"):
            lines += [f"    {name}: {before} -> {after}" for name, before, after in step.differences()]
        if step.recorded_for:
            why = "needs --reason" if reason is None else f"because: {reason}"
            lines.append(f"    recorded in the readouts of {', '.join(step.recorded_for)}; {why}")
    counts: dict[str, int] = {}
    for step in doing:
        counts[step.action] = counts.get(step.action, 0) + 1
    said = [f"{count} to {action}" for action, count in counts.items()] + [f"{unchanged} unchanged"]
    return "\n".join([*lines, ", ".join(said) + "."])
