"""A cluster deployed on a lab's hosts: scenarios query it, change it, and inject and heal faults.

with Deployed(setup, hosts, provider) as cluster:
    with cluster.fault("kill", nodes=["n2"]):
        cluster.until("n2 to be FAILED", lambda: cluster.states()["n2"] == "FAILED", 10)
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ..deploy.deploy import READY_S, deploy_down
from ..errors import FaultError
from ..hosts.base import Host, Provider
from ..hosts.parallel import on_all
from ..nemesis.faults.fault import Intent, Resolved
from ..nemesis.faults.ledger import Ledger
from ..nemesis.inject.injector import HostInjector
from ..run.interrupts import Interrupts
from ..systems.reference.options import SECURED
from ..systems.reference.requests import Json
from ..systems.reference.system import ReferenceService
from .asking import Asker
from .setup import CLUSTER, Setup
from .waiting import Missed, until

T = TypeVar("T")

LOOK_S = 2.0
SETTLED_S = 30.0
"""How long a cluster may take on a busy machine, from its processes' start until all are ACTIVE and one leads."""


class Deployed:
    """`names` are the nodes in order: a scenario's "node 1" is `names[0]`. `started` are those whose process was started. `logs`: a folder for the files of nodes, or None."""

    def __init__(self, setup: Setup, hosts: Sequence[Host], provider: Provider, logs: Path | None = None) -> None:
        self.setup = setup
        self._logs = logs
        self.hosts = {host.name: host for host in hosts[: setup.hosts]}
        self.names = list(self.hosts)
        self.voters = self.names[: setup.voters]
        self.learners = self.names[setup.voters :]
        self.started: list[str] = []
        self._provider = provider
        self.service = self._new_service(setup)
        self.asker = Asker(CLUSTER, self.dial, self.service.client_tls)
        self._faulty = ExitStack()
        """Resources for faults, which are removed before the nodes."""
        self._injector: HostInjector | None = None
        self._faults = 0
        self._seeing = self.names[0]
        """The node that gave the last view."""
        self._began_ns = time.monotonic_ns()

    def __enter__(self) -> Deployed:
        """Start all nodes except the late ones, and wait until they are ACTIVE. Raises `TribulationError` for an error of the hosts, `Missed` for one of the cluster."""
        try:
            self._begin()
        except BaseException:
            self.keep_logs("deployment")
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Take it down. Signals only print a message meanwhile: an exception during healing would leave faults behind."""
        with Interrupts().handled():
            try:
                self._end_faults()
            finally:
                self.asker.close()
                deploy_down(self.service, list(self.hosts.values()))

    def redeploy(self, setup: Setup) -> None:
        """Deploy another cluster on the same number of hosts; nothing is left of the old one."""
        assert setup.hosts == len(self.hosts)
        self._end_faults()
        self.asker.close()
        deploy_down(self.service, list(self.hosts.values()))
        self.setup, self.started = setup, []
        self.service = self._new_service(setup)
        self.asker = Asker(CLUSTER, self.dial, self.service.client_tls)
        self._begin()

    def _new_service(self, setup: Setup) -> ReferenceService:
        return ReferenceService(replace(setup.options(self.names), tls=self._provider.name in SECURED))

    def _begin(self) -> None:
        self.start(*self.names[: len(self.names) - self.setup.late])
        self.settle()

    def _end_faults(self) -> None:
        self._injector = None
        self._faulty.close()

    def dial(self, node: str, timeout_s: float) -> socket.socket:
        return self._provider.dial(self.hosts[node].address, self.service.port, timeout_s=timeout_s)

    # Processes

    def start(self, *names: str) -> None:
        """Install nodes again and start them, all at once."""

        def up(host: Host) -> None:
            self.service.install(host, list(self.hosts.values()))
            self.service.start(host, {})
            self.service.wait_ready(host, READY_S)

        on_all([self.hosts[name] for name in names], up).require("deploying")
        self.started += [name for name in names if name not in self.started]

    def stop(self, name: str) -> None:
        """Stop a node and remove all its files: when it is started again, it is a new node with the same name."""
        self.service.uninstall(self.hosts[name])
        self.asker.forget(name)
        self.started.remove(name)

    def settle(self, names: Iterable[str] | None = None, timeout_s: float = SETTLED_S) -> str:
        """Wait until one leads and these members (default: all that were started) are ACTIVE; returns the leader."""
        wanted = list(self.started if names is None else names)
        leader = until("a leader", self.leader, timeout_s)
        until(
            f"{', '.join(wanted)} to be ACTIVE",
            lambda: all(self.states().get(name) == "ACTIVE" for name in wanted),
            timeout_s,
            seen=self.states,
        )
        return self.leader() or leader

    def keep_logs(self, name: str) -> None:
        """Keep the nodes' files, as `name` in the folder of logs, if there is one."""
        if self._logs is None:
            return
        for one in on_all(list(self.hosts.values()), self.service.collect):
            for file, content in (one.value or {}).items():
                path = self._logs / name / one.host / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    # Views

    def any(self) -> str:
        """A node that answers, the leader if there is one: for requests that any node can take."""
        return self.leader() or next(name for name in self.started if self.asker.status(name) is not None)

    def leader(self) -> str | None:
        """The leader in the highest term, by its own report, that a majority of the answering nodes follows."""
        answers = {name: status for name in self.started if (status := self.asker.status(name)) is not None}
        leading = [(status["term"], name) for name, status in answers.items() if status.get("leader") == name]
        return max(leading)[1] if leading else None

    def status(self, name: str) -> Json:
        answer = self.asker.status(name)
        if answer is None:
            raise Missed(f"{name} does not answer")
        return answer

    def look(self, name: str, fields: Json | None = None) -> Any:
        """A linearizable view, from the node that gave the last one, or else from the next that gives one; None when none does."""
        for node in sorted(self.started, key=lambda node: node != self._seeing):
            found = self.asker.looked(node, name, fields, timeout_s=LOOK_S)
            if found is not None:
                self._seeing = node
                return found
        return None

    def members(self) -> Mapping[str, Any]:
        """Name → record; empty while no node answers."""
        found = self.look("members")
        return found if isinstance(found, Mapping) else {}

    def states(self) -> dict[str, str]:
        return {name: str(record["state"]) for name, record in self.members().items()}

    def pool(self) -> Mapping[str, Any]:
        """`hosts` (name → used, slots) and `agents` (id → record); both empty while no node answers."""
        found = self.look("agents")
        return found if isinstance(found, Mapping) else {"hosts": {}, "agents": {}}

    def agent(self, agent: str) -> Mapping[str, Any] | None:
        record: Mapping[str, Any] | None = self.pool()["agents"].get(agent)
        return record

    def task(self, task: str) -> Mapping[str, Any] | None:
        found = self.look("tasks", {"task": task})
        return found if isinstance(found, Mapping) and found else None

    def running(self) -> list[Mapping[str, Any]]:
        """Summaries of the tasks that agents are running, with `task` and `host`."""
        found = self.look("tasks", {"state": "assigned"})
        return found if isinstance(found, list) else []

    def traces(self, name: str, *events: str) -> list[dict[str, Any]]:
        """Lines of its trace of these events, in order; a torn last line is left out."""
        path = self.service.control_of(self.hosts[name]).path("trace.jsonl")
        lines = self.hosts[name].get(path).decode("utf-8", "replace").split("\n")[:-1]
        marks = [f'"{event}"' for event in events]
        found = (json.loads(line) for line in lines if any(mark in line for mark in marks))
        return [line for line in found if line.get("event") in events]

    # Commands

    def spawn(
        self, agent: str, type_: str, on: str, *, through: str | None = None, timeout_s: float = 10.0
    ) -> tuple[Json, float]:
        """The answer when the agent runs, and how long that took, in ms."""
        began_s = time.monotonic()
        fields = {"agent": agent, "type": type_, "on": on}
        answer = self.asker.do(through or self.any(), "agents.spawn", fields, settle=True, timeout_s=timeout_s)
        return answer, (time.monotonic() - began_s) * 1e3

    def submit(
        self,
        task: str,
        type_: str,
        handler: str,
        payload: Any,
        *,
        through: str,
        settle: bool = True,
        timeout_s: float = 20.0,
        **more: Any,
    ) -> Json:
        """The answer when the task is over; with `settle` off, when it is queued."""
        fields = {"task": task, "type": type_, "handler": handler, "payload": payload, "from": through, **more}
        return self.asker.do(through, "tasks.submit", fields, settle=settle, timeout_s=timeout_s)

    def ended(self, tasks: Sequence[str], timeout_s: float) -> dict[str, Mapping[str, Any]]:
        """The records of these tasks, once all are done. Raises `Missed` with those that are not, and with dead letters."""
        records: dict[str, Mapping[str, Any]] = {}

        def look() -> bool:
            for task in tasks:
                if task not in records:
                    record = self.task(task)
                    if record is None:
                        return False
                    if record["state"] in ("done", "dead"):
                        records[task] = record
            return len(records) == len(tasks)

        until(
            f"{len(tasks)} tasks to end",
            look,
            timeout_s,
            seen=lambda: f"{len(records)} ended; {[t for t in tasks if t not in records][:3]} not",
        )
        dead = [task for task, record in records.items() if record["state"] == "dead"]
        if dead:
            raise Missed(f"tasks {', '.join(dead)} are dead letters: {records[dead[0]]}")
        return records

    def clear(self) -> None:
        """Remove all agents, so that a scenario does not affect the next."""
        for agent in list(self.pool()["agents"]):
            self.asker.do(self.any(), "agents.stop", {"agent": agent})
        until(
            "all agents to be gone", lambda: not self.pool()["agents"], 10.0, seen=lambda: list(self.pool()["agents"])
        )

    # Faults

    @contextmanager
    def fault(self, kind: str, **what: Any) -> Iterator[int]:
        """Keep a fault active, verified by a probe, while the block runs; healed after it. Gives the time of injection, in ns of the monotonic clock.

        `what` is the resolved fault (`nemesis.faults`): `nodes=["n2"]`, `edges=[["n1", "n2"]]`.
        """
        injector = self._faults_here()
        self._faults += 1
        name = f"{kind}-{self._faults}"
        fault = Resolved(Intent(name, kind, {}, self._now_ns(), None, name), what)
        began_ns = time.monotonic_ns()
        observation = injector.inject(fault)
        try:
            if not observation.verified:
                raise FaultError(
                    f"{kind} of {dict(what)} was injected, but probes do not see it: {dict(observation.observed)}",
                    "tri doctor says what these hosts can do",
                )
            for node in what.get("nodes", ()):
                self.asker.forget(node)
            yield began_ns
        finally:
            injector.heal(fault)

    def partition(self, side: Sequence[str], others: Sequence[str]) -> Any:
        """Partition the two sides; clients reach both."""
        edges = [[a, b] for a in side for b in others]
        return self.fault("cut", edges=[*edges, *([b, a] for a, b in edges)])

    def until(
        self, what: str, look: Callable[[], T | None], timeout_s: float, *, seen: Callable[[], Any] | None = None
    ) -> T:
        return until(what, look, timeout_s, seen=seen)

    def _now_ns(self) -> int:
        return time.monotonic_ns() - self._began_ns

    def _faults_here(self) -> HostInjector:
        """The injector, started for the first fault: most scenarios need none."""
        if self._injector is None:
            folder = Path(self._faulty.enter_context(tempfile.TemporaryDirectory()))
            ledger = self._faulty.enter_context(Ledger(folder / "ledger.jsonl"))
            hosts = list(self.hosts.values())
            injector = HostInjector(hosts, self._provider, self.service, ledger, self._now_ns, seed=0, dial=self.dial)
            injector.start()
            self._faulty.callback(injector.stop)
            self._injector = injector
        return self._injector
