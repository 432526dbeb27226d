"""Faults on real hosts: recorded in the ledger first, injected through the agents, verified by probes, healed, and verified again.

The wanted state is the sum of the active faults (`in_force`); a change sends each host whose part changed its whole new state. One change at a time:
a verification must not meet another change half-way. A background thread renews the agents' leases and samples reachability and clocks. When the
harness dies, the leases expire and every host heals itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ...errors import FaultError, TribulationError, text_of
from ...hosts.base import Host, Provider
from ...hosts.ssh.claims import owner_here
from ...systems.base import Dial, Service
from ...trouble import Trouble
from ..agent_client.agents import Busy, Json, require
from ..cluster.client_control import ClientControl
from ..cluster.clock_readings import Clocks
from ..cluster.cluster import Cluster
from ..cluster.reachability import Reachability
from ..cluster.situation import look
from ..faults.fault import CLIENTS, Intent, Observation, Resolved, Situation
from ..faults.ledger import Ledger
from ..faults.triggers import latency
from ..kinds.processes.outages import bring_back
from ..kinds.processes.processes import is_running, states
from ..registry import Ground, Package, package_of, unheld
from ..topology.masking import Covering, unheard, unseen
from ..topology.partitions import Edge
from ..topology.resolve import held_off, in_force, vertices
from .background import Background
from .host_states import HostStates
from .leases import Leases

PROBE_PORT = 10001
LEASE_S = 10.0
BASELINE_S = 15.0
STARTING_NS = 5_000_000_000
"""Latest time after a heal at which a host may still start."""
_WHOLE_TELLS = ("cut", "kill", "pause")


class HostInjector:
    """`Injector` over hosts. `clock` gives the run's time in ns; `seed` is the plan's and keys the random numbers used on hosts. `run` names the run in the
    ownership record on hosts. Call `start` before the first fault, and `stop` at the end, always.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        provider: Provider,
        service: Service,
        ledger: Ledger,
        clock: Callable[[], int],
        *,
        seed: int | str,
        voters: Mapping[str, int] | None = None,
        dial: Dial | None = None,
        lease_s: float = LEASE_S,
        probe_port: int = PROBE_PORT,
        run: str = "",
        trouble: Trouble | None = None,
        clients: ClientControl | None = None,
    ) -> None:
        owner = {"run": run, "by": owner_here()}
        self._cluster = Cluster(hosts, provider, service, dial, lease_s, probe_port, voters, owner, clients)
        self._ledger, self._clock = ledger, clock
        self._reach = Reachability(self._cluster.agents, late_s=self._cluster.late_ns / 1e9)
        self._clocks = Clocks(self._cluster.nodes)
        self._ground = Ground(self._cluster, self._reach, seed)
        self._trouble = trouble or Trouble()
        self._leases = Leases(lease_s)
        self._background = Background(
            self._cluster.agents,
            self._reach,
            self._clocks,
            self._renew_in_background,
            self._cluster.renew_outages,
            lease_s,
            clock,
            self._trouble,
        )
        self._active: dict[str, Resolved] = {}
        self._covering = Covering()
        self._unfinished: dict[str, Resolved] = {}
        self._ending: dict[str, Resolved] = {}
        """Faults whose heal began and failed; the next heal of everything ends them."""
        self._sent = HostStates(self._ground)
        self._lapsed: set[str] = set()
        self._unheld: dict[str, Json] = {}
        self._change = threading.RLock()

    def start(self) -> Observation:
        """Start the agents, learn which links there are before any fault, and arm the watchdogs. Undoes what an earlier run left."""
        try:
            self._cluster.connect()
            self._reach.connect()
            dark = self._reach.measure_baseline(BASELINE_S)
            self._refuse_dark(sorted(edge for edge in dark if CLIENTS not in edge))
            self._sent.begin()
            require(self._renew(patient=True), "arming the watchdogs")
            self._background.start()
        except TribulationError:
            self._cluster.close()
            raise
        return Observation(True, {"links": len(self._reach.links), "unprobed": [list(edge) for edge in sorted(dark)]})

    def _refuse_dark(self, links: Sequence[Edge]) -> None:
        """Clients may be out of the probes' reach (and are then never verified); nodes may not."""
        if links:
            port = next(iter(self._cluster.nodes.values())).port
            raise FaultError(
                f"probes do not arrive over {len(links)} links before any fault, the first from {links[0][0]} to {links[0][1]}",
                f"open UDP port {port} between the hosts; with dozens of hosts on one machine, its neighbour table may be full (see dmesg)",
            )

    def stop(self) -> None:
        """Undo everything, end the agents, remove their files. Raises `FaultError` when a host could not be reached; its watchdog undoes it."""
        self._background.stop()
        try:
            with self._change:
                bring_back(self._ground, self._cluster.off)
                self._cluster.clear("undoing all faults")
        finally:
            self._cluster.close()
        self._cluster.remove()

    def situation(self) -> Situation:
        cluster = self._cluster
        processes = cluster.look_at_processes()
        situation = look(cluster.service, list(cluster.hosts.values()), cluster.dial, cluster.voters, processes)
        cluster.voters = dict(situation.voters)
        return situation

    def steady(self, intent: Intent) -> AbstractContextManager[object]:
        """Return the change lock, but not for faults that may wait for others: those others must be able to end."""
        package = package_of(intent.kind)
        return self._change if package.heals and not package.waits else nullcontext()

    def inject(self, fault: Resolved) -> Observation:
        package = package_of(fault.intent.kind)
        if not package.heals:
            return self._do_once(fault, package)
        self._ledger.intended(fault, self._clock())
        prepared = self._prepare(fault, package) if package.waits else {}
        with self._change:
            try:
                started_s = time.monotonic()
                self._active[fault.intent.id] = fault
                self._covering.began(fault, self._clock())
                facts = {**prepared, **package.begin(fault, self._ground)}
                self._now_in_force()
                self._sent.send(self._active.values())
                elapsed_ms = round((time.monotonic() - started_s) * 1e3, 1)
                injected_ns = self._clock()
                self._ledger.step("injected", fault, injected_ns)
                facts |= {"apply_ms": elapsed_ms, **latency(fault, injected_ns)}
                observation = self._or_hidden(fault, self._look(fault, on=True, more=facts), injected_ns)
            except Exception as error:
                self._give_up(fault, error)
                raise
            self._ledger.observed("verified", fault, self._clock(), observation)
            return observation

    def _do_once(self, fault: Resolved, package: Package) -> Observation:
        """Carry out a fault without the change lock: the fault ends at once, and may itself need a quorum that only a heal restores."""
        self._ledger.intended(fault, self._clock())
        try:
            facts = package.begin(fault, self._ground)
            self._ledger.step("injected", fault, self._clock())
            seen = package.look(fault, self._ground, on=True)
        except Exception as error:
            self._ledger.failed(fault, self._clock(), text_of(error))
            raise
        observation = Observation(seen.verified, {**seen.observed, **facts})
        self._ledger.observed("verified", fault, self._clock(), observation)
        return observation

    def _prepare(self, fault: Resolved, package: Package) -> Json:
        """Prepare a fault without the change lock, as it is ended: it may wait for another fault's heal."""
        self._unfinished[fault.intent.id] = fault
        try:
            return package.prepare(fault, self._ground)
        except Exception as error:
            self._ledger.failed(fault, self._clock(), text_of(error))
            raise

    def heal(self, fault: Resolved) -> Observation:
        if fault.intent.id not in self._active:
            raise FaultError(f"fault {fault.intent.id} is not active, so it cannot be healed", "heal each fault once")
        try:
            with self._change:
                facts = self._take_back(fault)
                if fault.intent.id not in self._unfinished:
                    return self._see_healed(fault, facts)
            facts |= self._finish(fault)
            with self._change:
                return self._see_healed(fault, facts)
        except Exception as error:
            self._ending[fault.intent.id] = fault
            self._ledger.failed(fault, self._clock(), text_of(error))
            raise

    def _take_back(self, fault: Resolved) -> Json:
        self._look_for_lapses(patient=True)
        self._unheld |= unheld([fault], self._ground)
        self._ledger.step("healing", fault, self._clock())
        del self._active[fault.intent.id]
        self._covering.ended(fault, self._clock())
        started_s = time.monotonic()
        self._now_in_force()
        facts = package_of(fault.intent.kind).end(fault, self._ground)
        self._sent.send(self._active.values())
        return {"apply_ms": round((time.monotonic() - started_s) * 1e3, 1), **facts}

    def _finish(self, fault: Resolved) -> Json:
        """Finish a fault and return its facts. If that raises, the final heal tries again."""
        facts = package_of(fault.intent.kind).finish(fault, self._ground)
        self._unfinished.pop(fault.intent.id, None)
        return facts

    def _see_healed(self, fault: Resolved, facts: Json) -> Observation:
        observation = self._look(fault, on=False, more=facts)
        hidden_by = () if observation.verified else self._hiding_its_end(fault, observation)
        if hidden_by:
            # It is looked at again when everything is back.
            self._ending[fault.intent.id] = fault
            observation = Observation(False, {**observation.observed, "hidden_by": sorted(hidden_by)})
        self._ledger.observed("healed", fault, self._clock(), observation)
        return observation

    def _hiding_its_end(self, fault: Resolved, observation: Observation) -> tuple[str, ...]:
        """The faults because of which a node could not report whether this one is over: active ones, and those that ended so recently that the node
        still starts.
        """
        since_ns = self._clock() - STARTING_NS
        return self._covering.hidden(fault, unheard(fault, observation), since_ns, ending=True)

    def heal_all(self) -> Observation:
        """Undo everything, and verify it. It may be called again after it failed: it then ends what it had begun to end."""
        with self._change:
            begun = list(self._active.values())
            if begun:
                self._look_for_lapses(patient=True)
                self._unheld |= unheld(begun, self._ground)
            for fault in begun:
                self._ledger.step("healing", fault, self._clock())
            self._ending.update({fault.intent.id: fault for fault in begun})
            faults = list(self._ending.values())
            self._active.clear()
            self._covering.ended_all(self._clock())
            self._now_in_force()
            for fault in reversed(faults):
                package_of(fault.intent.kind).end(fault, self._ground)
            bring_back(self._ground, self._cluster.off)
            self._sent.send(self._active.values())
            left = self._cluster.clear("undoing all faults")
            self._cluster.refresh_pids()
            for fault in list(self._unfinished.values()):
                self._finish(fault)
            observation = self._whole()
            verified = [self._see_healed_with_all(fault, observation) for fault in faults]
            self._ending.clear()
            facts = {**observation.observed, **({"undone": left} if left else {})}
            return Observation(observation.verified and all(verified), facts)

    def _see_healed_with_all(self, fault: Resolved, whole: Observation) -> bool:
        """Probes of links and processes cover cuts, kills and pauses; the others are verified one by one."""
        own = Observation(True) if fault.intent.kind in _WHOLE_TELLS else self._look(fault, on=False, more={})
        verified, facts = whole.verified and own.verified, {**whole.observed, **own.observed, **self._lapse_of(fault)}
        self._ledger.observed("healed", fault, self._clock(), Observation(verified, facts))
        return verified

    def _whole(self) -> Observation:
        """Nothing is active any more: every link is up, and every process runs on the hosts that have one at all."""
        links = self._ground.links()
        seen = states(self._ground, sorted(self._cluster.processes), lambda _, process: is_running(process))
        facts = {name: seen.observed[name] for name in ("states", "unlike") if name in seen.observed}
        return Observation(links.verified and seen.verified, {**links.observed, **facts})

    def sample(self) -> dict[str, Any]:
        """Return the newest reachability matrix (`links`: [from, to, up]) and clock offsets, as sampled in the background; never waits."""
        return self._background.sample()

    def monotonic_offsets_ns(self) -> dict[str, tuple[int, int]]:
        """Return each host's monotonic clock minus the run's time, and the error of that, in ns."""
        self._clocks.sample()
        run_zero_ns = time.monotonic_ns() - self._clock()
        return {
            name: (offset + run_zero_ns, error) for name, (offset, error) in self._clocks.monotonic_offsets_ns().items()
        }

    def _look(self, fault: Resolved, *, on: bool, more: Json) -> Observation:
        seen = package_of(fault.intent.kind).look(fault, self._ground, on)
        return Observation(seen.verified, {**seen.observed, **more, **({} if on else self._lapse_of(fault))})

    def _or_hidden(self, fault: Resolved, observation: Observation, since_ns: int) -> Observation:
        """Return the observation, with the faults that masked it in `hidden_by`: those that were active at some time since the injection."""
        self._covering.saw(fault, observation)
        known = observation.verified or "hidden_by" in observation.observed
        hidden_by = () if known else self._covering.hidden(fault, unseen(fault, observation), since_ns)
        if not hidden_by:
            return observation
        return Observation(False, {**observation.observed, "hidden_by": sorted(hidden_by)})

    def _lapse_of(self, fault: Resolved) -> Json:
        """A fault that a watchdog or someone else undid while the harness was not looking did not last as intended; its observation reports it."""
        return self._unheld.get(fault.intent.id) or ({"lapsed": True} if fault.intent.id in self._lapsed else {})

    def _give_up(self, fault: Resolved, error: Exception) -> None:
        self._ledger.failed(fault, self._clock(), text_of(error))
        self._covering.ended(fault, self._clock())
        if self._active.pop(fault.intent.id, None) is not None:
            try:
                self._now_in_force()
                package_of(fault.intent.kind).end(fault, self._ground)
                self._sent.send(self._active.values())
            except Exception as second:
                # The first error is the one to report, even a bug; heal_all tries again, and without renewal the watchdog does.
                self._ending[fault.intent.id] = fault
                self._ledger.failed(fault, self._clock(), f"and it could not be undone: {text_of(second)}")

    def _now_in_force(self) -> None:
        self._ground.force = in_force(self._active.values())

    def _renew_in_background(self) -> Mapping[str, Exception]:
        if not self._change.acquire(blocking=False):
            # A change is under way; leases must not wait for it.
            failures: Mapping[str, Exception] = self._renew(patient=False)[1]
        else:
            try:
                failures = self._look_for_lapses(patient=False)
            finally:
                self._change.release()
        self._report_overdue(failures)
        return failures

    def _renew(self, patient: bool) -> tuple[dict[str, Json], dict[str, Exception]]:
        self._leases.forget(self._cluster.off)
        asked_s = time.monotonic()
        answers, failures = self._cluster.renew(patient=patient)
        self._leases.renewed(answers, asked_s)
        for name, late_s in self._cluster.renewed_late().items():
            self._leases.renewed([name], late_s)
        return answers, failures

    def _report_overdue(self, failures: Mapping[str, Exception]) -> None:
        """Report leases that were not renewed in time: their hosts may have healed themselves. An agent that is busy with a change is left out."""
        silent = [
            name for name, error in failures.items() if name not in self._cluster.off and not isinstance(error, Busy)
        ]
        for name, age_s in self._leases.newly_overdue(silent, time.monotonic()).items():
            self._mark_lapsed(name)
            self._trouble.error(
                f"the lease of {name} ran out: it was renewed {age_s:.1f} s ago, so its watchdog undoes its faults: {failures[name]}"
            )

    def _mark_lapsed(self, name: str) -> None:
        self._lapsed |= {fault.intent.id for fault in list(self._active.values()) if name in vertices(fault)}

    def _look_for_lapses(self, patient: bool) -> Mapping[str, Exception]:
        """Renew, and compare what is active with what should be; under the change lock, or the comparison means nothing."""
        answers, failures = self._renew(patient=patient)
        if patient:
            self._cluster.renew_outages()
        for name, answer in answers.items():
            if self._sent.is_lapsed(name, answer):
                self._mark_lapsed(name)
        if self._cluster.back:
            self._lapsed |= {
                f.intent.id for f in self._active.values() if not self._cluster.back.isdisjoint(held_off(f))
            }
        return failures
