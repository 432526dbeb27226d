"""One `tasks` machine alone, reported by signals what happens: the stage for literal stories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tribulation.node.core.interface.effects import DropTask, Effect, RunTask, SetTimer, Trace
from tribulation.node.core.interface.events import TaskDone
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import (
    AgentsHere,
    AgentWork,
    Changed,
    Distances,
    LeaderChanged,
    Submit,
    Submitted,
    Withdraw,
)
from tribulation.node.core.tasks.tasks import TaskMachine

from .world import Log, config

MS = 1_000_000


class Stage:
    """`log` is the replicated state as this node has it; `notify` says what of it changed. `wishes` are those that are not withdrawn or settled."""

    def __init__(self, node: str = "n1", log: Log | None = None, flaws: tuple[str, ...] = (), **agents: Any) -> None:
        self.log = log or Log(flaws=flaws, **agents)
        self.out = Outbox()
        cfg = config(node, flaws, **agents)
        self.machine = TaskMachine(cfg, self.out, 1, Chance(1, node, 1))
        self.members: dict[str, Any] = {}
        self.now = 0
        self.wishes: dict[str, list[Any]] = {}
        self.works: list[AgentWork] = []
        self.runs: list[RunTask] = []
        self.dropped: list[int] = []
        self.traces: list[tuple[str, dict[str, Any]]] = []
        self.timers: dict[str, SetTimer] = {}

    def hear(self, *signals: Any) -> None:
        for signal in signals:
            self.machine.signals[type(signal)](self.now, signal)
        self.settle()

    def settle(self) -> None:
        """The end of a step: flush, and look at what came out."""
        self.machine.flush(self.now)
        self.machine.check()
        while self.out.signals:
            signal = self.out.signals.popleft()
            if isinstance(signal, Submit):
                self.wishes[signal.key] = signal.command
            elif isinstance(signal, Withdraw):
                self.wishes.pop(signal.key, None)
            else:
                assert isinstance(signal, AgentWork)
                self.works.append(signal)
        for effect in self.out.take():
            self._take(effect)

    def _take(self, effect: Effect) -> None:
        if isinstance(effect, RunTask):
            self.runs.append(effect)
        elif isinstance(effect, DropTask):
            self.dropped.append(effect.run)
        elif isinstance(effect, Trace):
            self.traces.append((effect.event, dict(effect.fields)))
        elif isinstance(effect, SetTimer):
            self.timers[effect.key] = effect

    def notify(self) -> None:
        """What the application touched since the last time, as `Changed`."""
        fresh, self.log.app.fresh = self.log.app.fresh, {}
        self.hear(Changed("tasks", tuple(fresh), self.log.app.view))

    def notify_agents(self, **records: Any) -> None:
        for name, record in records.items():
            if record is None:
                self.log.agents.pop(name, None)
            else:
                self.log.agents[name] = record
        self.hear(Changed("agents", tuple(self.log.agents) + tuple(records), self.log.agents))

    def notify_members(self, **records: Any) -> None:
        self.members.update(records)
        self.hear(Changed("members", tuple(records), self.members))

    def lead(self, here: bool = True) -> None:
        self.hear(LeaderChanged("n1" if here else "n2", 1, here))

    def run_here(self, running: Mapping[str, int], state: Mapping[str, Any] | None = None) -> None:
        self.hear(AgentsHere(running, state or {}))

    def apply(self) -> list[dict[str, Any]]:
        """Append every wish to the log, in order, and return the answers: the machine hears of the change, then that it was applied."""
        answers = []
        for key, (command, fields) in list(self.wishes.items()):
            answer = self.log.say(command, **fields)
            del self.wishes[key]
            self.notify()
            self.hear(Submitted(key, self.log.index, answer))
            answers.append(answer)
        return answers

    def end(self, run: int, value: Any = None, ok: bool = True, changes: Mapping[str, Any] | None = None) -> None:
        self.machine.on_task(self.now, TaskDone(run, ok, value, changes or {}))
        self.settle()

    def pass_time(self, ms: int) -> None:
        self.now += ms * MS
        for key, timer in list(self.timers.items()):
            if timer.at_ns <= self.now:
                del self.timers[key]
                self.machine.on_timer(self.now, key)
        self.settle()

    def measure(self, **rtt_ms: Mapping[str, int]) -> None:
        self.hear(Distances({name: {to: ms * MS for to, ms in row.items()} for name, row in rtt_ms.items()}, {}))

    def assigned(self) -> dict[str, str]:
        """Task → agent, of the assignments that are on their way."""
        return {f["task"]: f["agent"] for command, f in self.wishes.values() if command == "tasks.assign"}

    def traced(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.traces if name == event]
