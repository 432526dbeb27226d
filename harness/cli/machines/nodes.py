"""`tri nodes --host H`: the nodes of a running cluster as a live table. It deploys nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...errors import CampaignError, shown
from ..console import out
from ..options import hosts_option, json_option
from .hosts import DEFAULT_LAB

if TYPE_CHECKING:
    import ssl

    from ...cluster.watch import Watch
    from ...systems.base import Dial

PORT = 10_000


@click.command("nodes")
@click.option(
    "--host",
    metavar="H",
    help="A node of the running cluster: its name with --hosts, else its address or address:port.",
)
@hosts_option("Where to look up names of hosts.")
@click.option("--name", "lab", default=DEFAULT_LAB, show_default=True, help="The lab's name (local, qemu).")
@click.option(
    "--cluster",
    "name",
    metavar="NAME",
    help="The cluster's name. Default: an inventory's file name without its ending, else reference.",
)
@click.option("--once", is_flag=True, help="Print the table once; this is the default without a terminal.")
@json_option
def command(host: str | None, hosts: str | None, lab: str, name: str | None, once: bool, as_json: bool) -> int:
    """Show the nodes of a running cluster, as node H reports them, until Ctrl-C: state, role, agents, load, round trips.

    It deploys nothing: `tri demo cluster` does. Exit code: 0 shown, 2 usage, 4 H does not answer.
    """
    from ...cluster.watch import Watch
    from ...errors import HostError

    if host is None:
        raise CampaignError(
            "missing --host: a node of the running cluster",
            hint="for example --host 10.0.0.1; `tri demo cluster` starts a cluster to look at",
        )

    if hosts is None:
        split_address(host)
    inventory = _inventory_of(hosts, lab)
    local = lab if hosts == "local" else None
    with (
        _dial(inventory, local) as (dial, cluster),
        Watch(name or cluster, dial, [host], 0.5, _tls(inventory, name)) as watch,
    ):
        seen = watch.now()
        if not seen.answered:
            raise HostError(
                f"{host} does not answer as a node of cluster {name or cluster!r}",
                hint="is it up, and is this its cluster? --cluster names another cluster, --hosts says where to look up names",
            )
        if as_json:
            out.print_json(json.dumps(seen.to_json()))
        elif once or not out.is_terminal:
            _print(watch)
        else:
            _live(watch)
    return 0


def _inventory_of(hosts: str | None, lab: str) -> str | None:
    """Return the inventory's file, also that of emulated or Vagrant's machines; None for local hosts and without --hosts."""
    from ...hosts.qemu import QemuProvider
    from ...hosts.selection.chosen import chosen
    from ...hosts.ssh.vagrant import VagrantProvider

    if hosts is None or hosts == "local":
        return None
    if hosts == "vagrant":
        return str(VagrantProvider().inventory)
    if hosts == "qemu":
        return str(QemuProvider.find(lab).inventory)
    if not Path(hosts).is_file() and _is_lab(hosts):
        raise CampaignError(f"--hosts {hosts}: this is the name of a lab", hint=f"--hosts local --name {hosts}")
    return str(chosen(hosts).inventory)


def _is_lab(name: str) -> bool:
    from ...hosts.local import list_labs

    return any(lab.name == name for lab in list_labs())


@contextmanager
def _dial(inventory_file: str | None, lab_name: str | None) -> Iterator[tuple[Dial, str]]:
    """Yield the function that dials nodes, and the default name of their cluster."""
    if inventory_file is not None:
        from ...hosts.ssh.provider import SshProvider

        # Asking a node needs no login.
        inventory = SshProvider.from_file(inventory_file)
        addresses = {entry.name: entry.address for entry in inventory.inventory.hosts}
        yield (
            _by_name(addresses, lambda address, timeout_s: inventory.dial(address, PORT, timeout_s=timeout_s)),
            Path(inventory_file).stem,
        )
        return
    if lab_name is None:
        yield _directly, "reference"
        return
    from ...hosts.local import LocalProvider
    from ...hosts.local.layout.layout import CLIENTS

    # The lab is asked for its hosts and not brought up: hosts that are off stay off.
    lab = LocalProvider.find(lab_name)
    hosts = {str(host["name"]): str(host["address"]) for host in lab.status()["hosts"] if host["name"] != CLIENTS}
    yield _by_name(hosts, lambda address, timeout_s: lab.dial(address, PORT, timeout_s=timeout_s)), "reference"


def _tls(inventory: str | None, name: str | None) -> ssl.SSLContext | None:
    """Return the TLS context for a cluster that this machine deployed to an inventory; None if no certificate authority of it is kept here."""
    from ...systems.reference.authority import Authority, kept_directory

    if inventory is None:
        return None
    cluster = name or Path(inventory).stem
    directory = kept_directory(cluster)
    return Authority.kept(cluster, directory).client("nodes") if directory.exists() else None


def _by_name(addresses: dict[str, str], dial: Dial) -> Dial:
    def by_name(node: str, timeout_s: float) -> socket.socket:
        from ...user_files.yaml_loader import suggest

        if node not in addresses:
            raise CampaignError(f"there is no host {node!r}", hint=suggest(node, list(addresses)))
        return dial(addresses[node], timeout_s)

    return by_name


def _directly(node: str, timeout_s: float) -> socket.socket:
    return socket.create_connection(split_address(node), timeout=timeout_s)


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of `10.0.0.1`, `10.0.0.1:10001`, `fd77::1` or `[fd77::1]:10001`; `PORT` by default. Raises `CampaignError`."""
    host, colon, port = text.rpartition(":")
    has_port = bool(colon) and port.isdecimal() and (host.startswith("[") or ":" not in host)
    host = host.strip("[]") if has_port else text.strip("[]")
    # A lookup of a name with a longer label raises `UnicodeError`.
    if not host or len(host) > 253 or any(len(label.encode()) > 63 for label in host.split(".")):
        raise CampaignError(f"--host {shown(text)}: no name or address of a host", hint="for example --host 10.0.0.1")
    if has_port and not (len(port) <= 5 and 0 < int(port) < 1 << 16):
        raise CampaignError(
            f"--host {shown(text)}: a port is from 1 to 65535", hint="for example --host 10.0.0.1:10000"
        )
    return host, int(port) if has_port else PORT


def _print(watch: Watch) -> None:
    from ...cluster.table import table_of

    out.print(table_of(watch.picture))


def _live(watch: Watch) -> None:
    """Show the cluster until the user ends the command."""
    import time

    from rich.live import Live

    from ...cluster.table import table_of

    watch.start()
    try:
        with Live(console=out, refresh_per_second=4, get_renderable=lambda: table_of(watch.picture)):
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        return
