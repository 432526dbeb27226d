"""Real machines from an inventory: nothing is brought up, only logged in to and looked at.

Faults reach them only because the inventory's owner wrote `consent: true` (inventory.py). Clients dial from the harness's machine.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import HostError
from .connection import Target
from .inventory import Inventory, InventoryHost, load_inventory
from .parallel import on_all
from .remote import RemoteHost

CLIENTS = "clients"
OLDEST_PYTHON = (3, 10)


class SshProvider:
    """`Provider` over an inventory. `up` logs in everywhere and learns how each host sees us; `down` only closes connections."""

    name = "ssh"
    capabilities = frozenset({"cut", "kill", "pause", "clock"})

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.hosts: Sequence[RemoteHost] = ()
        self.client_addresses: Mapping[str, Sequence[str]] = {}

    @classmethod
    def from_file(cls, path: str | Path) -> SshProvider:
        """Raises `CampaignError` with every mistake of the file."""
        return cls(load_inventory(path))

    def up(self) -> Sequence[RemoteHost]:
        if not self.hosts:
            made = self.make_hosts()
            try:
                on_all(made, inspect).require("logging in")
            except BaseException:
                for host in made:
                    host.close()
                raise
            self.hosts = made
            # To the hosts, clients have the controller's addresses: only its SSH flow is exempt when clients are cut off.
            self.client_addresses = {CLIENTS: tuple(dict.fromkeys(host.control[0] for host in made))}
        return self.hosts

    def down(self) -> None:
        """There is nothing to take down: the machines are their owner's."""
        self.close()

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        self.hosts, self.client_addresses = (), {}

    def dial(
        self, address: str, port: int, *, timeout_s: float, client: str = CLIENTS, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        if client != CLIENTS:
            raise OSError(f"no client place {client!r}, only {CLIENTS!r}")
        if kind == socket.SOCK_STREAM:
            made = socket.create_connection((address, port), timeout=timeout_s)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
        family, _, _, _, where = socket.getaddrinfo(address, port, type=socket.SocketKind(kind))[0]
        made = socket.socket(family, kind)
        made.settimeout(timeout_s)
        try:
            made.connect(where)
        except OSError:
            made.close()
            raise
        return made

    def client_host(self) -> None:
        """Clients run where the harness runs."""
        return None

    def make_hosts(self) -> tuple[RemoteHost, ...]:
        """A handle for each host; nothing is connected yet."""
        return tuple(self._host(entry) for entry in self.inventory.hosts)

    def _host(self, entry: InventoryHost) -> RemoteHost:
        known_hosts = self.inventory.known_hosts or Path.home() / ".ssh" / "known_hosts"
        target = Target(
            name=entry.name,
            address=entry.address,
            port=entry.port,
            user=entry.user,
            key=entry.key,
            known_hosts=known_hosts if known_hosts.exists() or self.inventory.known_hosts else None,
            user_config=True,
        )
        return RemoteHost(
            target,
            directory=entry.directory,
            python=entry.python,
            control=("", entry.port),
            sudo=("sudo", "-n") if entry.sudo else (),
            clock=entry.clock,
        )


def inspect(host: RemoteHost) -> None:
    """Log in, learn the controller's address as the host sees it, and refuse a Python that the node does not run on."""
    said = host.run('echo "$SSH_CONNECTION"').stdout.split()
    if len(said) != 4:
        raise HostError(
            f"{host.target.where}: does not tell who is logged in (SSH_CONNECTION is {' '.join(said)!r})",
            hint="is it a full login by OpenSSH's sshd?",
        )
    # The server's own port: a jump host or a forwarded port may show another one to us than faults must exempt there.
    host.control = (said[0].removeprefix("::ffff:"), int(said[3]))
    if host.sudo:
        host.run([*host.sudo, "true"])
    version = python_version(host)
    if version < OLDEST_PYTHON:
        raise HostError(
            f"{host.target.where}: {host.python} is Python {'.'.join(map(str, version))}; the node needs 3.10 or later",
            hint="install a later one there and name it in the inventory as `python:`",
        )


def python_version(host: RemoteHost) -> tuple[int, ...]:
    """`(major, minor, micro)` of the host's interpreter. Raises `HostError` when there is none."""
    said = host.run([host.python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"]).stdout.strip()
    if not re.fullmatch(r"\d+\.\d+\.\d+", said):
        raise HostError(
            f"{host.target.where}: {host.python} does not tell its version: {said[:80]!r}", hint="is it Python?"
        )
    return tuple(int(part) for part in said.split("."))
