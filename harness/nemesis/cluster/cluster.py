"""The hosts under test as the injector sees them: an agent for every vertex, how to reach each process, the place of the clients.

It decides which hosts may be changed: all vertices, except that the harness's own machine is never touched when clients run there.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Collection, Mapping, Sequence

from ...errors import FaultError, HostError
from ...hosts.base import Apart, Host, Powered, Provider
from ...hosts.parallel import on_all
from ...systems.base import Dial, Service
from ..agent_client.agents import ANSWER_S, AgentClient, Json, ask, connect_all, here, on_host, require
from ..agent_client.shipping import remove
from ..faults.fault import CLIENTS
from . import fault_disk
from .client_control import ClientControl
from .clock_library import ClockLibrary, clock_of, installed
from .control import HasNamed, is_supervised, process_of

PID_S = 10.0
PID_LOOK_S = 0.05
NO_PROCESS: Json = {"pid": None, "state": None, "started": None, "running": [], "stopped": []}


class Cluster:
    """`nodes` are the agents of the hosts, `agents` these and the clients', `firewalled` those whose agents may change their host.

    `voters` are the weights last known. Hosts that are `off` have no power, or are frozen, and receive no requests; these outages are `leased`
    once they have begun; `back` are hosts that came back by themselves, because the lease was not renewed.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        provider: Provider,
        service: Service,
        dial: Dial | None,
        lease_s: float,
        port: int,
        voters: Mapping[str, int] | None = None,
        run: Mapping[str, str] | None = None,
        clients: ClientControl | None = None,
    ) -> None:
        self._run = dict(run or {})
        self.clients = clients
        self.hosts = {host.name: host for host in hosts}
        self.service = service
        self.dial: Dial = dial or self._dial_service
        self.lease_s = lease_s
        self.provider = provider
        self.late_ns = provider.late_ns if isinstance(provider, Apart) else 0
        """Latency of the longest path between two hosts without faults."""
        self.voters = dict(voters) if voters else dict.fromkeys(self.hosts, 1)
        self.off: frozenset[str] = frozenset()
        self.leased: frozenset[str] = frozenset()
        self.back: frozenset[str] = frozenset()
        self._client_host = provider.client_host()
        self.nodes = {host.name: on_host(host.name, host, port) for host in hosts}
        self.agents: Mapping[str, AgentClient] = {**self.nodes, CLIENTS: self._clients_agent(port)}
        self.firewalled = self.nodes if self._client_host is None else self.agents
        self.processes: dict[str, Json] = {}
        self._libraries: dict[str, ClockLibrary] = {}

    def connect(self) -> None:
        """Start the agents, undo what an earlier run left, and send each the facts about its host."""
        connect_all(self.agents)
        self.clear("undoing faults that were left behind")
        found = on_all(list(self.hosts.values()), installed).require("looking for clock libraries", FaultError)
        self._libraries = {name: library for name, library in found.items() if library is not None}
        requests = {name: {"do": "configure", "config": self._config(name)} for name in self.firewalled}
        require(ask(self.agents, requests), "configuring the agents")
        self._send_processes()

    def close(self) -> None:
        for agent in self.agents.values():
            agent.close()

    def remove(self) -> None:
        """Remove the agents' files from the hosts."""
        everywhere = [*self.hosts.values(), *([self._client_host] if self._client_host else [])]
        on_all(everywhere, remove).require("removing the agents", FaultError)

    def clear(self, what: str) -> dict[str, list[str]]:
        """Undo everything on all hosts; return what was undone, by vertex."""
        answers = require(ask(self.agents, {name: {"do": "clear"} for name in self.changeable()}), what)
        return {name: answer["undone"] for name, answer in answers.items() if answer["undone"]}

    def renew(self, *, patient: bool) -> tuple[dict[str, Json], dict[str, Exception]]:
        """Extend all leases. In the background a hung host must be given up before the others' leases expire."""
        request = {"do": "renew", "lease_s": self.lease_s}
        timeout_s = ANSWER_S if patient else self.lease_s / 3
        return ask(self.agents, dict.fromkeys(self.changeable(), request), patient=patient, timeout_s=timeout_s)

    def renewed_late(self) -> dict[str, float]:
        """Return by vertex the time of the newest renewal whose answer came too late for `renew`."""
        late = {name: self.agents[name].answered_late.get("renew") for name in self.changeable()}
        return {name: asked_s for name, asked_s in late.items() if asked_s is not None}

    def renew_outages(self) -> None:
        """Extend the leases of hosts that are off or frozen. This is separate from the agents' leases, which a hanging provider must not let expire."""
        leased = self.leased
        if leased and isinstance(self.provider, Powered):
            # Without an answer nothing is known of them: their leases go on or expire, and the next answer shows it.
            with contextlib.suppress(HostError):
                held = self.provider.renew_outages(self.lease_s)
                # A host that is being brought back meanwhile is no longer leased, and did not come back by itself.
                self.back |= leased.intersection(self.leased).difference(held)

    def changeable(self) -> list[str]:
        """Vertices whose agents may change their host, and that have power."""
        return [name for name in self.firewalled if name not in self.off]

    def look_at_processes(self) -> dict[str, Json]:
        self.refresh_pids()
        return self.processes_of(list(self.nodes))

    def processes_of(self, names: Collection[str], of: str | None = None) -> dict[str, Json]:
        """Return by node `pid`, `state` and `started` of its process, None where there is none, as on a host that is off. `running` and `stopped` list all
        processes that belong to it.

        `of` names one of several processes of a host.
        """
        asked = {name: {"do": "process", "named": of} for name in names if name not in self.off}
        answers, failures = ask(self.nodes, asked)
        # A host that went off during the request has none, like those that had been off before.
        failures = {name: error for name, error in failures.items() if name not in self.off}
        seen = require((answers, failures), "looking at the processes")
        return {name: seen.get(name, NO_PROCESS) for name in names}

    def start_service(self, name: str) -> None:
        """Start it as the service itself would, under the same clock library as before."""
        library = self._libraries.get(name)
        self.service.start(self.hosts[name], dict(library.environment) if library else {})

    def refresh_pids(self, names: Collection[str] | None = None) -> None:
        """Look up the pids again, for services without a supervisor: their process is known by a pid, which changes at each start."""
        if not is_supervised(self.service):
            self._send_processes(names)

    def await_pids(self, names: Collection[str], wait_s: float | None = None) -> None:
        """Wait for the pids of services that were started just now: `start` may return before there is a pid. A missing one is found by the verification."""
        deadline_s = time.monotonic() + (PID_S if wait_s is None else wait_s)
        while not is_supervised(self.service):
            self._send_processes(names)
            names = [name for name, seen in self.processes_of(names).items() if seen["pid"] is None]
            if not names or time.monotonic() >= deadline_s:
                return
            time.sleep(PID_LOOK_S)

    def _send_processes(self, names: Collection[str] | None = None) -> None:
        on = [host for name, host in self.hosts.items() if name not in self.off and (names is None or name in names)]
        found = on_all(on, lambda host: process_of(self.service, host))
        seen = found.require("finding the processes", FaultError)
        # A process that is down keeps its last known pid.
        self.processes.update({name: process for name, process in seen.items() if process})
        requests = {
            name: {"do": "configure", "config": {"process": process}}
            for name, process in self.processes.items()
            if name not in self.off and name in seen
        }
        require(ask(self.nodes, requests), "sending the processes to the agents")

    def _config(self, name: str) -> Json:
        host = self.hosts.get(name) or self._client_host
        assert host is not None, "only vertices with a host receive its processes"
        library = self._libraries.get(name)
        disk = fault_disk.config(self.service, host) if name in self.hosts else {}
        named = self.service.controls(host) if name in self.hosts and isinstance(self.service, HasNamed) else {}
        common = {"control": list(host.control), "fault_disk": disk, "run": self._run, "named": dict(named)}
        if library is None:
            return {**common, "clock": clock_of(host)}
        return {
            **common,
            "clock_file": library.file,
            "clock_library": library.library,
            "clock_block": library.block,
            "clock_environment": dict(library.environment),
        }

    def _clients_agent(self, port: int) -> AgentClient:
        """Return the agent of the clients.

        Without client addresses of their own, hosts know the clients by the address from which they are controlled.
        """
        addresses = list(self.provider.client_addresses.get(CLIENTS, ()))
        known = addresses or [next(iter(self.hosts.values())).control[0]]
        if self._client_host is None:
            agent = here(CLIENTS, port)
            agent.address = known[0]
        else:
            agent = on_host(CLIENTS, self._client_host, port, known[0])
        agent.addresses = sorted({*agent.addresses, *known})
        return agent

    def _dial_service(self, node: str, timeout_s: float) -> socket.socket:
        port = int(getattr(self.service, "port", 10000))
        return self.provider.dial(self.hosts[node].address, port, timeout_s=timeout_s)
