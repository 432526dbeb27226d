"""`tri hosts up|down|list`: local hosts apart from a run, to look around in or to run several campaigns on."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from ..errors import CampaignError
from .console import out, say

if TYPE_CHECKING:
    from ..campaign.model import HostsSpec

DEFAULT_LAB = "default"


@click.group("hosts")
def command() -> None:
    """Bring local hosts up or down, or list them."""


@command.command("up")
@click.option("--nodes", type=click.IntRange(1, 32), default=None, help="How many; 5, or as many as the regions have.")
@click.option("--regions", metavar="eu=2,us=2", default=None, help="A routed subnet each, with so many hosts.")
@click.option(
    "--wan",
    metavar="[PAIR:]delay=40ms,rate=20mbit",
    multiple=True,
    help="What lies between regions, or between two of them (`eu-us:delay=90ms`): delay, jitter, rate.",
)
@click.option("--name", default=DEFAULT_LAB, show_default=True, help="The lab's name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def up(nodes: int | None, regions: str | None, wan: tuple[str, ...], name: str, as_json: bool) -> None:
    """Bring up a lab of NODES hosts; it goes down by itself 10 minutes after its last use."""
    from ..hosts.local import LocalProvider

    spec = _spec(nodes, regions, wan)
    say(f"bringing up {spec.nodes} local hosts")
    provider = LocalProvider(nodes=spec.nodes, name=name, regions=spec.placed)
    hosts = [{"name": host.name, "address": host.address} for host in provider.up()]
    provider.close()
    measured = [asdict(one) for one in provider.measured]
    if as_json:
        more = {"regions": dict(spec.placed.names), "measured": measured} if spec.placed else {}
        out.print_json(json.dumps({"lab": name, "hosts": hosts, **more}))
        return
    for host in hosts:
        region = f"  {spec.placed.of(host['name'])}" if spec.placed else ""
        out.print(f"{host['name']}  {host['address']}{region}")
    for pair, told in provider.distances().items():
        say(f"{pair}: {told}")


def _spec(nodes: int | None, regions: str | None, wan: tuple[str, ...]) -> HostsSpec:
    """As a campaign's `hosts:` would have it. Raises `CampaignError`."""
    from pydantic import ValidationError

    from ..campaign.model import HostsSpec

    data: dict[str, Any] = {} if nodes is None else {"nodes": nodes}
    if regions is not None:
        data["regions"] = _fields("--regions", regions)
    for each in wan:
        pair, separator, rest = each.rpartition(":")
        found = data.setdefault("wan", {})
        (found.setdefault("between", {}).setdefault(pair, {}) if separator else found).update(_fields("--wan", rest))
    try:
        return HostsSpec.model_validate(data)
    except ValidationError as error:
        told = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        hint = "for example --regions eu=2,us=2,ap=1 --wan delay=40ms,rate=20mbit --wan us-ap:delay=90ms"
        raise CampaignError(f"such hosts cannot be: {told}", hint=hint) from None


def _fields(option: str, text: str) -> dict[str, Any]:
    pairs = [part.partition("=") for part in text.split(",")]
    if bad := [name for name, separator, value in pairs if not (name and separator and value)]:
        raise CampaignError(f"{option} {text!r}: {bad[0]!r} is not name=value", hint="separate them by commas")
    return {name.strip(): int(value) if value.isdecimal() else value.strip() for name, _, value in pairs}


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
