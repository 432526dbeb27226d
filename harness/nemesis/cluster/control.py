"""Control of a service's process: through its supervisor when it has one, by its pid when not.

A service may offer `control(host)`: `{"pid_file": path, "marker": path}`, or an object with these attributes. Its supervisor leaves the process down as
long as the marker exists. `contains` (or the object's `directory`) is text that the process's command line must hold, since process numbers are reused.
The host can then undo a kill by itself. Without `control` the pid is requested each time, and `Service.start` starts the process again. When the
harness is gone, the watchdog restarts what it saw running: same arguments, directory, environment and output.

On hosts whose init runs boot hooks (`<directory>/boot.d`), a service that leaves `boot.d/50-service` there is up again after a boot; the harness
starts others then.

A service whose node writes traces may offer `followed(host)`: `{"trace": path, "files": {path: event}}`, its trace on that host, and files whose
appearance is one of the events of `triggers`; faults may then wait for the node's actions.

It may also offer `set_voters(hosts, dial, voters, timeout_s)`, which moves the weights through the log, `hand_over(hosts, dial, to, timeout_s)`,
`replacement(host)`, how a node comes back on an empty disk, and, where nodes are members that join by themselves, `leave(hosts, dial, node,
timeout_s)` and `members(hosts, dial)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ...hosts.base import SERVICE_HOOK, Host
from ...systems.answers import pid_of
from ...systems.base import Dial, Replacement, Service


@runtime_checkable
class Controlled(Protocol):
    def control(self, host: Host) -> Any: ...


@runtime_checkable
class Followed(Protocol):
    def followed(self, host: Host) -> Mapping[str, Any]: ...


@runtime_checkable
class HasNamed(Protocol):
    """Several processes on a host: by name, how the host's agent finds each and keeps it down (`pid_file`, `marker`)."""

    def controls(self, host: Host) -> Mapping[str, Mapping[str, str]]: ...


@runtime_checkable
class Reconfigurable(Protocol):
    def set_voters(self, hosts: Sequence[Host], dial: Dial, voters: Mapping[str, int], timeout_s: float) -> None: ...


@runtime_checkable
class HandsOver(Protocol):
    """`hand_over` asks the leader to transfer the leadership; it may fail, which the next leader shows."""

    def hand_over(self, hosts: Sequence[Host], dial: Dial, to: str, timeout_s: float) -> None: ...


@runtime_checkable
class Replaceable(Protocol):
    def replacement(self, host: Host) -> Replacement: ...


@runtime_checkable
class Leavable(Protocol):
    """`leave` asks that a member leaves, and waits until it is gone, without a vote. `members`: by name the state of each, None when unknown."""

    def leave(self, hosts: Sequence[Host], dial: Dial, node: str, timeout_s: float) -> None: ...

    def members(self, hosts: Sequence[Host], dial: Dial) -> Mapping[str, str] | None: ...


def is_supervised(service: Service) -> bool:
    return isinstance(service, Controlled)


def process_of(service: Service, host: Host) -> dict[str, Any]:
    """Return what the agent needs to find the process; empty if there is none."""
    if isinstance(service, Controlled):
        control = service.control(host)
        if isinstance(control, Mapping):
            return dict(control)
        return {"pid_file": control.pid_file, "marker": control.marker, "contains": control.directory.rstrip("/") + "/"}
    pid = pid_of(service, host)
    return {} if pid is None else {"pid": pid, "remember": True}


def boots_by_itself(host: Host) -> bool:
    """Return whether the host's init starts the service."""
    return host.run(["test", "-x", f"{host.directory}/{SERVICE_HOOK}"], check=False).exit_code == 0
