"""Tasks on a small cluster that is only a shared log: leaders change, hosts crash, are suspended and given up, commands come late and twice; then peace.

    explore(seed)       # sentences of what is wrong: none for a correct node

Each node is an application and a machine, and applies the log at its own pace. A node may believe to lead that does not. Everything follows from the seed.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tribulation.node.core.application.tasks import Tasks
from tribulation.node.core.interface.effects import DropTask, RunTask, SetTimer
from tribulation.node.core.interface.events import TaskDone
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import AgentsHere, Changed, LeaderChanged, Submit, Submitted, Withdraw
from tribulation.node.core.tasks.tasks import TaskMachine

from .world import NODES, agent, config, member, submission

MS = 1_000_000
AGENTS = {"a1": "n1", "a2": "n2", "a3": "n3", "a4": "n1"}


class Node:
    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.agents: dict[str, Any] = {
            host: agent(home, type_="code" if host == "a4" else "generic") for host, home in AGENTS.items()
        }
        self.members: dict[str, Any] = {node: member() for node in NODES}
        self.app = Tasks(world.config, self.agents)
        self.out = Outbox()
        self.machine = TaskMachine(world.config_of(name), self.out, 1, Chance(1, name, 1))
        self.applied = 0
        self.wishes: dict[str, list[Any]] = {}
        self.running: dict[int, RunTask] = {}
        self.timers: dict[str, int] = {}
        self.suspended = False
        self._notify("agents", tuple(self.agents), self.agents)
        self._notify("members", NODES, self.members)

    def hear(self, signal: Any) -> None:
        handler = self.machine.signals.get(type(signal))
        if handler is not None:
            handler(self.world.now, signal)

    def settle(self) -> None:
        while True:
            self.machine.flush(self.world.now)
            if not self.out.signals:
                break
            while self.out.signals:
                signal = self.out.signals.popleft()
                if isinstance(signal, Submit):
                    self.wishes[signal.key] = signal.command
                elif isinstance(signal, Withdraw):
                    self.wishes.pop(signal.key, None)
        self.machine.check()
        for effect in self.out.take():
            if isinstance(effect, RunTask):
                self.running[effect.run] = effect
            elif isinstance(effect, DropTask):
                self.running.pop(effect.run, None)
            elif isinstance(effect, SetTimer):
                self.timers[effect.key] = effect.at_ns

    def apply(self, upto: int) -> None:
        """Take entries as one batch: the changes are reported at its end, then what was applied."""
        fulfilled = []
        for index in range(self.applied + 1, upto + 1):
            command, fields = self.world.log[index - 1]
            answer = self._take(index, command, fields)
            wish = [command, fields]
            fulfilled += [(key, index, answer) for key, text in self.wishes.items() if text == wish]
            for key, _, _ in fulfilled:
                self.wishes.pop(key, None)
        self.applied = upto
        fresh, self.app.fresh = self.app.fresh, {}
        if fresh:
            self._notify("tasks", tuple(fresh), self.app.view)
        for key, index, answer in fulfilled:
            self.hear(Submitted(key, index, answer))
        self.say_agents()
        self.settle()

    def say_agents(self) -> None:
        here = {name: record["epoch"] for name, record in self.agents.items() if record["host"] == self.name}
        self.hear(AgentsHere({} if self.suspended else here, {}))

    def _take(self, index: int, command: str, fields: dict[str, Any]) -> dict[str, Any]:
        if command == "respawn":
            self.agents[fields["agent"]] = {**self.agents[fields["agent"]], "host": fields["to"], "epoch": index}
            self._notify("agents", (fields["agent"],), self.agents)
            return {}
        if command == "member":
            self.members[fields["name"]] = member(fields["state"])
            self._notify("members", (fields["name"],), self.members)
            return {}
        assert self.app.problem(command, fields) is None
        return self.app.apply(index, command, fields)

    def _notify(self, app: str, ids: tuple[str, ...], view: Any) -> None:
        self.hear(Changed(app, ids, view))


class World:
    def __init__(self, seed: int, flaws: tuple[str, ...]) -> None:
        self.random = Random(f"tasks {seed}")
        self.flaws, self.now = flaws, 0
        self.config = self.config_of("n1")
        self.log: list[tuple[str, dict[str, Any]]] = []
        self.nodes = {name: Node(self, name) for name in NODES}
        self.submitted: dict[str, int] = {}

    def config_of(self, name: str) -> Any:
        return config(name, self.flaws, workers=2, backoff_ns=5 * MS)

    def submit(self) -> None:
        id_, steps = f"t{len(self.submitted)}", self.random.randint(0, 2)
        self.submitted[id_] = steps + 1
        chain = [{"type": self.random.choice(("generic", "code")), "handler": "echo"} for _ in range(steps)]
        strategy = self.random.choice(("local-first", "round-robin", "latency-aware"))
        fields = submission(id_, steps=chain, strategy=strategy, priority=self.random.randint(0, 2), **{"from": "n2"})
        fields["max_retries"] = 100
        self.log.append(("tasks.submit", fields))

    def trouble(self) -> None:
        node = self.nodes[self.random.choice(NODES)]
        kind = self.random.randint(0, 5)
        if kind == 0:
            self.nodes[node.name] = self._restarted(node)
        elif kind == 1:
            node.suspended = not node.suspended
            node.say_agents()
        elif kind == 2:
            self.log.append(
                ("member", {"name": node.name, "state": self.random.choice(("FAILED", "ACTIVE", "DEGRADED"))})
            )
        elif kind == 3:
            self.log.append(("respawn", {"agent": self.random.choice(tuple(AGENTS)), "to": node.name}))
        else:
            node.hear(LeaderChanged("n1", self.now, kind == 4))
        self.nodes[node.name].settle()

    def _restarted(self, node: Node) -> Node:
        """From nothing, or from a snapshot of what it had applied."""
        new = Node(self, node.name)
        if self.random.random() < 0.5:
            new.agents.update(node.agents)
            new.members.update(node.members)
            new.app.restore(json.loads(json.dumps(node.app.dump())))
            new._notify("agents", tuple(new.agents), new.agents)
            new._notify("members", NODES, new.members)
            new.applied = node.applied
        return new

    def turn(self) -> None:
        """Something ordinary: a wish gets into the log, perhaps once more; a node applies; a run ends; time passes."""
        node, kind = self.nodes[self.random.choice(NODES)], self.random.randint(0, 3)
        if kind == 0 and node.wishes:
            command, fields = self.random.choice(list(node.wishes.values()))
            self.log.append((command, fields))
        elif kind == 1:
            node.apply(self.random.randint(node.applied, len(self.log)))
        elif kind == 2 and node.running:
            run = self.random.choice(list(node.running))
            del node.running[run]
            node.machine.on_task(self.now, TaskDone(run, self.random.random() < 0.8, "value"))
            node.settle()
        else:
            self.now += MS
            for key in [key for key, at_ns in node.timers.items() if at_ns <= self.now]:
                del node.timers[key]
                node.machine.on_timer(self.now, key)
            node.settle()

    def peace(self) -> bool:
        """One leader, all well, all agents where they are: whether everything ends."""
        for name in NODES:
            self.log.append(("member", {"name": name, "state": "ACTIVE"}))
            self.nodes[name].suspended = False
            self.nodes[name].hear(LeaderChanged("n1", self.now, name == "n1"))
            self.nodes[name].apply(len(self.log))
        for _ in range(20_000):
            if all(node.app.view[id_]["state"] == "done" for node in self.nodes.values() for id_ in self.submitted):
                return True
            self.turn()
            if self.random.random() < 0.1:
                for node in self.nodes.values():
                    node.apply(len(self.log))
        return False


def explore(seed: int, flaws: tuple[str, ...] = (), turns: int = 400) -> list[str]:
    world = World(seed, flaws)
    rate = world.random.choice((0.0, 0.02, 0.1))
    world.nodes["n1"].hear(LeaderChanged("n1", 1, True))
    for _ in range(turns):
        if world.random.random() < 0.1 and len(world.submitted) < 20:
            world.submit()
        elif world.random.random() < rate:
            world.trouble()
        else:
            world.turn()
    problems = []
    if not world.peace():
        states = {id_: world.nodes["n1"].app.view[id_]["state"] for id_ in world.submitted}
        problems.append(f"not everything ended: {states}")
    app = world.nodes["n1"].app
    effects = [(task, step) for task, step, _ in app.query({"effects": 0})["effects"]]
    problems += [f"{effect} took effect twice" for effect in effects if effects.count(effect) > 1]
    for id_, steps in world.submitted.items():
        missing = [step for step in range(steps) if (id_, step) not in effects]
        if app.view[id_]["state"] == "done" and missing:
            problems.append(f"{id_} is done without the effect of steps {missing}")
    return problems
