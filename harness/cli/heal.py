"""`tri heal`: undo every fault that may still be in force, with or without a ledger. Safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from .console import out, say
from .options import hosts_option

if TYPE_CHECKING:
    from ..hosts.base import Host, Provider
    from ..hosts.local import LocalProvider
    from ..hosts.ssh import SshProvider
    from ..hosts.vagrant import VagrantProvider


@click.command("heal")
@hosts_option("Which hosts; default: every local lab. `qemu`: every lab of emulated machines.")
@click.option("--json", "as_json", is_flag=True, help='Print {"undone": […]}.')
def command(hosts: str | None, as_json: bool) -> None:
    """Undo faults on local labs, or on other hosts, and say what was undone."""
    from ..nemesis.heal import heal

    undone: list[str] = []
    for cluster, provider in _clusters(hosts or "local"):
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


def _clusters(hosts: str) -> Iterator[tuple[str, SshProvider | LocalProvider | VagrantProvider]]:
    """Labs are found, not made: one that is down has no fault in force."""
    from ..hosts.chosen import chosen
    from ..hosts.local import LocalProvider, list_labs
    from ..hosts.qemu import QemuProvider, list_machine_labs
    from ..hosts.ssh import SshProvider
    from ..hosts.vagrant import VagrantProvider

    choice = chosen(hosts)
    if choice.inventory is not None:
        yield hosts, SshProvider.from_file(choice.inventory)
    elif choice.provider == "vagrant":
        yield hosts, VagrantProvider()
    else:
        labs, kind = (list_labs(), LocalProvider) if hosts == "local" else (list_machine_labs(), QemuProvider)
        for lab in labs:
            if lab.alive:
                yield f"lab {lab.name}", kind.find(lab.name)


def _everywhere(provider: Provider) -> Sequence[Host]:
    """The hosts, and the clients' place where that is one of its own: it can be cut off too."""
    hosts, clients = provider.up(), provider.client_host()
    return [*hosts, *([clients] if clients is not None else [])]
