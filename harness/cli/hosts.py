"""`tri hosts up|down|list`: hosts apart from a run, to look around in or to run several campaigns on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from .console import out, say

if TYPE_CHECKING:
    from ..hosts.local import LocalProvider

DEFAULT_LAB = "default"
LEASE_S = 600.0
STAYS_S = 12 * 3600.0
"""Who uses emulated machines through their inventory renews no lease of the lab."""

provider_option = click.option(
    "--provider",
    type=click.Choice(["local", "qemu", "vagrant"]),
    default="local",
    show_default=True,
    help="Of which make.",
)


@click.group("hosts")
def command() -> None:
    """Bring hosts up or down, or list labs: local hosts, emulated machines, Vagrant's."""


@command.command("up")
@provider_option
@click.option("--nodes", type=click.IntRange(1, 32), help="How many; default 5, of emulated and Vagrant's machines 3.")
@click.option("--name", default=DEFAULT_LAB, show_default=True, help="The lab's name (local, qemu).")
@click.option(
    "--clock",
    type=click.Choice(["library", "system"]),
    default="library",
    show_default=True,
    help="What clock faults set (qemu, vagrant): a library's clock, or the machine's own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def up(provider: str, nodes: int | None, name: str, clock: str, as_json: bool) -> None:
    """Bring up NODES hosts.

    A local lab goes down by itself 10 minutes after its last use, one of emulated machines after 12 hours. Of machines the inventory is printed as well, which every other command takes.
    """
    nodes = nodes or (5 if provider == "local" else 3)
    say(f"bringing up {nodes} {provider} hosts")
    made = _provider(provider, nodes, name, clock)
    hosts = [{"name": host.name, "address": host.address} for host in made.up()]
    made.close()
    inventory = str(made.inventory) if provider != "local" else None
    if as_json:
        told = {"lab": name, "hosts": hosts, **({"inventory": inventory} if inventory else {})}
        out.print_json(json.dumps(told))
        return
    for host in hosts:
        out.print(f"{host['name']}  {host['address']}")
    if inventory:
        out.print(f"inventory: {inventory}", soft_wrap=True)


def _provider(provider: str, nodes: int, name: str, clock: str) -> Any:
    from ..hosts.chosen import Chosen, provider_of

    lease_s = STAYS_S if provider == "qemu" else LEASE_S
    return provider_of(Chosen(provider, nodes=nodes, clock=clock), name=name, lease_s=lease_s)


@command.command("down")
@provider_option
@click.option("--name", default=None, help="The lab's name; all labs of yours when left out (local, qemu).")
def down(provider: str, name: str | None) -> None:
    """Take a lab down, or all of them: processes, namespaces and files. Vagrant's machines are halted, and stay as they are."""
    if provider == "vagrant":
        from ..hosts.vagrant import VagrantProvider

        VagrantProvider().halt()
        out.print("Vagrant's machines are halted")
        return
    names = [name] if name is not None else [lab.name for lab in _labs(provider)]
    for each in names:
        _lab(provider, each).down()
        out.print(f"{each} is down")
    if not names:
        say("no lab is up")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def listing(as_json: bool) -> None:
    """List the labs of this user, also those left behind by a process that was killed."""
    labs = [(provider, lab) for provider in ("local", "qemu") for lab in _labs(provider)]
    if as_json:
        rows = [
            {
                "name": lab.name,
                "provider": provider,
                "nodes": lab.nodes,
                "alive": lab.alive,
                "directory": str(lab.directory),
            }
            for provider, lab in labs
        ]
        out.print_json(json.dumps(rows))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("lab", "provider", "hosts", "state", "directory"):
        table.add_column(heading)
    for provider, lab in labs:
        table.add_row(lab.name, provider, str(lab.nodes), "up" if lab.alive else "stale", str(lab.directory))
    out.print(table) if labs else say("no lab is up")


def _labs(provider: str) -> list[Any]:
    from ..hosts.local import list_labs
    from ..hosts.qemu import list_machine_labs

    return list(list_labs() if provider == "local" else list_machine_labs())


def _lab(provider: str, name: str) -> LocalProvider:
    from ..hosts.local import LocalProvider
    from ..hosts.qemu import QemuProvider

    return LocalProvider(name=name) if provider == "local" else QemuProvider(name=name)
