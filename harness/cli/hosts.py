"""`tri hosts up|down|list`: local hosts apart from a run, to look around in or to run several campaigns on."""

from __future__ import annotations

import json

import click
from rich.table import Table

from .console import out, say

DEFAULT_LAB = "default"


@click.group("hosts")
def command() -> None:
    """Bring local hosts up or down, or list them."""


@command.command("up")
@click.option("--nodes", type=click.IntRange(1, 32), default=5, show_default=True)
@click.option("--name", default=DEFAULT_LAB, show_default=True, help="The lab's name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def up(nodes: int, name: str, as_json: bool) -> None:
    """Bring up a lab of NODES hosts; it goes down by itself 10 minutes after its last use."""
    from ..hosts.local import LocalProvider

    say(f"bringing up {nodes} local hosts")
    provider = LocalProvider(nodes=nodes, name=name)
    hosts = [{"name": host.name, "address": host.address} for host in provider.up()]
    provider.close()
    if as_json:
        out.print_json(json.dumps({"lab": name, "hosts": hosts}))
        return
    for host in hosts:
        out.print(f"{host['name']}  {host['address']}")


@command.command("down")
@click.option("--name", default=None, help="The lab's name; all labs of yours when left out.")
def down(name: str | None) -> None:
    """Take a lab down, or all of them: processes, namespaces and files."""
    from ..hosts.local import LocalProvider, list_labs

    names = [name] if name is not None else [lab.name for lab in list_labs()]
    for each in names:
        LocalProvider(name=each).down()
        out.print(f"{each} is down")
    if not names:
        say("no lab is up")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def listing(as_json: bool) -> None:
    """List the labs of this user, also those left behind by a process that was killed."""
    from ..hosts.local import list_labs

    labs = list_labs()
    if as_json:
        rows = [
            {"name": lab.name, "nodes": lab.nodes, "alive": lab.alive, "directory": str(lab.directory)} for lab in labs
        ]
        out.print_json(json.dumps(rows))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("lab", "hosts", "state", "directory"):
        table.add_column(heading)
    for lab in labs:
        table.add_row(lab.name, str(lab.nodes), "up" if lab.alive else "stale", str(lab.directory))
    out.print(table) if labs else say("no lab is up")
