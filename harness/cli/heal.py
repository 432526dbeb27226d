"""`tri heal`: undo every fault that may still be in force, with or without a ledger. Safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from ..hosts.base import Host
from .console import out, say


@click.command("heal")
@click.option(
    "--hosts",
    "inventory",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An inventory; default: every local lab.",
)
@click.option("--json", "as_json", is_flag=True, help='Print {"undone": […]}.')
def command(inventory: Path | None, as_json: bool) -> None:
    """Undo faults on local labs, or on the hosts of an inventory, and say what was undone."""
    from ..nemesis.heal import heal

    undone = [entry for hosts in _clusters(inventory) for entry in heal(hosts)]
    if as_json:
        out.print_json(json.dumps({"undone": undone}))
        return
    for entry in undone:
        out.print(str(entry))
    if not undone:
        say("nothing was in force")


def _clusters(inventory: Path | None) -> Sequence[Sequence[Host]]:
    if inventory is not None:
        from ..hosts.ssh import SshProvider

        return [SshProvider.from_file(inventory).up()]
    from ..hosts.local import LocalProvider, list_labs

    return [LocalProvider.find(lab.name).up() for lab in list_labs() if lab.alive]
