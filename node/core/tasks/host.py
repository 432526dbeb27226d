"""Task execution on the host: runs the tasks assigned to agents that run here, and submits the results to the log.

Each run belongs to one token. It continues only while the agent runs here at the epoch that the token was granted for, and while the token is the
task's newest, as far as this node has heard. Otherwise it is dropped and its result discarded. A result that is already on its way is not withdrawn:
the application decides about it, not the belief of this node. After a restart, or when a suspended agent runs again, the tasks that are still
assigned here run again. So a task runs *at least once*. The application ensures that its effect is recorded *once*.

Traces, for the checkers. The node that ran the task writes them when it sees its result applied. So each is written once, although every replica
applies the result. `fence` records for each result whether the ledger accepted it; `task-effect` those that completed a task, `task-step` those of
earlier steps; `task-ack` that the task was reported done; `task-discarded` that a run lost its right. A node that is killed between the commit and
its trace leaves no line: the ledger itself (`{"view": "tasks", "with": {"effects": 0}}`) is the full account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...config.node import NodeConfig
from ..interface.effects import DropTask, RunTask
from ..interface.events import TaskDone
from ..interface.outbox import Outbox
from ..interface.signals import AgentsHere, AgentWork, Submit, Submitted
from ..records.agent_state import changes_problem
from ..records.task_fields import ASSIGNED, DONE, LOSSES_LIMIT, losses, value_problem

RESULT = "tasks/result/"


@dataclass(slots=True)
class Run:
    """One run of a task. `reporting`: it has ended, and its result is on its way to the log."""

    number: int
    task: str
    token: int
    agent: str
    epoch: int
    step: int
    last: bool
    reporting: bool = False


class Host:
    def __init__(self, config: NodeConfig, out: Outbox) -> None:
        self._me = config.node
        self._out = out
        self._tasks: Mapping[str, Any] = {}
        self._running: Mapping[str, int] = {}
        self._state: Mapping[str, Mapping[str, Any]] = {}
        self._assigned: dict[str, None] = {}
        """Tasks assigned to this node, according to the replicated state."""
        self.runs: dict[int, Run] = {}
        self._by_task: dict[str, Run] = {}
        self._number = 0
        self.discarded = 0

    def tasks_changed(self, ids: Iterable[str], view: Mapping[str, Any]) -> None:
        self._tasks = view
        for id_ in ids:
            record = view.get(id_)
            token = self._token_here(record)
            run = self._by_task.get(id_)
            if run is not None and not run.reporting and token != run.token:
                self._discard(run, "its token is not the newest any more")
            if record is not None and token is not None:
                self._assigned[id_] = None
                self._begin(id_, record)
            else:
                self._assigned.pop(id_, None)

    def agents_here(self, signal: AgentsHere) -> None:
        self._state = signal.state
        if signal.running == self._running:
            return
        self._running = dict(signal.running)
        for run in list(self.runs.values()):
            if not run.reporting and self._running.get(run.agent) != run.epoch:
                self._discard(run, f"agent {run.agent} does not run here at epoch {run.epoch}")
        for id_ in self._assigned:
            self._begin(id_, self._tasks[id_])

    def on_task(self, event: TaskDone) -> None:
        run = self.runs.pop(event.run, None)
        if run is None:
            return  # It was discarded.
        if self._running.get(run.agent) != run.epoch:
            self._discard(run, f"agent {run.agent} does not run here at epoch {run.epoch}")
            return
        ok, value = event.ok, event.value
        problem = value_problem(value)
        if problem is not None:
            ok, value = False, f"the value is {problem}"
        elif ok and changes_problem(event.changes) is not None:
            ok, value = False, changes_problem(event.changes)
        if ok and event.changes:
            self._out.emit(AgentWork(run.agent, run.epoch, event.changes))
        self._report(run, ok, value)

    def submitted(self, signal: Submitted) -> None:
        _, _, token, id_ = signal.key.split("/", 3)
        run = self._by_task.get(id_)
        if run is None or not run.reporting or run.token != int(token):
            return
        del self._by_task[id_]
        result = signal.result
        accepted = result.get("status") == "ok"
        self._out.trace("fence", resource=id_, token=run.token, accepted=accepted, holder=run.agent)
        if not accepted:
            self._note_discarded(run, str(result.get("message", "refused")))
        elif result.get("effect"):
            event = "task-effect" if run.last else "task-step"
            self._out.trace(event, **_shown(run), index=signal.index)
        if accepted and result.get("state") == DONE:
            self._out.trace("task-ack", task=id_)
        if id_ in self._assigned:
            self._begin(id_, self._tasks[id_])

    def check(self) -> None:
        for run in self._by_task.values():
            assert run.reporting != (run.number in self.runs), run
        assert all(self._by_task.get(run.task) is run for run in self.runs.values())

    def fingerprint(self) -> Any:
        runs = [
            [run.number, run.task, run.token, run.agent, run.epoch, run.reporting] for run in self._by_task.values()
        ]
        return [self._number, runs, list(self._assigned), dict(self._running), self.discarded]

    def _token_here(self, record: Mapping[str, Any] | None) -> int | None:
        """Return this node's token for the task, if the task is assigned to it."""
        if record is None or record["state"] != ASSIGNED or record["host"] != self._me:
            return None
        return int(record["token"])

    def _begin(self, id_: str, record: Mapping[str, Any]) -> None:
        """Run the task, if this node holds the right and nothing of this task is under way."""
        agent, epoch = record["agent"], record["epoch"]
        if id_ in self._by_task or self._running.get(agent) != epoch:
            return
        self._number += 1
        step, token = record["step"], record["token"]
        run = Run(self._number, id_, token, agent, epoch, step, step == len(record["steps"]))
        self._by_task[id_] = run
        lost = losses(record)
        if lost >= LOSSES_LIMIT:
            self._report(run, False, f"{lost} attempts were lost with their hosts, so it is not begun again")
            return
        self.runs[run.number] = run
        about = {"id": id_, "step": step, "token": token, "attempt": record["attempt"], "agent": agent}
        payload = {**record["payload"], "task": {**about, "retries": record["retries"]}}
        state = _chosen(self._state.get(agent, {}), payload.get("reads"))
        self._out.perform(RunTask(run.number, record["handler"], payload, state))

    def _report(self, run: Run, ok: bool, value: Any) -> None:
        run.reporting = True
        fields = {"task": run.task, "token": run.token, "epoch": run.epoch, "ok": ok, "value": value}
        self._out.emit(Submit(f"{RESULT}{run.token}/{run.task}", ["tasks.result", fields]))

    def _discard(self, run: Run, why: str) -> None:
        if self.runs.pop(run.number, None) is not None:
            self._out.perform(DropTask(run.number))
        del self._by_task[run.task]
        self._note_discarded(run, why)

    def _note_discarded(self, run: Run, why: str) -> None:
        self.discarded += 1
        self._out.trace("task-discarded", task=run.task, claim=run.token, worker=run.agent, why=why)


def _shown(run: Run) -> dict[str, Any]:
    """Trace fields: agent, host and token."""
    return {"task": run.task, "claim": run.token, "step": run.step, "worker": run.agent, "epoch": run.epoch}


def _chosen(state: Mapping[str, Any], reads: Any) -> dict[str, Any]:
    if not isinstance(reads, list):
        return {}
    return {key: state[key] for key in reads if isinstance(key, str) and key in state}
