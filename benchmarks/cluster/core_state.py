"""Cost of a write for the leader's core, and its longest step, by the number of keys that it holds.

    python -P benchmarks/cluster/core_state.py [--keys 1000 100000 1000000] [--writes 40000] [--clients 8] [--json]

One core leads three nodes; the other two are stand-ins that acknowledge at once, and so does the disk. Each turn brings one write of each client, to
keys drawn at random, with values of 128 characters. There are no sockets, so this is the core's part of what a node's process spends.

| figure | what it is |
|---|---|
| `us_per_write` | processor time of all steps, divided by the writes |
| `longest_ms` | the longest step, in processor time, pauses of the garbage collector included (with the policy of `node/runtime/process/collector.py`) |
| `by_kind_ms` | the longest step by what it did apart from writes: `snapshot` (a part of one was made or stored), `digest` (one was traced), `plain` |
| `rss_mb` | memory of the process at its peak |
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:] = [str(ROOT), *(entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent)]

# ruff: noqa: E402
from tribulation.node.config.node import MS, NodeConfig
from tribulation.node.core.core import Core
from tribulation.node.core.interface.effects import Effect, Reply, Send, SetTimer, Trace
from tribulation.node.core.interface.events import Event, Received, Request, Start, StorageDone, TimerFired
from tribulation.node.core.interface.messages import (
    AppendEntries,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
)
from tribulation.node.runtime.process import collector

VALUE_CHARACTERS = 128
OPS = 200
"""Writes in one transaction while the store is filled."""


class Leader:
    """A core, its disk and its followers: what a step asks for comes back as the events of the next one."""

    def __init__(self) -> None:
        peers = {f"n{i}": ["127.0.0.1", 10000 + i] for i in (1, 2, 3)}
        self.core = Core(NodeConfig.from_json({"node": "n1", "cluster": "bench", "peers": peers}))
        self.now_ns = 1000 * MS
        self.timers: dict[str, SetTimer] = {}
        self.next: list[Event] = [Start(1, 7, {})]
        self.replies = 0
        self.steps: list[tuple[float, str]] = []
        self.session = 0

    def turn(self, events: Sequence[Event] = ()) -> None:
        due = [timer for timer in self.timers.values() if timer.at_ns <= self.now_ns]
        for timer in due:
            del self.timers[timer.key]
        given, self.next = [*self.next, *events, *(TimerFired(timer.key, timer.generation) for timer in due)], []
        began = time.thread_time()
        effects = self.core.step(self.now_ns, given)
        kind = "plain"
        took = time.thread_time() - began
        for effect in effects:
            kind = self._answer(effect) or kind
        self.steps.append((took, kind))

    def _answer(self, effect: Effect) -> str | None:
        if isinstance(effect, Send):
            self._follow(effect)
        elif isinstance(effect, SetTimer):
            self.timers[effect.key] = effect
        elif isinstance(effect, Reply):
            self.replies += effect.body["status"] == "ok"
            self.session = effect.body.get("session", self.session)
        elif isinstance(effect, Trace):
            return "digest" if effect.event == "digest" else None
        elif hasattr(effect, "op"):
            self.next.append(StorageDone(effect.op))
            return "snapshot" if getattr(effect, "file", "").startswith("snapshot") else None
        return None

    def _follow(self, effect: Send) -> None:
        message, peer = effect.message, effect.peer
        if isinstance(message, AppendEntries):
            last = message.prev_index + len(message.entries)
            self.next.append(Received(peer, AppendReply(message.term, True, message.prev_index, last, False)))
        elif isinstance(message, Heartbeat):
            self.next.append(Received(peer, HeartbeatReply(message.term, message.round)))
        elif isinstance(message, PreVote):
            self.next.append(Received(peer, PreVoteReply(message.term - 1, message.term, True)))
        elif isinstance(message, Vote):
            self.next.append(Received(peer, VoteReply(message.term, True)))

    def lead(self) -> None:
        while self.core.status()["role"] != "leader" if self.steps else True:
            self.turn()
            self.now_ns += 10 * MS
        self.turn([Request("c0", {"id": 0, "open": True})])
        while not self.session:
            self.turn()


def measure(keys: int, writes: int, clients: int) -> dict[str, Any]:
    random.seed(1)
    leader = Leader()
    leader.lead()
    seq = 0
    for first in range(0, keys, OPS):
        seq += 1
        ops = [["w", f"key-{i}", _value(i)] for i in range(first, min(keys, first + OPS))]
        leader.turn([Request("c0", {"id": seq, "session": leader.session, "seq": seq, "ops": ops})])
        leader.now_ns += MS
    filled_s = sum(took for took, _ in leader.steps)
    leader.steps.clear()
    leader.replies = 0
    for number in range(writes // clients):
        asked: list[Event] = []
        for client in range(clients):
            seq += 1
            ops = [["w", f"key-{random.randrange(keys)}", _value(number + client)]]
            asked.append(Request(f"c{client}", {"id": seq, "session": leader.session, "seq": seq, "ops": ops}))
        leader.turn(asked)
        leader.now_ns += MS
    steps = leader.steps
    return {
        "keys": keys,
        "writes": leader.replies,
        "fill_s": round(filled_s, 2),
        "us_per_write": round(1e6 * sum(took for took, _ in steps) / leader.replies, 1),
        "longest_ms": round(1e3 * max(took for took, _ in steps), 1),
        "by_kind_ms": {
            kind: round(1e3 * max(took for took, k in steps if k == kind), 1) for kind in sorted({k for _, k in steps})
        },
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _value(number: int) -> str:
    return f"{number:0{VALUE_CHARACTERS}d}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--writes", type=int, default=40_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    collector.adopt()
    for keys in options.keys:
        found = measure(keys, options.writes, options.clients)
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
