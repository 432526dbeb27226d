"""Three hosts under one log: the machines `agents` and `coordinator` with the application, and around them a world without Raft, disks or sockets.

The log is a list; a node that is not cut off appends to it and learns from it, a little later. n3 leads and hosts nothing. Everything happens at a virtual time and one
thing after the other, so that a test may strike after the N-th.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from typing import Any

from tribulation.node.config.node import MS
from tribulation.node.core.agents.agents import Agents
from tribulation.node.core.application.placement import Placement
from tribulation.node.core.cluster.coordinator import Coordinator
from tribulation.node.core.interface.effects import CancelTimer, Send, SetTimer, Trace
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.events import Connected
from tribulation.node.core.interface.messages import from_wire, to_wire
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import (
    AgentsHere,
    AgentWork,
    Applied,
    Changed,
    LeaderChanged,
    QuorumLost,
    QuorumRegained,
    ReadReady,
    ReadRequest,
    Submit,
    Submitted,
    Withdraw,
)

from .records import config, member

QUORUM_NS = 600 * MS
FAILED_NS = 1200 * MS
RETRY_NS = 400 * MS


class Host:
    def __init__(self, world: World, name: str, incarnation: int, flaws: tuple[str, ...]) -> None:
        settings = config(name, flaws=list(flaws), agents={"checkpoint_ns": 200 * MS, "balance_ns": 1000 * MS})
        self.world, self.name, self.incarnation = world, name, incarnation
        self.up = True
        self.out = Outbox()
        self.members: dict[str, Any] = {}
        self.app = Placement(settings, self.members)
        self.applied = 0
        self.wishes: dict[str, list[Any]] = {}
        self.running: dict[str, int] = {}
        self.state: Any = {}
        self.timers: dict[str, int] = {}
        self.traces: list[tuple[str, dict[str, Any]]] = []
        chance = Chance(1, name, incarnation)
        self.agents = Agents(settings, self.out, incarnation, chance)
        self.machines: dict[str, Any] = {"agents": self.agents}
        if name == "n3":
            self.machines["coordinator"] = Coordinator(settings, self.out, incarnation, chance)
        for machine in self.machines.values():
            machine.start(world.now)
        self.step(lambda: self.signal(LeaderChanged("n3", 1, name == "n3")))

    def signal(self, signal: Any) -> None:
        for machine in self.machines.values():
            handler = machine.signals.get(type(signal))
            if handler is not None:
                handler(self.world.now, signal)

    def step(self, act: Callable[[], None]) -> None:
        """One step of a core: an event, what it leads to, and the flush."""
        if not self.up:
            return
        act()
        self._drain()
        for machine in self.machines.values():
            machine.flush(self.world.now)
        self._drain()
        for machine in self.machines.values():
            machine.check()
        for effect in self.out.take():
            self._carry_out(effect)

    def _drain(self) -> None:
        signals = self.out.signals
        while signals:
            signal = signals.popleft()
            if isinstance(signal, Submit):
                problem = self.app.problem(signal.command[0], signal.command[1])
                assert problem is None, problem
                assert len(json.dumps(signal.command)) < 200_000
                if self.wishes.get(signal.key) != signal.command:
                    self.wishes[signal.key] = signal.command
                    self.world.bring(self, signal.key)
            elif isinstance(signal, Withdraw):
                self.wishes.pop(signal.key, None)
            elif isinstance(signal, ReadRequest):
                self.world.later(2 * MS, lambda token=signal.token: self.world.read(self, token))
            elif isinstance(signal, AgentsHere):
                self.running, self.state = dict(signal.running), signal.state
            else:
                self.signal(signal)

    def _carry_out(self, effect: Any) -> None:
        if isinstance(effect, SetTimer):
            self.timers[effect.key] = effect.generation
            self.world.at(effect.at_ns, lambda: self.fire(effect.key, effect.generation))
        elif isinstance(effect, CancelTimer):
            self.timers.pop(effect.key, None)
        elif isinstance(effect, Send):
            self.world.send(self.name, effect.peer, effect.message)
        elif isinstance(effect, Trace):
            self.traces.append((effect.event, dict(effect.fields)))
            self.world.traces.append((self.world.now, self.name, effect.event, dict(effect.fields)))

    def fire(self, key: str, generation: int) -> None:
        if self.timers.get(key) == generation:
            machine = self.machines[key.partition("/")[0]]
            self.step(lambda: machine.on_timer(self.world.now, key))

    def learn(self) -> None:
        """Apply what the log has more."""
        if self.up and self.name not in self.world.cut:
            while self.applied < len(self.world.log):
                self.step(self._apply_next)

    def _apply_next(self) -> None:
        command = self.world.log[self.applied]
        self.applied += 1
        ids, result = (), {"status": "ok"}
        if command[0] == "members.set":
            self.members[command[1]["name"]] = command[1]["record"]
            ids = (command[1]["name"],)
        else:
            result = self.app.apply(self.applied, command[0], command[1])
        self.out.emit(Applied([make_entry(self.applied, 1, command)], [result]))
        if ids:
            self.out.emit(Changed("members", ids, self.members))
        if self.app.fresh:
            fresh = tuple(self.app.fresh)
            self.app.fresh.clear()
            self.out.emit(Changed("agents", fresh, self.app.view))
        for key in [key for key, wish in self.wishes.items() if wish == command]:
            del self.wishes[key]
            self.out.emit(Submitted(key, self.applied, result))

    def work(self, agent: str, **changes: Any) -> bool:
        """A task sets these keys, if the agent may work here."""
        epoch = self.running.get(agent)
        if epoch is not None and self.up:
            self.step(lambda: self.signal(AgentWork(agent, epoch, changes)))
        return epoch is not None and self.up

    def traced(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.traces if name == event]


class World:
    """`strike`: what happens after that many things have happened."""

    def __init__(self, *flaws: str, strike: tuple[int, Callable[[World], None]] | None = None) -> None:
        self.now = 1000 * MS
        self.log: list[Any] = []
        self.cut: dict[str, int] = {}
        self.lost: Callable[[str, str, Any], bool] = lambda sender, receiver, message: False
        self.happened = 0
        self.sent = 0
        self.traces: list[tuple[int, str, str, dict[str, Any]]] = []
        self._flaws, self._strike = flaws, strike
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._number = 0
        self.hosts = {name: Host(self, name, 1, flaws) for name in ("n1", "n2", "n3")}
        self.judge = Placement(config(), {})
        """An application that applies each entry as soon as it is in the log: what is authorised now."""
        for name in self.hosts:
            self.admit(name, member(role="coordinator" if name == "n3" else "hybrid"))
        self.later(RETRY_NS, self._retry)
        self.run(20)

    def at(self, time_ns: int, act: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._agenda, (max(time_ns, self.now), self._number, act))

    def later(self, delay_ns: int, act: Callable[[], None]) -> None:
        self.at(self.now + delay_ns, act)

    def run(self, ms: int, until: Callable[[], bool] = lambda: False) -> bool:
        """Let so much time pass, or less: whether `until` came true."""
        end = self.now + ms * MS
        while self._agenda and self._agenda[0][0] <= end and not until():
            time_ns, _, act = heapq.heappop(self._agenda)
            self.now = time_ns
            act()
            self.happened += 1
            self.check()
            if self._strike is not None and self.happened >= self._strike[0]:
                (_, strike), self._strike = self._strike, None
                strike(self)
        if not until():
            self.now = max(self.now, end)
        return until()

    def append(self, *command: Any) -> None:
        self.log.append(json.loads(json.dumps(command)))
        name, fields = self.log[-1]
        if name == "members.set":
            self.judge._members[fields["name"]] = fields["record"]  # type: ignore[index]
        else:
            self.judge.apply(len(self.log), name, fields)
        for host in self.hosts.values():
            self.later(2 * MS, lambda host=host: host.learn())

    def admit(self, name: str, record: Any) -> None:
        self.append("members.set", {"name": name, "record": record})

    def bring(self, host: Host, key: str) -> None:
        command = host.wishes[key]
        if host.name not in self.cut:
            self.later(MS, lambda: self.append(*command) if host.name not in self.cut else None)

    def _retry(self) -> None:
        self.later(RETRY_NS, self._retry)
        for host in self.hosts.values():
            if host.up:
                for key in list(host.wishes):
                    self.bring(host, key)

    def read(self, host: Host, token: int) -> None:
        if host.name not in self.cut:
            index = len(self.log)
            host.step(lambda: host.signal(ReadReady(token, index)))

    def send(self, sender: str, receiver: str, message: Any) -> None:
        wire = json.dumps(to_wire(message))
        assert len(wire) < 1 << 20
        self.sent += len(wire)
        if sender not in self.cut and receiver not in self.cut and not self.lost(sender, receiver, message):
            self.later(MS, lambda: self._deliver(sender, receiver, from_wire(json.loads(wire))))

    def _deliver(self, sender: str, receiver: str, message: Any) -> None:
        host = self.hosts[receiver]
        if sender not in self.cut and receiver not in self.cut:
            host.step(lambda: host.agents.on_message(self.now, sender, message))

    def end(self, name: str) -> None:
        self.hosts[name].up = False
        self.traces.append((self.now, name, "ended", {}))

    def kill(self, name: str) -> None:
        """The process ends; a second later its member is failed, unless it is another process by then."""
        self.end(name)
        host = self.hosts[name]
        self.later(FAILED_NS, lambda: self._fail(host) if self.hosts[name] is host else None)

    def _fail(self, host: Host) -> None:
        self.admit(host.name, member("FAILED", host.incarnation))

    def revive(self, name: str) -> None:
        incarnation = self.hosts[name].incarnation + 1
        self.hosts[name] = Host(self, name, incarnation, self._flaws)
        self.admit(name, member("JOINING", incarnation))
        self.later(10 * MS, lambda: self.admit(name, member(incarnation=incarnation)))

    def cut_off(self, name: str, *, failed: bool = True) -> None:
        """Nothing goes to it or comes from it. It misses its quorum soon; after a second it is failed for the others, if they notice."""
        host, since = self.hosts[name], self.now
        self.cut[name] = since
        self.later(QUORUM_NS, lambda: self._miss(host, since))
        if failed:
            self.later(FAILED_NS, lambda: self._fail(host) if self.cut.get(name) == since else None)

    def _miss(self, host: Host, since: int) -> None:
        if self.cut.get(host.name) == since:
            host.step(lambda: host.signal(QuorumLost(since)))

    def heal(self, name: str) -> None:
        """Contact comes before the log does."""
        del self.cut[name]
        host = self.hosts[name]
        host.step(lambda: host.signal(QuorumRegained()))
        for one, other in [(name, peer) for peer in self.hosts if peer != name]:
            for here, there in ((one, other), (other, one)):
                to = self.hosts[here]
                to.step(lambda to=to, there=there: to.agents.on_connection(self.now, Connected(there)))
        self.later(5 * MS, host.learn)

    def check(self) -> None:
        """At most one host runs an agent under the epoch that is authorised now; one that runs it under another epoch cannot know better yet."""
        for agent, record in self.judge.view.items():
            running = [host for host in self.hosts.values() if host.up and agent in host.running]
            right = [host.name for host in running if host.running[agent] == record["epoch"]]
            assert right in ([], [record["host"]]), (agent, right, record)
            for host in running:
                assert host.running[agent] == record["epoch"] or host.applied < len(self.log), (agent, host.name)

    def overlaps(self) -> list[str]:
        """Agents that ran on two hosts at one time, by the traces."""
        found, running = [], {}
        for time_ns, name, event, fields in self.traces:
            if event == "ended":
                running = {key: at for key, at in running.items() if key[1] != name}
            elif event in ("agent-stopped", "agent-suspended"):
                running.pop((fields["agent"], name), None)
            elif event == "agent-started":
                running[(fields["agent"], name)] = time_ns
                if sum(agent == fields["agent"] for agent, _ in running) > 1:
                    found.append(fields["agent"])
        return found

    def spawn(self, agent: str, on: str) -> None:
        self.append("agents.spawn", {"agent": agent, "type": "code", "on": on})
        assert self.run(1000, lambda: agent in self.hosts[on].running)

    def record(self, agent: str = "a") -> Any:
        return self.judge.view.get(agent)

    def move(self, agent: str, to: str) -> None:
        self.append("agents.move", {"agent": agent, "epoch": self.record(agent)["epoch"], "to": to})

    def where(self, agent: str = "a") -> list[str]:
        return [host.name for host in self.hosts.values() if host.up and agent in host.running]
