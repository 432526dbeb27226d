"""`tri heal`: undo every fault that may still be in force, with or without a ledger. Safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import out, say

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..hosts.local import LocalProvider
    from ..hosts.ssh import SshProvider


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

    undone: list[str] = []
    for cluster, provider in _clusters(inventory):
        say(f"healing {cluster}")
        try:
            undone += heal(_everywhere(provider))
        finally:
            provider.close()
    if as_json:
        out.print_json(json.dumps({"undone": undone}))
        return
    for entry in undone:
        out.print(entry, markup=False, highlight=False)
    if not undone:
        say("nothing was in force")


def _clusters(inventory: Path | None) -> Iterator[tuple[str, SshProvider | LocalProvider]]:
    if inventory is not None:
        from ..hosts.ssh import SshProvider

        yield str(inventory), SshProvider.from_file(inventory)
        return
    from ..hosts.local import LocalProvider, list_labs

    for lab in list_labs():
        if lab.alive:
            yield f"lab {lab.name}", LocalProvider.find(lab.name)


def _everywhere(provider: SshProvider | LocalProvider) -> Sequence[Host]:
    """The hosts, and the clients' place where that is one of its own: it can be cut off too."""
    hosts, clients = provider.up(), provider.client_host()
    return [*hosts, *([clients] if clients is not None else [])]
