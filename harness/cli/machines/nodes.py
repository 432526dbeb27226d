"""`tri nodes --host H`: the nodes of a running cluster as a live table. It deploys nothing."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..console import out
from ..options import json_option

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
@click.option(
    "--hosts",
    "where",
    metavar="INVENTORY|LAB|vagrant",
    help="Where names of hosts are found: an inventory's file, a lab's name, or vagrant.",
)
@click.option(
    "--cluster",
    "name",
    metavar="NAME",
    help="The cluster's name. Default: an inventory's file name without its ending, else reference.",
)
@click.option("--once", is_flag=True, help="Print the table once; so it is where there is no terminal.")
@json_option
def command(host: str | None, where: str | None, name: str | None, once: bool, as_json: bool) -> int:
    """The nodes of a running cluster, as the node H tells, until Ctrl-C: state, role, agents, load, round trips.

    It deploys nothing: `tri demo cluster` does. Exit code: 0 shown, 2 usage, 4 H does not answer.
    """
    from ...cluster.watch import Watch
    from ...errors import CampaignError, HostError

    if host is None:
        raise CampaignError(
            "missing --host: a node of the running cluster",
            hint="for example --host 10.0.0.1; `tri demo cluster` brings up a cluster to look at",
        )

    where = _inventory_of(where)
    with _dial(where) as (dial, cluster), Watch(name or cluster, dial, [host], 0.5, _tls(where, name)) as watch:
        seen = watch.now()
        if not seen.answered:
            raise HostError(
                f"{host} does not answer as a node of cluster {name or cluster!r}",
                hint="is it up, and is that its cluster? --cluster names another, --hosts says where names are found",
            )
        if as_json:
            out.print_json(json.dumps(seen.to_json()))
        elif once or not out.is_terminal:
            _print(watch)
        else:
            _live(watch)
    return 0


def _inventory_of(where: str | None) -> str | None:
    """What says `where` in an inventory, for machines that come with one; else as it is."""
    if where is None or Path(where).is_file():
        return where
    if where == "vagrant":
        from ...hosts.ssh.vagrant import VagrantProvider

        return str(VagrantProvider().inventory)
    from ...hosts.qemu import QemuProvider, list_machine_labs

    if any(lab.name == where and lab.alive for lab in list_machine_labs()):
        return str(QemuProvider.find(where).inventory)
    return where


@contextmanager
def _dial(where: str | None) -> Iterator[tuple[Dial, str]]:
    """How nodes are reached, and what the cluster is called there when nothing else is said."""
    if where is None:
        yield _directly, "reference"
        return
    if Path(where).is_file():
        from ...hosts.ssh.provider import SshProvider

        # Nobody need log in to ask a node.
        inventory = SshProvider.from_file(where)
        addresses = {entry.name: entry.address for entry in inventory.inventory.hosts}
        yield (
            _by_name(addresses, lambda address, timeout_s: inventory.dial(address, PORT, timeout_s=timeout_s)),
            Path(where).stem,
        )
        return
    from ...hosts.local import LocalProvider
    from ...hosts.local.layout.layout import CLIENTS

    # Found and asked, not brought up: whoever only looks leaves hosts that are off as they are.
    lab = LocalProvider.find(where)
    hosts = {str(host["name"]): str(host["address"]) for host in lab.status()["hosts"] if host["name"] != CLIENTS}
    yield _by_name(hosts, lambda address, timeout_s: lab.dial(address, PORT, timeout_s=timeout_s)), "reference"


def _tls(where: str | None, name: str | None) -> ssl.SSLContext | None:
    """What a cluster that was deployed to an inventory from here is asked with; None where its nodes are not known to have certificates."""
    from ...systems.reference.authority import Authority, kept_directory

    if where is None or not Path(where).is_file():
        return None
    cluster = name or Path(where).stem
    directory = kept_directory(cluster)
    return Authority.kept(cluster, directory).client("nodes") if directory.exists() else None


def _by_name(addresses: dict[str, str], dial: Dial) -> Dial:
    def by_name(node: str, timeout_s: float) -> socket.socket:
        from ...errors import CampaignError
        from ...user_files.yaml_loader import suggest

        if node not in addresses:
            raise CampaignError(f"there is no host {node!r}", hint=suggest(node, list(addresses)))
        return dial(addresses[node], timeout_s)

    return by_name


def _directly(node: str, timeout_s: float) -> socket.socket:
    return socket.create_connection(split_address(node), timeout=timeout_s)


def split_address(text: str) -> tuple[str, int]:
    """`10.0.0.1`, `10.0.0.1:10001`, `fd77::1`, `[fd77::1]:10001`: host and port."""
    host, colon, port = text.rpartition(":")
    has_port = bool(colon) and port.isdecimal() and (host.startswith("[") or ":" not in host)
    return (host.strip("[]"), int(port)) if has_port else (text.strip("[]"), PORT)


def _print(watch: Watch) -> None:
    from ...cluster.table import table_of

    out.print(table_of(watch.picture))


def _live(watch: Watch) -> None:
    """Until the user has seen enough."""
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
