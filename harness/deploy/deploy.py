"""Start and stop of a service on hosts for a run: all hosts in parallel, with every host's result. A cluster that stays is deployed by plan
(`cluster.py`).

Both may be repeated. One host's failure never hides another's: all are in one `DeployError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import DeployError, TribulationError, shown
from ..hosts.base import Host
from ..hosts.parallel import on_all
from ..nemesis.cluster import fault_disk
from ..systems.answers import INIT
from ..systems.base import Service
from ..trouble import described, undo_all

READY_S = 300.0
"""A small machine takes its time to compile a node's modules the first time. A node that keeps ending is reported sooner."""
PID_S, PID_STEP_S = 3.0, 0.1
"""How long after being ready a process may take to get the pid that its service reports."""

EnvironmentOf = Callable[[Host], Mapping[str, str]]
"""The environment of a host's process (a clock library, for instance); the function may prepare the host."""


@dataclass(frozen=True, slots=True)
class HostResult:
    """The result on one host. `detail` is a short phrase for people (`ready, pid 812`); `error` is None when `ok`."""

    host: str
    ok: bool
    detail: str
    elapsed_s: float
    error: Exception | None = None


class NotOnAllHosts(DeployError):
    """Some hosts failed; `results` has the results of all hosts."""

    def __init__(self, results: Sequence[HostResult], message: str, hint: str | None) -> None:
        super().__init__(message, hint)
        self.results = tuple(results)


def deploy_up(
    service: Service,
    hosts: Sequence[Host],
    environment_of: EnvironmentOf | None = None,
    ready_s: float = READY_S,
) -> list[HostResult]:
    """Install, start, wait until ready. Raises `DeployError` naming every host that is not up: if one did not start, the function does not wait for
    the others.
    """

    def begin(host: Host) -> str:
        fault_disk.remove(host, service, service.stop)
        service.install(host, hosts)
        service.start(host, {} if environment_of is None else environment_of(host))
        return "started"

    def await_ready(host: Host) -> str:
        service.wait_ready(host, ready_s)
        return f"ready, pid {running_pid(service, host)}"

    begun = {result.host: result for result in on_every("deploying", service.name, hosts, begin)}
    ready = on_every("deploying", service.name, hosts, await_ready)
    return [replace(result, elapsed_s=begun[result.host].elapsed_s + result.elapsed_s) for result in ready]


def running_pid(service: Service, host: Host) -> int | None:
    """The process that faults will target, None if the service reports none. Raises `DeployError` if the host does not have this process, because
    faults would have no effect.
    """
    deadline_s = time.monotonic() + PID_S
    while True:
        pid = service.pid(host)
        if pid is None:
            return None
        if type(pid) is not int or pid <= INIT:
            raise DeployError(f"{host.name}: pid(host) of {service.name} is {shown(pid)}, no process number", _PID_HINT)
        # `kill -0` fails for a process of another user.
        if host.run(f"kill -0 {pid:d} 2>/dev/null || [ -d /proc/{pid:d} ]", check=False).exit_code == 0:
            return pid
        if time.monotonic() > deadline_s:
            raise DeployError(
                f"{host.name}: pid(host) of {service.name} is {pid}, and no such process is there", _PID_HINT
            )
        time.sleep(PID_STEP_S)


_PID_HINT = "it is the process that faults kill and pause, as its host counts them; see docs/guides/own-system.md"


def deploy_down(service: Service, hosts: Sequence[Host]) -> list[HostResult]:
    """Stop the service and remove its files. Raises `DeployError` naming every host where that failed."""

    def down(host: Host) -> str:
        undo_all(
            host.name,
            lambda: fault_disk.remove(host, service, service.stop, keeps=False),
            lambda: service.uninstall(host),
        )
        return "removed"

    return on_every("removing", service.name, hosts, down)


def on_every(doing: str, name: str, hosts: Sequence[Host], act: Callable[[Host], str]) -> list[HostResult]:
    """Call `act` on all hosts at once. Raises `NotOnAllHosts`, with every host's result, when any failed."""
    return require_all(doing, name, each(hosts, act))


def require_all(doing: str, name: str, results: list[HostResult]) -> list[HostResult]:
    failed = [result for result in results if result.error is not None]
    if failed:
        text = "\n".join(
            f"  {result.host}: {described(result.error).removeprefix(f'{result.host}: ')}" for result in failed
        )
        hints = dict.fromkeys(
            result.error.hint for result in failed if isinstance(result.error, TribulationError) and result.error.hint
        )
        raise NotOnAllHosts(
            results,
            f"{doing} {name} failed on {len(failed)} of {len(results)} hosts:\n{text}",
            hint="; ".join(list(hints)[:3]) or None,
        ) from failed[0].error
    return results


def each(hosts: Sequence[Host], act: Callable[[Host], str]) -> list[HostResult]:
    """Call `act` on all hosts at once and return the result of each; raises nothing."""

    def timed(host: Host) -> HostResult:
        started_s = time.monotonic()
        try:
            detail, error = act(host), None
        except Exception as failure:
            detail, error = described(failure).splitlines()[0], failure
        return HostResult(host.name, error is None, detail, time.monotonic() - started_s, error)

    return list(on_all(hosts, timed).require("asking hosts").values())
