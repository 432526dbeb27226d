"""Runs of the real node core under virtual time, as records for the white-box checkers. Everything follows from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.checkers import Fault, RunRecord
from tribulation.harness.simulator.cluster.cluster import SimCluster
from tribulation.harness.simulator.network.clients import Answer, End
from tribulation.harness.simulator.options import MILLISECOND, SECOND, SimOptions
from tribulation.histories import Event, History, Type
from tribulation.node.config.node import TIMINGS, NodeConfig

CLOCK_ERROR_NS = 50_000


class ClusterRun:
    """A cluster, clients that read and write at random nodes, and faults at random times."""

    def __init__(
        self, seed: int, nodes: int = 5, flaws: Sequence[str] = (), options: SimOptions | None = None, **config: Any
    ) -> None:
        self.random = random.Random(f"{seed}/cluster-run")
        self.names = [f"n{i + 1}" for i in range(nodes)]
        peers = {name: ("10.0.0.1", 10000) for name in self.names}
        self.voters = config.pop("voters", dict.fromkeys(self.names, 1))
        self.cluster = SimCluster(
            {
                name: NodeConfig(name, "demo", peers, self.voters, TIMINGS["fast"], flaws=tuple(flaws), **config)
                for name in self.names
            },
            seed,
            options
            or SimOptions(
                fence=False, check_every=0, codec_one_in=0, loss_ppm=2000, duplicate_ppm=2000, reorder_ppm=2000
            ),
        )
        self.events: list[Event] = []
        self.faults: list[Fault] = []
        self.processes = 0
        self.values = 0
        self.working = True
        self.sessions: dict[int, tuple[int, int]] = {}

    def record(self) -> RunRecord:
        cluster = self.cluster
        offsets = {name: (node.clock.offset_ns(cluster.now_ns), CLOCK_ERROR_NS) for name, node in cluster.nodes.items()}
        return RunRecord(
            history=History(self.events),
            traces={name: list(lines) for name, lines in cluster.traces.items()},
            faults=list(self.faults),
            nodes=self.names,
            voters=self.voters,
            clock_offsets_ns=offsets,
            phases={"end": cluster.now_ns},
        )

    # -- clients

    def add_client(self) -> None:
        self.processes += 1
        process = self.processes
        self._request(process, {"open": True}, lambda body: self._opened(process, body))

    def _opened(self, process: int, body: Mapping[str, Any] | None) -> None:
        if body is None or body.get("status") != "ok":
            self.cluster.schedule(self.cluster.now_ns + 100 * MILLISECOND, self._retry_open, process)
            return
        self.sessions[process] = (body["session"], 0)
        self._next(process)

    def _retry_open(self, process: int) -> None:
        if self.working:
            self._request(process, {"open": True}, lambda body: self._opened(process, body))

    def _next(self, process: int) -> None:
        if self.working:
            self.cluster.schedule(
                self.cluster.now_ns + self.random.randrange(1, 20) * MILLISECOND, self._operate, process
            )

    def _operate(self, process: int) -> None:
        key = f"k{self.random.randrange(4)}"
        roll = self.random.random()
        level = "stale" if roll < 0.1 else "linearizable"
        if roll < 0.5:
            self._do(process, "read", key, None, level, {"ops": [["r", key]], "level": level}, {})
            return
        session, seq = self.sessions[process]
        self.sessions[process] = (session, seq + 1)
        self.values += 1
        identity = {"session": session, "seq": seq + 1}
        body = {"ops": [["w", key, self.values]], **identity}
        self._do(process, "write", key, self.values, "linearizable", body, identity)

    def _do(
        self, process: int, f: str, key: str, value: Any, level: str, body: dict[str, Any], identity: dict[str, Any]
    ) -> None:
        self._event(process, Type.INVOKE, f, key, value, level, None, {})

        def ended(reply: Mapping[str, Any] | None) -> None:
            extra = dict(identity)
            for name, to in (("index", "log_index"), ("term", "term"), ("node", "served_by"), ("stale", "stale")):
                if reply is not None and reply.get(name) is not None:
                    extra[to] = reply[name]
            status = Type(reply["status"]) if reply is not None else (Type.FAIL if f == "read" else Type.INFO)
            result = reply["results"][0] if reply is not None and status is Type.OK and f == "read" else value
            error = None if status is Type.OK else (reply or {}).get("error", "silence")
            self._event(process, status, f, key, result, level, error, extra)
            if status is Type.INFO:
                self.add_client()
            else:
                self._next(process)

        self._request(process, body, ended)

    def _event(
        self,
        process: int,
        kind: Type,
        f: str,
        key: str,
        value: Any,
        level: str,
        error: str | None,
        extra: dict[str, Any],
    ) -> None:
        at_ns = self.cluster.now_ns
        self.events.append(
            Event(len(self.events), at_ns, process, kind, f, value, key, "register", level, None, error, extra)
        )

    def _request(self, process: int, body: dict[str, Any], then: Any) -> None:
        node = self.random.choice(self.names)
        settled = False

        def answered(answer: Answer | None) -> None:
            nonlocal settled
            if settled:
                return
            settled = True
            if answer is not None and answer.end is End.REPLY:
                then(answer.body)
            elif answer is not None and answer.end is End.REFUSED:
                then({"status": "fail", "error": "refused"})
            else:
                then(None)

        self.cluster.request(
            f"c{process}", node, {"id": self.random.getrandbits(40), "deadline_ms": 800, **body}, answered
        )
        self.cluster.schedule(self.cluster.now_ns + 1000 * MILLISECOND, answered, None)

    # -- faults

    def fault(self, kind: str, what: dict[str, Any], for_ns: int) -> None:
        """Inject now, heal later, and write both into the ledger."""
        cluster, now_ns = self.cluster, self.cluster.now_ns
        edges = [(one, other) for one, other in what.get("edges", ())]
        nodes = what.get("nodes", ())
        act, undo = {
            "cut": (lambda: cluster.cut(edges), lambda: cluster.heal(edges)),
            "kill": (lambda: [cluster.kill(n) for n in nodes], lambda: [cluster.start(n) for n in nodes]),
            "pause": (lambda: [cluster.pause(n) for n in nodes], lambda: [cluster.resume(n) for n in nodes]),
        }[kind]
        act()
        fault = Fault(
            f"{kind}-{len(self.faults)}", kind, what, what, True, now_ns, now_ns, now_ns + for_ns, now_ns + for_ns
        )
        self.faults.append(fault)
        cluster.schedule(now_ns + for_ns, lambda: undo())

    def random_fault(self) -> None:
        if not self.working:
            return
        kind = self.random.choice(["halves", "isolate", "one-way", "kill", "kill-all", "pause", "voters"])
        for_ns = self.random.randrange(200, 2500) * MILLISECOND
        names = list(self.names)
        self.random.shuffle(names)
        if kind == "halves":
            half = self.random.randrange(1, len(names))
            sides = names[:half], names[half:]
            self.fault(
                "cut",
                {"edges": [[a, b] for a in sides[0] for b in sides[1]] + [[b, a] for a in sides[0] for b in sides[1]]},
                for_ns,
            )
        elif kind == "isolate":
            one = names[0]
            self.fault("cut", {"edges": [[one, b] for b in names[1:]] + [[b, one] for b in names[1:]]}, for_ns)
        elif kind == "one-way":
            self.fault("cut", {"edges": [[names[0], b] for b in names[1:]]}, for_ns)
        elif kind in ("kill", "kill-all", "pause"):
            count = len(names) if kind == "kill-all" else self.random.randrange(1, len(names))
            down = {
                n
                for f in self.faults
                if f.kind in ("kill", "pause") and (f.heal_ns or 0) >= self.cluster.now_ns
                for n in f.intended["nodes"]
            }
            chosen = [name for name in names[:count] if name not in down]
            if chosen:
                self.fault("pause" if kind == "pause" else "kill", {"nodes": chosen}, for_ns)
        else:
            weights = {name: self.random.choice([0, 1, 1, 1, 2]) for name in self.names}
            if any(weights.values()):
                now_ns = self.cluster.now_ns
                self.faults.append(
                    Fault(f"voters-{len(self.faults)}", "voters", {"voters": weights}, None, True, now_ns)
                )
                for node in self.names:
                    if self.cluster.process(node).value == "running":
                        self.cluster.request(
                            "admin",
                            node,
                            {"id": self.random.getrandbits(40), "admin": "voters", "voters": weights},
                            lambda answer: None,
                        )
                        break
        self.cluster.schedule(self.cluster.now_ns + self.random.randrange(100, 2000) * MILLISECOND, self.random_fault)


def run_cluster(seed: int, seconds: float = 12, clients: int = 4, faults: bool = True, **options: Any) -> RunRecord:
    run = ClusterRun(seed, **options)
    run.cluster.start_all()
    for _ in range(clients):
        run.add_client()
    if faults:
        run.cluster.schedule(2 * SECOND, run.random_fault)
    run.cluster.run_until(int(seconds * SECOND))
    run.working = False
    run.cluster.run_until(int(seconds * SECOND) + 6 * SECOND)
    return run.record()
