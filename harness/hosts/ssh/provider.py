"""Real machines from an inventory: they are not started, only logged in to and checked.

Faults reach them only because the inventory's owner wrote `consent: true` (inventory.py), and because they were admitted (admission.py). Clients
connect from the harness's machine, or from the bastion if there is one.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import paramiko

from ...errors import HostError
from ..parallel import HostResult, Results, on_all
from .admission import Identity, admit, require_means, resolve, same_machine
from .bastion import Bastion
from .connection import Target
from .inventory import Inventory, InventoryHost, load_inventory
from .places import Jump
from .remote import RemoteHost

CLIENTS = "clients"


class SshProvider:
    """`Provider` over an inventory. `up` logs in everywhere and learns the controller's address as each host sees it; `down` only closes connections."""

    name = "ssh"
    capabilities = frozenset({"cut", "kill", "pause", "clock"})

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.hosts: Sequence[RemoteHost] = ()
        self.client_addresses: Mapping[str, Sequence[str]] = {}
        self._bastions: dict[tuple[Jump, Path | None], Bastion] = {}
        self._behind: dict[str, Bastion] = {}

    @classmethod
    def from_file(cls, path: str | Path) -> SshProvider:
        """Make a provider from an inventory. Raises `CampaignError` with every mistake of the file."""
        return cls(load_inventory(path))

    def up(self) -> Sequence[RemoteHost]:
        """All hosts, or one `HostError` that lists each unusable one."""
        if not self.hosts:
            made = self.each()
            try:
                Results(tuple(HostResult(host.name, host, host.refused) for host in made)).require("logging in")
                self._require_places()
            except BaseException:
                self.close()
                raise
        return self.hosts

    def each(self, *, means: bool = True) -> Sequence[RemoteHost]:
        """All hosts, including unusable ones: any call to such a host raises the reason at once.

        `means`: whether privileges and Python are required for a host to be usable.
        """
        self.hosts = self.make_hosts()
        timeouts_s = {entry.name: entry.login_timeout / 1e9 for entry in self.inventory.hosts}

        def let_in(host: RemoteHost) -> Identity | None:
            identity = admit(host, timeouts_s[host.name])
            host.address = resolve(host, host.name in self._behind)
            if means:
                require_means(host)
            return identity

        results = on_all(self.hosts, let_in)
        same = same_machine({name: identity for name, identity in results.values.items() if identity is not None})
        for host in self.hosts:
            host.refused = results.errors.get(host.name)
            if host.name in same:
                host.refused = HostError(
                    f"{host.target.where}: is the same machine as {', '.join(same[host.name])}",
                    hint="use one entry per machine: a fault on one of them would affect the others as well",
                )
        # Hosts see clients at the controller's addresses: only its SSH flow is exempt when clients are cut off.
        seen = [host.control[0] for host in self.hosts if host.refused is None]
        self.client_addresses = {CLIENTS: tuple(dict.fromkeys(seen))}
        return self.hosts

    def _require_places(self) -> None:
        """Refuse a bastion that is one of the hosts. Clients come from the bastion, so no fault could distinguish the two."""
        behind = {host.control[0] for host in self.hosts if host.name in self._behind}
        shared = [host.target.where for host in self.hosts if host.address in behind]
        if shared:
            raise HostError(
                f"{', '.join(shared)} is the bastion too: to the other hosts, it has the same address as the clients",
                hint="use a bastion that is not a host of the inventory",
            )

    def down(self) -> None:
        """Close connections; the machines belong to their owner and stay."""
        self.close()

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        for bastion in self._bastions.values():
            bastion.close()
        self.hosts, self.client_addresses = (), {}

    def dial(
        self, address: str, port: int, *, timeout_s: float, client: str = CLIENTS, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        if client != CLIENTS:
            raise OSError(f"no client place {client!r}, only {CLIENTS!r}")
        bastion = self._bastion_before(address)
        if bastion is not None:
            if kind != socket.SOCK_STREAM:
                raise OSError(f"only TCP passes a bastion, so there is no other way to {address}:{port}")
            return bastion.dial(address, port, timeout_s)
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
        """A handle for each host; none is connected yet."""
        return tuple(self._host(entry) for entry in self.inventory.hosts)

    def _host(self, entry: InventoryHost) -> RemoteHost:
        login, timeout_s = entry.login or entry.address, entry.login_timeout / 1e9
        target = Target(
            name=entry.name,
            address=login,
            port=entry.port,
            user=entry.user,
            key=entry.key,
            known_hosts=self._known_hosts(),
            open_socket=self._way_to(entry, login),
            user_config=True,
            connect_timeout_s=timeout_s,
        )
        return RemoteHost(
            target,
            address=entry.address,
            directory=entry.directory,
            python=entry.python,
            control=("", entry.port),
            sudo=("sudo", "-n") if entry.sudo else (),
            clock=entry.clock,
        )

    def _way_to(self, entry: InventoryHost, login: str) -> Callable[[float], paramiko.Channel] | None:
        """The connection through the bastion; one connection to it serves all hosts behind it."""
        jump = self.inventory.jump_of(entry)
        if jump is None:
            return None
        if (jump, entry.key) not in self._bastions:
            target = Target(
                name=jump.host,
                address=jump.host,
                port=jump.port,
                user=jump.user,
                key=entry.key,
                only_key=False,
                known_hosts=self._known_hosts(),
                user_config=True,
                connect_timeout_s=entry.login_timeout / 1e9,
            )
            self._bastions[jump, entry.key] = Bastion(target)
        bastion = self._behind[entry.name] = self._bastions[jump, entry.key]
        return lambda timeout_s: bastion.channel_to(login, entry.port, timeout_s, entry.name)

    def _bastion_before(self, address: str) -> Bastion | None:
        if all(self.inventory.jump_of(entry) is None for entry in self.inventory.hosts):
            return None
        hosts = self.hosts or self.make_hosts()
        return next((self._behind.get(host.name) for host in hosts if host.address == address), None)

    def _known_hosts(self) -> Path | None:
        own = self.inventory.known_hosts
        users = Path.home() / ".ssh" / "known_hosts"
        return own or (users if users.exists() else None)
