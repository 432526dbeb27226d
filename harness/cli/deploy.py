"""`tri deploy up|status|down INVENTORY`: the reference cluster on machines of one's own, apart from a campaign."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from ..errors import TribulationError
from .console import out, say

if TYPE_CHECKING:
    from ..deploy.deploy import HostResult

INVENTORY = click.argument("inventory", type=click.Path(exists=True, dir_okay=False, path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group("deploy")
def command() -> None:
    """Deploy the reference cluster to the hosts of an INVENTORY."""


@command.command("up")
@INVENTORY
@click.option("--timing", type=click.Choice(["default", "fast"]), default="default", show_default=True)
@JSON
def up(inventory: Path, timing: str, as_json: bool) -> int:
    """Install and start a node on every host; what is right already is left alone."""
    from ..deploy.deploy import deploy_up

    service, hosts = _cluster(inventory, timing)
    say(f"deploying to {len(hosts)} hosts")
    return _show(lambda: deploy_up(service, hosts), as_json)


@command.command("status")
@INVENTORY
@JSON
def status(inventory: Path, as_json: bool) -> int:
    """Ask every node how it is."""
    from ..deploy.deploy import deploy_status

    service, hosts = _cluster(inventory, "default")
    return _show(lambda: deploy_status(service, hosts), as_json)


@command.command("down")
@INVENTORY
@JSON
def down(inventory: Path, as_json: bool) -> int:
    """Stop the nodes and remove what was put there."""
    from ..deploy.authority import kept_directory
    from ..deploy.deploy import deploy_down

    service, hosts = _cluster(inventory, "default")
    code = _show(lambda: deploy_down(service, hosts), as_json)
    if code == 0:
        shutil.rmtree(kept_directory(inventory.stem))
    return code


def _cluster(inventory: Path, timing: str) -> tuple[Any, Any]:
    from ..deploy.authority import kept_directory
    from ..hosts.ssh import SshProvider
    from ..systems.reference import ReferenceService

    provider = SshProvider.from_file(inventory)
    # Those that cannot be logged in to as well: each says why, beside the others' results.
    hosts = provider.each()
    options = {"cluster": inventory.stem, "timing": timing, "keep_data": True, "tls": True}
    return ReferenceService({**options, "authority": str(kept_directory(inventory.stem))}), hosts


def _show(act: Callable[[], Sequence[HostResult]], as_json: bool) -> int:
    """Every host's result, the good ones of an attempt that failed elsewhere too; then the error, if there was one."""
    from ..deploy.deploy import NotOnAllHosts

    try:
        results = act()
    except NotOnAllHosts as error:
        _print(error.results, as_json)
        raise
    _print(results, as_json)
    errors = [result.error for result in results if result.error is not None]
    for hint in dict.fromkeys(error.hint for error in errors if isinstance(error, TribulationError) and error.hint):
        say(f"hint: {hint}")
    return 4 if errors else 0


def _print(results: Sequence[HostResult], as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps({"hosts": [_row(result) for result in results]}))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("host", "", "detail", "s"):
        table.add_column(heading, overflow="fold")
    for result in results:
        mark = "[green]ok[/]" if result.ok else "[red]failed[/]"
        table.add_row(result.host, mark, Text(result.detail), f"{result.elapsed_s:.2f}")
    out.print(table)


def _row(result: HostResult) -> dict[str, Any]:
    """As JSON; an error as its whole text."""
    row = {field.name: getattr(result, field.name) for field in fields(result)}
    return {**row, "error": None if result.error is None else str(result.error)}
