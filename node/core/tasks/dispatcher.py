"""Task dispatch on the leader: assigns queued tasks to agents, and releases tasks whose agent or host is lost.

An open task is in one place: `ready` (queued, in the heap of its type), `waiting` (queued, after a failure, until its back-off is over), `flying`
(its assignment is on the way to the log), `held` (assigned), or `releasing` (its release is on the way). Decisions here are proposals only. The
application refuses proposals that rest on an outdated state, and the task is then put in its place again.

An agent has one task at a time, a host at most `agents.workers`. The other tasks wait here, where priorities count and every strategy can still
choose. All of this is rebuilt from the replicated state when this node becomes leader; every back-off then begins again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from typing import Any

from ...config.cluster import AgentsConfig
from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.outbox import Outbox
from ..interface.signals import Submit, Submitted, Withdraw
from ..records.task_fields import ASSIGNED, QUEUED, queue_order
from .routing import Candidate, Measures, choose

TIMER = "tasks/retry"
ASSIGN, RELEASE = "tasks/assign/", "tasks/release/"
READY, WAITING, FLYING, HELD, RELEASING = "ready", "waiting", "flying", "held", "releasing"
_USABLE = ("ACTIVE", "SYNCING")
"""States of members that receive tasks; one that is DEGRADED may be about to fail."""
_FAILED = "FAILED"
View = Mapping[str, Any]


class Dispatcher:
    def __init__(self, config: NodeConfig, out: Outbox) -> None:
        limits = config.agents or AgentsConfig()
        self._workers, self._backoff_ns = limits.workers, limits.backoff_ns
        self._flaws = Flaws.from_names(config.flaws)
        self._out = out
        self.measures = Measures()
        self.here = False
        self.open: dict[str, None] = {}
        """Unfinished tasks: known on every node, which may lead next."""
        self._tasks: View = {}
        self._agents: View = {}
        self._members: View = {}
        self._rotation = ""
        self._clear()

    def _clear(self) -> None:
        self._place: dict[str, str] = {}
        self._filed: dict[str, int] = {}
        """Attempts of a task that is ready or waiting, at the time of filing: several changes may be seen as one."""
        self._ready: dict[str, list[tuple[tuple[int, int], str]]] = {}
        self._backoff: list[tuple[int, str]] = []
        self._timer_ns: int | None = None
        self._proposals: dict[str, str] = {}
        """Task → key of the proposal that is on its way for it."""
        self._in_hand: dict[str, tuple[str, str]] = {}
        """Task that is flying, held or releasing → agent and host."""
        self._busy: dict[str, dict[str, None]] = {}
        """Agent → its assigned tasks."""
        self._loads: dict[str, int] = {}
        self._idle: dict[str, dict[str, dict[str, None]]] = {}
        """Type → host → agents that run and have no task."""
        self._idle_at: dict[str, tuple[str, str]] = {}
        """Idle agent → its type and host there."""
        self._dirty = False

    def lead(self, now_ns: int, here: bool) -> None:
        if here == self.here:
            return
        self.here = here
        for key in self._proposals.values():
            self._out.emit(Withdraw(key))
        if self._timer_ns is not None:
            self._out.cancel_timer(TIMER)
        self._clear()
        if here:
            self._file_agents(self._agents)
            for id_ in self.open:
                self._file(now_ns, id_)

    def tasks_changed(self, now_ns: int, ids: Iterable[str], view: View) -> None:
        self._tasks = view
        for id_ in ids:
            record = view.get(id_)
            if record is None or record["state"] not in (QUEUED, ASSIGNED):
                self.open.pop(id_, None)
            else:
                self.open[id_] = None
            if self.here:
                self._file(now_ns, id_)

    def agents_changed(self, ids: Iterable[str], view: View) -> None:
        self._agents = view
        if self.here:
            self._file_agents(ids)
            for name in ids:
                self._release_void(self._busy.get(name, ()))

    def members_changed(self, view: View) -> None:
        self._members = view
        if self.here:
            self._dirty = True
            self._release_void(self._in_hand)

    def submitted(self, now_ns: int, signal: Submitted) -> None:
        """Handle the result of an assignment or a release. An accepted command changes the task, and this change puts the task in its new place. A
        refused command leaves the task where it is.
        """
        id_ = signal.key.split("/", 3)[3]
        if self._proposals.get(id_) != signal.key:
            return
        del self._proposals[id_]
        accepted = signal.result.get("status") == "ok"
        if accepted and signal.key.startswith(ASSIGN):
            result = signal.result
            worker, host = result["agent"], result["host"]
            self._out.trace("task-claim", task=id_, claim=result["token"], worker=worker, host=host)
        elif not accepted and self._place.get(id_) in (FLYING, RELEASING):
            self._file(now_ns, id_)

    def on_timer(self, now_ns: int) -> None:
        self._timer_ns = None
        while self._backoff and self._backoff[0][0] <= now_ns:
            _, id_ = heappop(self._backoff)
            if self._place.get(id_) == WAITING:
                self._make_ready(id_, self._tasks[id_])
        self._arm()

    def dispatch(self) -> None:
        """Assign what can be assigned now. Called at the end of a step, so that all its changes count at once."""
        if not self._dirty:
            return
        self._dirty = False
        for type_, heap in self._ready.items():
            while heap:
                _, id_ = heap[0]
                record = self._tasks.get(id_)
                if self._place.get(id_) == READY and record is not None and record["type"] == type_:
                    candidates = self._candidates(type_, record["strategy"])
                    if not candidates:
                        break
                    self._assign(id_, self._choose(record, candidates))
                heappop(heap)

    def fingerprint(self) -> Any:
        return [self.here, list(self.open), self._place, self._proposals, self._in_hand, self._backoff, self._rotation]

    def check(self) -> None:
        assert sum(self._loads.values()) == len(self._in_hand) == sum(map(len, self._busy.values()))
        for id_, place in self._place.items():
            assert (place in (FLYING, HELD, RELEASING)) == (id_ in self._in_hand), (id_, place)
        assert self.here or not self._place
        assert not any(name in self._busy for name in self._idle_at)
        assert all(id_ in self.open for id_ in self._place)

    def _file(self, now_ns: int, id_: str) -> None:
        """Put a task where its record says, wherever it was before."""
        record = self._tasks.get(id_)
        place = self._place.get(id_)
        if record is None or id_ not in self.open:
            self._unhand(id_)
            self._place.pop(id_, None)
            self._filed.pop(id_, None)
        elif record["state"] == ASSIGNED:
            self._hand(id_, HELD, record["agent"], record["host"])
            self._release_void([id_])
        elif place == FLYING and self._proposals.get(id_) == _assign_key(id_, record["attempt"] + 1):
            pass  # The assignment is still on its way.
        elif place in (READY, WAITING) and self._filed[id_] == record["attempt"]:
            pass
        else:
            self._unhand(id_)
            if record["reason"] is None:
                self._make_ready(id_, record)
            else:
                self._place[id_], self._filed[id_] = WAITING, record["attempt"]
                heappush(self._backoff, (now_ns + self._backoff_ns, id_))
                self._arm()

    def _make_ready(self, id_: str, record: Mapping[str, Any]) -> None:
        self._place[id_], self._filed[id_] = READY, record["attempt"]
        heappush(self._ready.setdefault(record["type"], []), (queue_order(record), id_))
        self._dirty = True

    def _arm(self) -> None:
        if self._backoff and (self._timer_ns is None or self._backoff[0][0] < self._timer_ns):
            self._timer_ns = self._backoff[0][0]
            self._out.set_timer(TIMER, self._timer_ns)

    def _candidates(self, type_: str, strategy: str) -> list[Candidate]:
        """Return one idle agent of each host that has room; all of them for `round-robin`, the only strategy that chooses among agents and not hosts."""
        found = []
        for host, idle in self._idle.get(type_, {}).items():
            load, member = self._loads.get(host, 0), self._members.get(host)
            if load < self._workers and member is not None and member["state"] in _USABLE:
                capacity = max(1, member["capacity"]["cpu_percent"])
                for name in idle:
                    if self._is_of(name, member):
                        found.append(Candidate(name, host, load, capacity))
                        if strategy != "round-robin":
                            break
        return found

    def _choose(self, record: Mapping[str, Any], candidates: list[Candidate]) -> str:
        agent = choose(record["strategy"], record, candidates, self.measures, self._rotation)
        assert agent is not None, "there are candidates"
        if record["strategy"] == "round-robin":
            self._rotation = agent
        return agent

    def _assign(self, id_: str, name: str) -> None:
        agent, attempt = self._agents[name], self._tasks[id_]["attempt"] + 1
        self._hand(id_, FLYING, name, agent["host"])
        self._propose(id_, _assign_key(id_, attempt), "tasks.assign", attempt=attempt, agent=name, epoch=agent["epoch"])

    def _release_void(self, ids: Iterable[str]) -> None:
        """Take back those of these tasks whose agent was moved or replaced, or whose host failed."""
        if self._flaws.task_lost_on_failover:
            return
        for id_ in list(ids):
            record = self._tasks[id_]
            if self._place[id_] == HELD and record["state"] == ASSIGNED and self._is_void(record):
                self._place[id_] = RELEASING
                token = record["token"]
                self._propose(id_, f"{RELEASE}{token}/{id_}", "tasks.release", token=token)

    def _is_void(self, record: Mapping[str, Any]) -> bool:
        agent, member = self._agents.get(record["agent"]), self._members.get(record["host"])
        if agent is None or (agent["epoch"], agent["host"]) != (record["epoch"], record["host"]):
            return True
        return member is None or member["state"] == _FAILED or not self._is_of(record["agent"], member)

    def _is_of(self, agent: str, member: Mapping[str, Any]) -> bool:
        """Return whether the agent was placed on this life of the member: a restarted process does not run what the one before it ran."""
        return bool(self._agents[agent].get("incarnation") == member.get("incarnation"))

    def _propose(self, id_: str, key: str, command: str, **fields: Any) -> None:
        before = self._proposals.get(id_)
        if before is not None and before != key:
            self._out.emit(Withdraw(before))
        self._proposals[id_] = key
        self._out.emit(Submit(key, [command, {"task": id_, **fields}]))

    def _hand(self, id_: str, place: str, agent: str, host: str) -> None:
        self._unhand(id_)
        self._place[id_] = place
        self._in_hand[id_] = (agent, host)
        self._busy.setdefault(agent, {})[id_] = None
        self._loads[host] = self._loads.get(host, 0) + 1
        self._unidle(agent)

    def _unhand(self, id_: str) -> None:
        held = self._in_hand.pop(id_, None)
        if held is None:
            return
        agent, host = held
        del self._busy[agent][id_]
        if not self._busy[agent]:
            del self._busy[agent]
        self._loads[host] -= 1
        if not self._loads[host]:
            del self._loads[host]
        self._file_agents([agent])

    def _file_agents(self, names: Iterable[str]) -> None:
        """File idle agents: those that run and have no task. One that is about to move works on until it does."""
        for name in names:
            self._unidle(name)
            agent = self._agents.get(name)
            if agent is not None and agent["state"] == "running" and name not in self._busy:
                type_, host = self._idle_at[name] = (agent["type"], agent["host"])
                self._idle.setdefault(type_, {}).setdefault(host, {})[name] = None
        self._dirty = True

    def _unidle(self, name: str) -> None:
        at = self._idle_at.pop(name, None)
        if at is not None:
            type_, host = at
            del self._idle[type_][host][name]
            if not self._idle[type_][host]:
                del self._idle[type_][host]


def _assign_key(id_: str, attempt: int) -> str:
    return f"{ASSIGN}{attempt}/{id_}"
