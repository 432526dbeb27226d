"""`tri deploy up|status|down INVENTORY`: the reference cluster on machines of one's own, apart from a campaign."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

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
    return _show(deploy_up(service, hosts), as_json)


@command.command("status")
@INVENTORY
@JSON
def status(inventory: Path, as_json: bool) -> int:
    """Ask every node how it is."""
    from ..deploy.deploy import deploy_status

    service, hosts = _cluster(inventory, "default")
    return _show(deploy_status(service, hosts), as_json)


@command.command("down")
@INVENTORY
@JSON
def down(inventory: Path, as_json: bool) -> int:
    """Stop the nodes and remove what was put there."""
    from ..deploy.deploy import deploy_down

    service, hosts = _cluster(inventory, "default")
    return _show(deploy_down(service, hosts), as_json)


def _cluster(inventory: Path, timing: str) -> tuple[Any, Any]:
    from ..hosts.ssh import SshProvider
    from ..systems.reference import ReferenceService

    provider = SshProvider.from_file(inventory)
    hosts = provider.up()
    return ReferenceService({"cluster": inventory.stem, "timing": timing}), hosts


def _show(results: Sequence[HostResult], as_json: bool) -> int:
    if as_json:
        out.print_json(json.dumps({"hosts": [asdict(result) for result in results]}, default=str))
    else:
        table = Table(box=None, pad_edge=False)
        for heading in ("host", "", "detail", "s"):
            table.add_column(heading, overflow="fold")
        for result in results:
            mark = "[green]ok[/]" if result.ok else "[red]failed[/]"
            table.add_row(result.host, mark, str(result.error or result.detail), f"{result.elapsed_s:.2f}")
        out.print(table)
    return 0 if all(result.ok for result in results) else 4
