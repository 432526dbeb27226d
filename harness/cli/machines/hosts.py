"""`tri hosts up|down|list`: hosts that no run starts or ends, to look at or for several campaigns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from ...errors import CampaignError
from ..choices import Group, Named
from ..console import out, say
from ..options import F, renamed_option

if TYPE_CHECKING:
    from ...campaign.model import HostsSpec
    from ...hosts.local import LocalProvider
    from ...hosts.local.layout.state import Lab

DEFAULT_LAB = "default"
LEASE_S = 600.0
MACHINES = 3
"""Number of emulated or Vagrant's machines without --nodes."""
STAYS_S = 12 * 3600.0
"""The lease of a lab of emulated machines. It is long because commands that use the inventory do not renew it."""


def _of_provider(command: F) -> F:
    """Add `--hosts`, which the command gets as `provider`. Unlike in other commands it is no inventory: machines of inventories are already up."""
    option = click.option(
        "--hosts",
        "provider",
        type=Named("provider of hosts", ("local", "qemu", "vagrant")),
        default="local",
        show_default=True,
        help="The kind of hosts.",
    )
    return renamed_option("--provider", "--hosts", has_value=True)(option(command))


@click.group("hosts", cls=Group)
def command() -> None:
    """Bring hosts up or down, or list labs: local hosts, emulated machines, Vagrant's machines."""


@command.command("up")
@_of_provider
@click.option(
    "--nodes",
    type=click.IntRange(1, 32),
    help="How many hosts; default 5, or the sum of the regions; 3 for emulated machines and Vagrant.",
)
@click.option("--regions", metavar="eu=2,us=2", help="Regions, each a routed subnet with this number of hosts (local).")
@click.option(
    "--wan",
    metavar="[PAIR:]delay=40ms,rate=20mbit",
    multiple=True,
    help="Delays and rates between all regions, or between two of them (`eu-us:delay=90ms`): delay, jitter, rate.",
)
@click.option("--name", default=DEFAULT_LAB, show_default=True, help="The lab's name (local, qemu).")
@click.option(
    "--clock",
    type=Named("clock", ("library", "system")),
    default="library",
    show_default=True,
    help="The clock that clock faults change (qemu, vagrant): that of a library, or the machine's own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def up(
    provider: str,
    nodes: int | None,
    regions: str | None,
    wan: tuple[str, ...],
    name: str,
    clock: str,
    as_json: bool,
) -> None:
    """Bring up NODES hosts.

    A local lab goes down by itself 10 minutes after its last use, a lab of emulated machines after 12 hours. For emulated machines and Vagrant, the
    inventory is printed too; other commands accept it as --hosts.
    """
    spec = _spec(provider, nodes, regions, wan, clock)
    say(f"bringing up {spec.nodes} {provider} hosts")
    made = _provider(spec, name)
    hosts = [{"name": host.name, "address": host.address} for host in made.up()]
    made.close()
    document: dict[str, Any] = {"lab": name, "hosts": hosts}
    if provider != "local":
        document["inventory"] = str(made.inventory)
    if spec.placed:
        document |= {"regions": dict(spec.placed.names), "measured": [asdict(one) for one in made.measured]}
    if as_json:
        out.print_json(json.dumps(document))
    else:
        _print(document, made.distances() if spec.placed else {})


def _print(document: Mapping[str, Any], distances: Mapping[str, str]) -> None:
    regions = document.get("regions", {})
    for host in document["hosts"]:
        out.print("  ".join([host["name"], host["address"], *filter(None, [regions.get(host["name"])])]))
    for pair, what in distances.items():
        say(f"{pair}: {what}")
    if "inventory" in document:
        out.print(f"inventory: {document['inventory']}", soft_wrap=True)


def _spec(provider: str, nodes: int | None, regions: str | None, wan: tuple[str, ...], clock: str) -> HostsSpec:
    """Return the hosts as a campaign's `hosts:` would have them. Raises `CampaignError`."""
    from pydantic import ValidationError

    from ...campaign.model import HostsSpec

    data: dict[str, Any] = {"provider": provider, "clock": clock}
    if nodes is not None or provider != "local":
        data["nodes"] = nodes or MACHINES
    if regions is not None:
        data["regions"] = _fields("--regions", regions)
    for each in wan:
        pair, separator, rest = each.rpartition(":")
        found = data.setdefault("wan", {})
        (found.setdefault("between", {}).setdefault(pair, {}) if separator else found).update(_fields("--wan", rest))
    try:
        return HostsSpec.model_validate(data)
    except ValidationError as error:
        text = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        hint = "for example --regions eu=2,us=2,ap=1 --wan delay=40ms,rate=20mbit --wan us-ap:delay=90ms"
        raise CampaignError(f"hosts with these regions are not possible: {text}", hint=hint) from None


def _fields(option: str, text: str) -> dict[str, Any]:
    pairs = [part.partition("=") for part in text.split(",")]
    if bad := [name for name, separator, value in pairs if not (name and separator and value)]:
        raise CampaignError(f"{option} {text!r}: {bad[0]!r} is not name=value", hint="separate them by commas")
    return {name.strip(): int(value) if value.isdecimal() else value.strip() for name, _, value in pairs}


def _provider(spec: HostsSpec, name: str) -> Any:
    from ...hosts.selection.chosen import Chosen, provider_of

    lease_s = STAYS_S if spec.provider == "qemu" else LEASE_S
    choice = Chosen(spec.provider, nodes=spec.nodes, clock=spec.clock, regions=spec.placed)
    return provider_of(choice, name=name, lease_s=lease_s, kept=True)


@command.command("down")
@_of_provider
@click.option("--name", default=None, help="The lab's name (local, qemu).")
@click.option("--all", "every", is_flag=True, help="All your labs, also those that stay up or are in use.")
def down(provider: str, name: str | None, every: bool) -> None:
    """Take labs down: processes, namespaces and files. Without --name: the lab `default`, and labs whose process was killed.

    Labs that other processes use, and those that were brought up under another name, stay. Vagrant's machines are halted, not removed.
    """
    if name is not None and every:
        raise CampaignError(f"--name {name} and --all exclude each other", hint="leave one of them out")
    if provider == "vagrant":
        from ...hosts.ssh.vagrant import VagrantProvider

        VagrantProvider().halt()
        out.print("Vagrant's machines are halted")
        return
    labs = [] if name is not None else _labs(provider)
    names = [name] if name is not None else [lab.name for lab in labs if every or _goes(lab)]
    for each in names:
        _lab(provider, each).down()
        out.print(f"{each} is down")
    left = [lab for lab in labs if lab.name not in names]
    for lab in left:
        say(f"{lab.name} stays: {LEFT[lab.standing]}")
    if left:
        say("hint: --name NAME takes one of them down, --all takes down all")
    elif not names:
        say("no lab is up")


LEFT = {"in use": "a process uses it", "up": "it was started to stay up, under this name"}
"""Why a lab that was not named stays up."""


def _goes(lab: Lab) -> bool:
    """Return whether the lab goes down without being named: nothing needs it any more, or it is the default one."""
    return lab.standing in ("stale", "unused") or (lab.standing == "up" and lab.name == DEFAULT_LAB)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def listing(as_json: bool) -> None:
    """List the labs of this user with their state: up, in use (by a process), unused (its process has ended), stale (its supervisor has ended)."""
    labs = [(provider, lab) for provider in ("local", "qemu") for lab in _labs(provider)]
    if as_json:
        rows = [
            {
                "name": lab.name,
                "provider": provider,
                "nodes": lab.nodes,
                "alive": lab.alive,
                "state": lab.standing,
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
        table.add_row(lab.name, provider, str(lab.nodes), lab.standing, str(lab.directory))
    out.print(table) if labs else say("no lab is up")


def _labs(provider: str) -> list[Lab]:
    from ...hosts.local import list_labs
    from ...hosts.qemu import list_machine_labs

    return list(list_labs() if provider == "local" else list_machine_labs())


def _lab(provider: str, name: str) -> LocalProvider:
    from ...hosts.local import LocalProvider
    from ...hosts.qemu import QemuProvider

    return LocalProvider(name=name) if provider == "local" else QemuProvider(name=name)
