"""A tiny, correct, step-at-a-time Raft that writes traces and a history. It shares no code with the node or the checkers.

Messages are atomic: an action happens on a leader and one follower at once. Everything else is random: which node stands, which are reached,
what is durable when a node dies, how many of its last trace lines are lost, how hosts' clocks are off, when weights change.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tribulation.checkers import RunRecord
from tribulation.histories import Event, History, Type

TICK_NS = 1_000_000


@dataclass
class Node:
    name: str
    offset_ns: int
    incarnation: int = 0
    seq: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    term: int = 0
    voted: str | None = None
    log: list[tuple[int, int, Any]] = field(default_factory=list)
    """(term, crc, voters or None), from index 1."""
    durable: int = 0
    applied: int = 0
    commit: int = 0
    leads: bool = False
    last_quorum_tick: int = 0

    def last(self) -> tuple[int, int]:
        return (self.log[-1][0] if self.log else 0), len(self.log)


class TinyRaft:
    def __init__(self, seed: int, nodes: int = 3, lose_lines: bool = True, reconfigure: bool = True) -> None:
        self.random = random.Random(f"{seed}/tiny-raft")
        names = [f"n{i + 1}" for i in range(nodes)]
        self.nodes = {name: Node(name, self.random.randrange(10**9)) for name in names}
        self.initial = dict.fromkeys(names, 1)
        self.lose_lines, self.reconfigure = lose_lines, reconfigure
        self.tick = 0
        self.crc = 0
        self.events: list[Event] = []
        self.open: dict[int, tuple[int, int, int, str]] = {}
        """crc of the entry → (process, seq, value, key) of the write that waits for it."""
        self.process = 0
        for node in self.nodes.values():
            self.boot(node)

    # -- recording

    def trace(self, node: Node, event: str, **fields: Any) -> None:
        mono_ns = self.tick * TICK_NS + node.offset_ns
        head = {"node": node.name, "incarnation": node.incarnation, "seq": node.seq, "mono_ns": mono_ns, "event": event}
        node.lines.append({**head, **fields})
        node.seq += 1

    def event(self, process: int, kind: Type, f: str, key: str, value: Any, **extra: Any) -> int:
        index = len(self.events)
        self.events.append(
            Event(
                index, self.tick * TICK_NS, process, kind, f, value, key, "register", "linearizable", None, None, extra
            )
        )
        return index

    def record(self) -> RunRecord:
        return RunRecord(
            history=History(self.events),
            traces={node.name: list(node.lines) for node in self.nodes.values()},
            nodes=sorted(self.nodes),
            voters=self.initial,
            clock_offsets_ns={node.name: (node.offset_ns, TICK_NS // 4) for node in self.nodes.values()},
            phases={"end": (self.tick + 1) * TICK_NS},
        )

    # -- the protocol

    def voters(self, node: Node) -> tuple[int, dict[str, int]]:
        """(index, weights) in force: the latest in its log."""
        for index in range(len(node.log), 0, -1):
            if node.log[index - 1][2] is not None:
                return index, node.log[index - 1][2]
        return 0, self.initial

    def quorum(self, node: Node, members: set[str]) -> bool:
        voters = self.voters(node)[1]
        return 2 * sum(voters.get(name, 0) for name in members) > sum(voters.values())

    def boot(self, node: Node) -> None:
        node.incarnation, node.seq, node.leads = node.incarnation + 1, 0, False
        node.log = node.log[: node.durable]
        node.applied = node.commit = 0
        last_term, last_index = node.last()
        self.trace(
            node,
            "start",
            term=node.term,
            voted_for=node.voted,
            last_index=last_index,
            last_term=last_term,
            snapshot_index=0,
            voters=dict(self.voters(node)[1]),
            torn=False,
        )

    def crash(self, node: Node) -> None:
        if self.lose_lines:
            # Only what is young can be in a buffer.
            keep = len(node.lines) - self.random.randrange(0, 8)
            young_ns = (self.tick - 60) * TICK_NS + node.offset_ns
            while len(node.lines) > keep and node.lines[-1]["mono_ns"] > young_ns and len(node.lines) > 1:
                if node.lines[-1]["incarnation"] != node.incarnation or node.lines[-1]["event"] == "start":
                    break
                node.lines.pop()
        self.tick += self.random.randrange(1, 40)
        self.boot(node)

    def adopt_term(self, node: Node, term: int, leader: str | None) -> None:
        if term > node.term:
            node.term, node.voted = term, None
            self.trace(node, "term", term=term)
        if node.leads and leader != node.name:
            node.leads = False
            self.trace(node, "follower", term=term, leader=leader, reason="a later term")

    def elect(self, node: Node) -> None:
        if node.leads or self.voters(node)[1].get(node.name, 0) == 0:
            return
        node.term, node.voted = node.term + 1, node.name
        self.trace(node, "term", term=node.term)
        self.trace(node, "vote", term=node.term, candidate=node.name)
        votes = {node.name}
        for peer in self.random.sample(sorted(self.nodes), self.random.randrange(len(self.nodes) + 1)):
            other = self.nodes[peer]
            if other is node or other.term > node.term:
                continue
            self.tick += 1
            self.adopt_term(other, node.term, None)
            if other.voted in (None, node.name) and node.last() >= other.last():
                other.voted = node.name
                self.trace(other, "vote", term=node.term, candidate=node.name)
                votes.add(peer)
        self.tick += 1
        if self.quorum(node, votes):
            node.leads = True
            voters = dict(self.voters(node)[1])
            self.trace(node, "leader", term=node.term, last_index=len(node.log), votes=sorted(votes), voters=voters)
            self.append(node, None)

    def append(self, node: Node, voters: dict[str, int] | None) -> int:
        self.crc += 1
        node.log.append((node.term, self.crc, voters))
        if voters is not None:
            self.trace(node, "config", index=len(node.log), voters=dict(voters))
        self.trace(node, "append", entries=[[len(node.log), node.term, self.crc]])
        return self.crc

    def write(self, node: Node) -> None:
        if not node.leads:
            return
        self.process += 1
        key = f"k{self.random.randrange(2)}"
        self.event(self.process, Type.INVOKE, "write", key, self.process)
        self.tick += 1
        self.open[self.append(node, None)] = (self.process, 1, self.process, key)

    def read(self, node: Node) -> None:
        if not node.leads or node.commit < 1 or node.log[node.commit - 1][0] != node.term:
            return
        self.process += 1
        self.event(self.process, Type.INVOKE, "read", "k0", None)
        self.tick += 2
        peers = self.random.sample(sorted(self.nodes), self.random.randrange(len(self.nodes) + 1))
        followers = {p for p in peers if p == node.name or self.nodes[p].term <= node.term}
        for peer in sorted(followers - {node.name}):
            self.adopt_term(self.nodes[peer], node.term, node.name)
        if self.quorum(node, followers | {node.name}):
            voters = dict(self.voters(node)[1])
            self.trace(node, "read-confirmed", index=node.commit, acks=sorted(followers), voters=voters, rounds=1)
            self.apply(node)
            extra = {"log_index": node.applied, "term": node.term, "served_by": node.name}
            self.tick += 2
            self.event(self.process, Type.OK, "read", "k0", None, **extra)

    def replicate(self, leader: Node, node: Node) -> None:
        if not leader.leads or node is leader or node.term > leader.term:
            return
        self.adopt_term(node, leader.term, leader.name)
        upto = self.random.randrange(len(leader.log) + 1)
        new: list[tuple[int, int, Any]] = []
        for index in range(1, upto + 1):
            entry = leader.log[index - 1]
            if index <= len(node.log) and not new:
                if node.log[index - 1][:2] == entry[:2]:
                    continue
                assert index > node.commit
                del node.log[index - 1 :]
                node.durable = min(node.durable, index - 1)
                self.trace(node, "truncate", **{"from": index})
                at, voters = self.voters(node)
                self.trace(node, "config", index=at, voters=dict(voters))
            node.log.append(entry)
            new.append(entry)
            if entry[2] is not None:
                self.trace(node, "config", index=index, voters=dict(entry[2]))
        if new:
            first = len(node.log) - len(new) + 1
            self.trace(node, "append", entries=[[first + i, term, crc] for i, (term, crc, _) in enumerate(new)])
        self.tick += 1
        node.commit = max(node.commit, min(leader.commit, upto))

    def sync(self, node: Node) -> None:
        if node.durable < len(node.log):
            node.durable = len(node.log)
            self.tick += 1
            self.trace(node, "durable", index=node.durable, term=node.log[-1][0])

    def advance(self, leader: Node) -> None:
        if not leader.leads:
            return
        match = {}
        for peer in self.nodes.values():
            same = peer.term == leader.term
            agreed = 0
            while (
                same and agreed < min(peer.durable, len(leader.log)) and peer.log[agreed][:2] == leader.log[agreed][:2]
            ):
                agreed += 1
            match[peer.name] = agreed
        voters = self.voters(leader)[1]
        for index in range(len(leader.log), leader.commit, -1):
            if leader.log[index - 1][0] != leader.term:
                return
            if self.quorum(leader, {name for name, at in match.items() if at >= index}):
                leader.commit = index
                self.tick += 1
                shown = {name: match[name] for name in voters}
                self.trace(leader, "commit", index=index, term=leader.term, match=shown, voters=dict(voters))
                return

    def apply(self, node: Node) -> None:
        if node.applied == node.commit:
            return
        first, node.applied = node.applied + 1, node.commit
        entries = node.log[first - 1 : node.applied]
        self.trace(node, "apply", entries=[[first + i, term, crc] for i, (term, crc, _) in enumerate(entries)])
        if not node.leads:
            return
        for index, (term, crc, _) in enumerate(entries, start=first):
            if crc in self.open and term == node.term:
                process, seq, value, key = self.open.pop(crc)
                self.trace(
                    node,
                    "ack",
                    session=process,
                    index=index,
                    term=term,
                    level="linearizable",
                    kind="write",
                    command=seq,
                )
                self.tick += 1
                extra = {"log_index": index, "term": term, "served_by": node.name, "session": process, "seq": seq}
                self.event(process, Type.OK, "write", key, value, **extra)

    def reweigh(self, leader: Node) -> None:
        if not leader.leads:
            return
        at, voters = self.voters(leader)
        own_term = leader.commit >= 1 and leader.log[leader.commit - 1][0] == leader.term
        if not own_term or at > leader.commit:
            return
        name = self.random.choice(sorted(self.nodes))
        changed = {**voters, name: max(0, voters.get(name, 0) + self.random.choice([-1, 1]))}
        if sum(changed.values()) > 0 and changed != voters and changed.get(leader.name, 0) > 0:
            self.append(leader, {n: w for n, w in changed.items() if w})

    def step(self) -> None:
        node = self.random.choice(list(self.nodes.values()))
        leaders = [other for other in self.nodes.values() if other.leads]
        leader = self.random.choice(leaders) if leaders else node
        self.tick += self.random.randrange(0, 3)
        roll = self.random.random()
        if roll < 0.03 or not leaders:
            self.elect(node)
        elif roll < 0.05:
            self.crash(node)
        elif roll < 0.20:
            self.write(leader)
        elif roll < 0.27:
            self.read(leader)
        elif roll < 0.55:
            self.replicate(leader, node)
        elif roll < 0.70:
            self.sync(node)
        elif roll < 0.85:
            self.advance(leader)
        elif roll < 0.97 or not self.reconfigure:
            self.apply(node)
        else:
            self.reweigh(leader)


def tiny_run(seed: int, steps: int = 200, **options: Any) -> RunRecord:
    raft = TinyRaft(seed, **options)
    for _ in range(steps):
        raft.step()
    return raft.record()
