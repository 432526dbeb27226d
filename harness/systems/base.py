"""Interface of a system under test: a `Service` on each host, and a `Client` for the workloads.

The reference cluster (`harness/systems/reference/system.py`) is one implementation; a user's own system is another Python file, named in the
campaign as `system: {file: my_system.py}`, that defines `service(options) -> Service` and `client(options) -> Client`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from ..hosts.base import Host
from .plain import plain, refuse_large, refuse_names

Dial = Callable[[str, float], socket.socket]
"""`dial(node, timeout_s)`: a TCP socket to that node's client port, from the clients' place in the network."""


@runtime_checkable
class PortDial(Protocol):
    """A `Dial` that reaches other ports as well. `addresses`: by node, the address that it has in the system's network."""

    @property
    def addresses(self) -> Mapping[str, str]: ...

    def __call__(self, node: str, timeout_s: float) -> socket.socket: ...

    def at(self, node: str, port: int, timeout_s: float) -> socket.socket: ...


@dataclass(frozen=True, slots=True)
class Op:
    """An operation that a client must try: `f`, and its operands. Raises `TypeError` or `ValueError` for operands that no history can hold: in the
    line of the workload that makes them.
    """

    f: str
    key: Any = None
    value: Any = None
    level: str = "linearizable"
    workload: str = ""

    def __post_init__(self) -> None:
        refuse_names("an operation's", f=self.f, workload=self.workload, level=self.level)
        plain(self.key, f"the key of an operation {self.f}", many=(list, tuple))
        plain(self.value, f"the value of an operation {self.f}", many=(list, tuple))
        refuse_large([self.key, self.value], f"an operation {self.f}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`type` is `ok`, `fail` or `info`; `extra` goes unchanged into the history line (`log_index`, `term`, …)."""

    type: str
    value: Any = None
    error: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replacement:
    """Replacement of a node, which comes back on an empty disk: `directory` holds everything that it remembers; it is replaced by `files` (by name),
    if any.

    The files must show the node that it may have forgotten promises, so that it makes none before it has learnt what the others know.
    """

    directory: str
    files: Mapping[str, bytes]


class Client(Protocol):
    """One client, used by one thread, bound to one node at a time.

    `invoke` answers before `timeout_s` has passed. It raises nothing for an error of the system: a refusal is `fail`, doubt is `info`. An `OSError`
    counts as `info` with error `connection-lost`. Any other exception, an answer that is not an `Outcome`, and one that JSON cannot hold, count as
    `info` with error `client-error`. After `info` the next operation gets a new client.

    A client may offer `connected`: it is read after each `fail`, and a new client follows when it is False. Without it a new one follows an error
    that names a connection (`connection-lost`, `BrokenPipeError`, `timeout`, …) and the third `fail` in a row with the same error other than
    `mismatch` or `no-quorum`.
    """

    def open(self, node: str, dial: Dial, timeout_s: float) -> None:
        """Connect. Raises `OSError` (or times out): the operation is then a `fail` with error `no-connection`."""
        ...

    def invoke(self, op: Op, timeout_s: float) -> Outcome: ...

    def close(self) -> None: ...


class Service(Protocol):
    """Installs, starts and stops the system on hosts. Every method is idempotent and bounded in time.

    `cluster` is every host of the system. `capabilities` names optional abilities, e.g. `traces`, `status`, `clock` (can be started with the
    `environment` of a preloaded clock; programs that ignore it, such as Go's, are moved by other means), `disk` (offers `data_directory(host)`, the
    absolute path of the one directory with all that must survive a power loss: a fault disk is mounted over it between `install` and `start`).

    A service may have `clock(host) -> int`: the wall clock that the system's process on that host shows, in ns since 1970. It decides whether a clock
    fault reached the process.
    """

    name: str
    capabilities: frozenset[str]

    @property
    def port(self) -> int:
        """Where clients connect, on every host."""
        ...

    def install(self, host: Host, cluster: Sequence[Host]) -> None: ...

    def start(self, host: Host, environment: Mapping[str, str]) -> None:
        """Start it supervised, with these environment variables; returns when it is started, not when it is ready."""
        ...

    def wait_ready(self, host: Host, timeout_s: float) -> None:
        """Wait until the host's node is ready. Raises `DeployError` with the reason and the log's end when it is not ready in time."""
        ...

    def pid(self, host: Host) -> int | None:
        """The process that faults aim at (by the host's own pid numbering), or None when it is not running."""
        ...

    def stop(self, host: Host) -> None: ...

    def collect(self, host: Host) -> Mapping[str, bytes]:
        """Files of this host for the run folder: relative path → content (`logs/…`, `trace.jsonl`, `inputs/…`). For large files see `KeepsFiles`."""
        ...

    def uninstall(self, host: Host) -> None: ...

    def leader(self, hosts: Sequence[Host], dial: Dial) -> str | None:
        """The current leader's node name by asking the nodes, or None (also when the system has no leader)."""
        ...

    def status(self, host: Host, dial: Dial) -> Mapping[str, Any] | None:
        """`{"index", "digest", "leader", "term", "voters", …}` or None: what the final-state checks compare."""
        ...


@runtime_checkable
class KeepsFiles(Protocol):
    """A service that names its files instead of reading them in `collect`: they are fetched one by one and in parts, however large, and a missing one
    does not affect the others."""

    def kept_files(self, host: Host) -> Mapping[str, str]:
        """Files of this host for the run folder: relative path, as in `collect` → path on the host."""
        ...
