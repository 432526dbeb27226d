"""One interface to machines, four back-ends: what hosts and providers of hosts offer.

A provider brings up hosts and can *dial* from the clients' place in the network. A host runs commands and moves files. Further capabilities of
a back-end are named in `capabilities`, so that a campaign that needs a missing one is refused before anything is changed.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

BOOT_HOOKS = "boot.d"
"""In a host's directory, if its init is ours: executable files that run at each boot, in name order. 10 mounts disks, 30 guards faults, 50 is the
service.
"""
SERVICE_HOOK = f"{BOOT_HOOKS}/50-service"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """`exit_code`, `stdout` and `stderr` (decoded, errors replaced) of one command, and how long it took."""

    exit_code: int
    stdout: str
    stderr: str
    elapsed_s: float


class Channel(Protocol):
    """A running command with its standard input and output, for helpers on hosts that are called many times."""

    def send_line(self, line: str) -> None: ...

    def read_line(self, timeout_s: float) -> str:
        """Return the next line of its output. Raises `LateLineError` when none comes in time; it can then be read later. Raises `HostError` when the
        command ended.
        """
        ...

    def close(self) -> None: ...


class Host(Protocol):
    """A machine one can log in to. All calls have deadlines and raise `HostError` naming host, command and hint.

    `address` is where peers and clients reach it. `directory` holds all our files on it. `python` is the interpreter there.
    `sudo` is the prefix for privileged commands: `()` when the login already has all privileges.
    """

    name: str
    address: str
    directory: str
    python: str
    sudo: tuple[str, ...]
    control: tuple[str, int]
    """The controller's address as this host sees it, and the SSH port: the only connection that network faults do not affect."""

    def run(
        self, command: str | Sequence[str], *, timeout_s: float = 20.0, check: bool = True, stdin: bytes | None = None
    ) -> CommandResult:
        """Run to the end. A sequence is quoted; a string goes to `sh -c` unchanged."""
        ...

    def start(self, command: str | Sequence[str], *, timeout_s: float = 20.0) -> Channel: ...

    def put(self, content: bytes, path: str, *, mode: int = 0o644, timeout_s: float = 60.0) -> None:
        """Write atomically (temporary name, then rename), making parent directories."""
        ...

    def get(self, path: str, *, timeout_s: float = 60.0) -> bytes: ...


@runtime_checkable
class InParts(Protocol):
    """A host whose files can be read in parts, so that they need not fit into memory."""

    def get_part(self, path: str, offset: int, size: int, *, timeout_s: float = 60.0) -> bytes:
        """Read at most `size` bytes from `offset` on; fewer only at the file's end."""
        ...


class Provider(Protocol):
    """Brings up hosts. `up` is idempotent and returns every host ready to be logged in to. `down` removes hosts that were made for a lab; other machines
    stay.

    `capabilities` has those that depend on the provider: `cut kill pause clock`, and `power freeze` if it can do and undo them from outside the hosts.
    `client_addresses` are the source addresses of clients, by client vertex name (usually one vertex, `"clients"`), so that
    clients are vertices of the network graph like nodes and can be cut off.
    """

    name: str
    capabilities: frozenset[str]
    client_addresses: Mapping[str, Sequence[str]]

    @property
    def hosts(self) -> Sequence[Host]: ...

    def up(self) -> Sequence[Host]: ...

    def down(self) -> None: ...

    def dial(
        self, address: str, port: int, *, timeout_s: float, client: str = "clients", kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        """Return a socket connected from the clients' place in the network; TCP_NODELAY is set. Raises `OSError`."""
        ...

    def client_host(self) -> Host | None:
        """Return a host-like handle in the clients' place (for probes there); None when clients run where the harness runs."""
        ...


@runtime_checkable
class Apart(Protocol):
    """A provider that may place its hosts in regions. `late_ns`: the delay of the longest way between two of them."""

    @property
    def late_ns(self) -> int: ...

    def distances(self) -> Mapping[str, str]:
        """Return by pair of regions the measured distance in words; empty without regions, or when the hosts were already up."""
        ...


@runtime_checkable
class Powered(Protocol):
    """A provider with faults on whole hosts that no host can undo by itself: `capabilities` has `power` and `freeze`.

    Each outage has a lease: unless it is renewed in time, hosts are switched on, or continued, without the harness. `boot` and `thaw` may be
    called for hosts that are back already. They return when one can log in again, and `boot` when the host's boot hooks have ended.
    """

    def power_off(self, *hosts: str, lease_s: float | None = None) -> None:
        """Cut the power of all at once: peers see silence, and everything but the disks is lost."""
        ...

    def boot(self, *hosts: str) -> None: ...

    def freeze(self, *hosts: str, lease_s: float | None = None) -> None:
        """Stop every process on them, including ours; their kernels continue."""
        ...

    def thaw(self, *hosts: str) -> None: ...

    def renew_outages(self, lease_s: float) -> Sequence[str]:
        """Renew the leases; returns the hosts that are still off or frozen on one. A missing host came back by itself."""
        ...
