"""Carries out faults on real hosts: written ahead, injected through the agents, verified by probes, healed, and verified again.

What shall be in force is the sum of the active faults (`in_force`); a change sends each host whose part changed its whole new state.
One change at a time: a verification must not meet another change half-way. A background thread renews the agents' leases and samples
reachability and clocks; when the harness dies, the leases run out and every host heals itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import FaultError, TribulationError
from ..hosts.base import Host, Provider
from ..hosts.parallel import on_all
from ..systems.base import Dial, Service
from .agents import AgentClient, Json, ask, connect_all, here, on_host, require
from .clock_library import ClockLibrary, installed
from .clocks import Clocks, as_json
from .control import is_supervised, process_of
from .faults import CLIENTS, Observation, Resolved, Situation
from .ledger import Ledger
from .reachability import Reachability
from .resolve import Force, in_force, vertices
from .shipping import remove
from .situation import look, weights
from .verify import Verifier
from .wanted import NOTHING_WANTED, wanted_by_host

PROBE_PORT = 10001
LEASE_S = 10.0
RENEW_S = 2.0
SAMPLE_S = 1.0
BASELINE_S = 5.0


class HostInjector:
    """`Injector` over hosts. `clock` gives the run's time in ns. `start` before the first fault, `stop` at the end, always."""

    def __init__(
        self,
        hosts: Sequence[Host],
        provider: Provider,
        service: Service,
        ledger: Ledger,
        clock: Callable[[], int],
        *,
        voters: Mapping[str, int] | None = None,
        dial: Dial | None = None,
        lease_s: float = LEASE_S,
        probe_port: int = PROBE_PORT,
    ) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._provider, self._service, self._ledger, self._clock = provider, service, ledger, clock
        self._voters = dict(voters) if voters else dict.fromkeys(self._hosts, 1)
        self._dial = dial or self._dial_service
        self._lease_s = lease_s
        self._nodes = {host.name: on_host(host.name, host, probe_port) for host in hosts}
        self._agents: Mapping[str, AgentClient] = {**self._nodes, CLIENTS: self._clients_agent(probe_port)}
        self._reach = Reachability(self._agents)
        self._clocks = Clocks(self._nodes)
        self._libraries: dict[str, ClockLibrary] = {}
        self._verifier = Verifier(self._nodes, self._reach)
        self._active: dict[str, Resolved] = {}
        self._applied: dict[str, Json] = {}
        self._lapsed: set[str] = set()
        self._change = threading.RLock()
        self._stopping = threading.Event()
        self._background: threading.Thread | None = None
        self._sample: dict[str, Any] = {}

    # Beginning and end

    def start(self) -> Observation:
        """Start the agents, learn which links there are before any fault, and arm the watchdogs. Undoes what an earlier run left."""
        connect_all(self._agents)
        require(ask(self._firewalled(), self._to_firewalled({"do": "clear"})), "undoing what was left")
        self._configure()
        self._reach.connect()
        dark = self._reach.measure_baseline(BASELINE_S)
        if between := sorted(edge for edge in dark if CLIENTS not in edge):
            port = next(iter(self._nodes.values())).port
            raise FaultError(
                f"probes are not heard over {len(between)} links before any fault, the first from {between[0][0]} to {between[0][1]}",
                f"open UDP port {port} between the hosts",
            )
        self._applied = {name: NOTHING_WANTED for name in self._firewalled()}
        require(self._renew(), "arming the watchdogs")
        self._take_sample()
        self._stopping.clear()
        self._background = threading.Thread(target=self._run_background, name="nemesis-lease", daemon=True)
        self._background.start()
        return Observation(True, {"links": len(self._reach.links), "unprobed": [list(edge) for edge in sorted(dark)]})

    def stop(self) -> None:
        """Undo everything, end the agents, remove their files. Raises `FaultError` when a host could not be told; its watchdog undoes it."""
        self._stopping.set()
        if self._background is not None:
            self._background.join(timeout=60)
        try:
            with self._change:
                require(ask(self._firewalled(), self._to_firewalled({"do": "clear"})), "undoing all faults")
        finally:
            for agent in self._agents.values():
                agent.close()
        client_host = self._provider.client_host()
        on_all([*self._hosts.values(), *([client_host] if client_host else [])], remove).require(
            "removing the agents", FaultError
        )

    # The Injector protocol

    def situation(self) -> Situation:
        self._refresh_pids()
        answers = require(
            ask(self._nodes, {name: {"do": "process"} for name in self._nodes}), "looking at the processes"
        )
        situation = look(self._service, list(self._hosts.values()), self._dial, self._voters, answers)
        self._voters = dict(situation.voters)
        return situation

    def inject(self, fault: Resolved) -> Observation:
        with self._change:
            self._ledger.intended(fault, self._clock())
            try:
                started_s = time.monotonic()
                if fault.intent.kind == "voters":
                    self._move_voters(fault.what["voters"])
                else:
                    self._active[fault.intent.id] = fault
                    self._apply()
                elapsed_ms = round((time.monotonic() - started_s) * 1e3, 1)
                self._ledger.step("injected", fault, self._clock())
                observation = self._verify(fault, on=True, apply_ms=elapsed_ms)
            except TribulationError as error:
                self._give_up(fault, error)
                raise
            self._ledger.observed("verified", fault, self._clock(), observation)
            return observation

    def heal(self, fault: Resolved) -> Observation:
        with self._change:
            if fault.intent.id not in self._active:
                raise FaultError(
                    f"fault {fault.intent.id} is not in force, so it cannot be healed", "heal each fault once"
                )
            self._look_for_lapses()
            self._ledger.step("healing", fault, self._clock())
            del self._active[fault.intent.id]
            try:
                started_s = time.monotonic()
                self._apply()
                elapsed_ms = round((time.monotonic() - started_s) * 1e3, 1)
                observation = self._verify(fault, on=False, apply_ms=elapsed_ms)
            except TribulationError as error:
                self._ledger.failed(fault, self._clock(), error.message)
                raise
            self._ledger.observed("healed", fault, self._clock(), observation)
            return observation

    def heal_all(self) -> Observation:
        with self._change:
            faults = list(self._active.values())
            if faults:
                self._look_for_lapses()
            for fault in faults:
                self._ledger.step("healing", fault, self._clock())
            self._active.clear()
            self._apply()
            answers = require(ask(self._firewalled(), self._to_firewalled({"do": "clear"})), "undoing all faults")
            self._refresh_pids()
            observation = self._verifier.whole(self._with_process())
            for fault in faults:
                told = {**observation.observed, **self._lapse_of(fault)}
                self._ledger.observed("healed", fault, self._clock(), Observation(observation.verified, told))
            left = {name: answer["undone"] for name, answer in answers.items() if answer["undone"]}
            return Observation(observation.verified, {**observation.observed, **({"undone": left} if left else {})})

    # What the run records

    def sample(self) -> dict[str, Any]:
        """The newest reachability matrix (`links`: [from, to, up]) and clock offsets, as sampled in the background; never waits."""
        return dict(self._sample)

    def monotonic_offsets_ns(self) -> dict[str, tuple[int, int]]:
        """Each host's monotonic clock minus the run's time, and the error of that."""
        self._clocks.sample()
        run_zero_ns = time.monotonic_ns() - self._clock()
        return {
            name: (offset + run_zero_ns, error) for name, (offset, error) in self._clocks.monotonic_offsets_ns().items()
        }

    # Inside

    def _apply(self) -> None:
        """Send every host whose wanted state changed its new one, all at once."""
        force = in_force(self._active.values())
        wanted = wanted_by_host(force, self._agents, self._firewalled())
        changed = {name: state for name, state in wanted.items() if self._applied.get(name) != state}
        if not is_supervised(self._service):
            self._start_by_service(changed, force)
        for name in changed:
            self._applied.pop(name, None)
        requests = {name: {"do": "set", "wanted": state, "lease_s": self._lease_s} for name, state in changed.items()}
        require(ask(self._agents, requests), "changing what is in force")
        # What is said of a start holds for this one change only.
        self._applied.update(
            {name: {k: v for k, v in s.items() if k != "started_by_service"} for name, s in changed.items()}
        )

    def _start_by_service(self, changed: dict[str, Json], force: Force) -> None:
        """A killed process without a supervisor is started as the service itself would, so that its bookkeeping stays right."""
        for name, state in changed.items():
            applied = self._applied.get(name)
            was_killed = applied is not None and applied["killed"]
            if was_killed and name not in force.killed:
                library = self._libraries.get(name)
                self._service.start(self._hosts[name], dict(library.environment) if library else {})
                state["started_by_service"] = True
        if any(state.get("started_by_service") for state in changed.values()):
            self._refresh_pids()

    def _verify(self, fault: Resolved, *, on: bool, apply_ms: float) -> Observation:
        force = in_force(self._active.values())
        seen = self._verifier.of(fault, force, on, self._with_process())
        if fault.intent.kind == "voters":
            seen = self._verify_voters(fault.what["voters"])
        more = {"apply_ms": apply_ms, **({} if on else self._lapse_of(fault))}
        return Observation(seen.verified, {**seen.observed, **more})

    def _lapse_of(self, fault: Resolved) -> Json:
        """A fault that a watchdog undid while the harness was not looking did not last as intended, and says so."""
        return {"lapsed": True} if fault.intent.id in self._lapsed else {}

    def _give_up(self, fault: Resolved, error: TribulationError) -> None:
        self._ledger.failed(fault, self._clock(), error.message)
        if self._active.pop(fault.intent.id, None) is not None:
            try:
                self._apply()
            except TribulationError as second:
                # The first error is the one to tell; heal_all tries again, and without renewal the watchdog does.
                self._ledger.failed(fault, self._clock(), f"and it could not be taken back: {second.message}")

    def _move_voters(self, voters: Mapping[str, int]) -> None:
        move = getattr(self._service, "set_voters", None)
        if move is None:
            raise FaultError(
                f"system {self._service.name!r} cannot change its voters",
                "leave out `voters`, or give its service `set_voters`",
            )
        move(list(self._hosts.values()), self._dial, {**self._voters, **voters}, 20.0)

    def _verify_voters(self, voters: Mapping[str, int]) -> Observation:
        hosts = list(self._hosts.values())
        now = weights(self._service, hosts, self._dial, self._service.leader(hosts, self._dial))
        wanted = {**self._voters, **voters}
        self._voters = now or self._voters
        same = {node: now.get(node, 0) for node in wanted} == wanted
        return Observation(same, {"voters": now})

    def _configure(self) -> None:
        found = on_all(list(self._hosts.values()), installed).require("looking for clock libraries", FaultError)
        self._libraries = {name: library for name, library in found.items() if library is not None}
        requests = {}
        for name in self._firewalled():
            host = self._hosts.get(name) or self._provider.client_host()
            config: Json = {"control": list(host.control) if host else []}
            if library := self._libraries.get(name):
                config |= {
                    "clock_file": library.file,
                    "clock_library": library.library,
                    "clock_environment": dict(library.environment),
                }
            requests[name] = {"do": "configure", "config": config}
        require(ask(self._agents, requests), "configuring the agents")
        self._tell_processes()

    def _refresh_pids(self) -> None:
        """Only for services without a supervisor: their process is known by a pid, which changes at each start."""
        if not is_supervised(self._service):
            self._tell_processes()

    def _tell_processes(self) -> None:
        # A process that is down keeps the pid by which it was known: it says how to start it again.
        found = on_all(list(self._hosts.values()), lambda host: process_of(self._service, host)).require(
            "finding the processes", FaultError
        )
        self._processes = {
            **getattr(self, "_processes", {}),
            **{name: process for name, process in found.items() if process},
        }
        requests = {name: {"do": "configure", "config": {"process": p}} for name, p in self._processes.items()}
        require(ask(self._nodes, requests), "telling the agents the processes")

    def _with_process(self) -> frozenset[str]:
        return frozenset(self._processes)

    def _clients_agent(self, port: int) -> AgentClient:
        host = self._provider.client_host()
        addresses = self._provider.client_addresses.get(CLIENTS, ())
        agent = (
            here(CLIENTS, port) if host is None else on_host(CLIENTS, host, port, addresses[0] if addresses else None)
        )
        # Where clients run with the harness, hosts know them by the address that controls them, if by no better one.
        known = list(addresses) or [next(iter(self._hosts.values())).control[0]]
        agent.addresses = sorted({*agent.addresses, *known})
        agent.address = agent.address or known[0]
        return agent

    def _firewalled(self) -> Mapping[str, AgentClient]:
        """The vertices whose agents may change their host: all, but not the harness's own machine."""
        return self._nodes if self._provider.client_host() is None else self._agents

    def _to_firewalled(self, request: Json) -> dict[str, Json]:
        return dict.fromkeys(self._firewalled(), request)

    def _dial_service(self, node: str, timeout_s: float) -> Any:
        port = int(getattr(self._service, "port", 10000))
        return self._provider.dial(self._hosts[node].address, port, timeout_s=timeout_s)

    def _renew(self) -> tuple[dict[str, Json], dict[str, Exception]]:
        return ask(self._firewalled(), self._to_firewalled({"do": "renew", "lease_s": self._lease_s}))

    def _run_background(self) -> None:
        """Renewals go on whatever happens to samples: losing a host must not let the faults on the others lapse."""
        period_s = min(RENEW_S, self._lease_s / 5)
        next_renewal_s, next_sample_s = 0.0, 0.0
        while not self._stopping.wait(0.05):
            now_s = time.monotonic()
            if now_s >= next_renewal_s:
                next_renewal_s = now_s + period_s
                self._renew_in_background()
            if now_s >= next_sample_s:
                next_sample_s = now_s + SAMPLE_S
                try:
                    self._take_sample()
                except FaultError as error:
                    self._sample = {"sample-failed": {"error": error.message}}

    def _renew_in_background(self) -> None:
        if self._change.acquire(blocking=False):
            try:
                self._look_for_lapses()
            finally:
                self._change.release()
        else:
            # A change is under way; leases must not wait for it.
            self._note_failures(self._renew()[1])

    def _note_failures(self, failures: Mapping[str, Exception]) -> None:
        if failures:
            told = {name: str(getattr(error, "message", error)) for name, error in failures.items()}
            self._sample = {**self._sample, "agents-lost": told}

    def _look_for_lapses(self) -> None:
        """Renew, and compare what is in force with what should be; under the change lock, or the comparison means nothing."""
        answers, failures = self._renew()
        for name, answer in answers.items():
            if self._applied.get(name, NOTHING_WANTED) != NOTHING_WANTED and not any(answer["in_force"].values()):
                self._lapsed |= {fault.intent.id for fault in self._active.values() if name in vertices(fault)}
                self._applied[name] = NOTHING_WANTED
        self._note_failures(failures)

    def _take_sample(self) -> None:
        links = [[source, sink, up] for (source, sink), up in self._reach.sample().items()]
        self._sample = {"reachability": {"links": links}, "clock-offsets": as_json(self._clocks.sample())}
