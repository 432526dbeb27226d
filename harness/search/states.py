"""Abstract states of the whole cluster that a run reached: so coarse that most runs share most of them, and a new one means something new.

The cluster is observed whenever a node's part in Raft changes or the cluster is changed from outside. Each observation is two states:

- *nodes*: for every node, without its name: its role (leader, candidate, follower, stopped, resumed, down), whether its term is behind the
  highest, how far what it applied lags behind the highest commit (0, up to 10 entries, more), and whether its log goes beyond that commit;
- *trouble*: the kinds of active faults (cuts, clogs, shaped links, faulty disks, moved clocks), with how many nodes lead, are candidates
  and are down (0, 1, more).

Guiding a search by such states is an idea of ModelFuzz (OOPSLA 2025) and Mallory (CCS 2023). Here they are read from traces and from
changes to the simulated cluster, and change nothing of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..keyed_random import key_of
from ..simulator.cluster.cluster import SimCluster

_INFORMATIVE = frozenset({"leader", "follower", "vote", "term", "truncate", "snapshot-installed", "no-quorum", "halt"})
_BALANCE = {
    "cut": ("cut", 1),
    "heal": ("cut", -1),
    "clog": ("clog", 1),
    "unclog": ("clog", -1),
}


@dataclass(slots=True)
class _Node:
    role: str = "down"
    term: int = 0
    last: int = 0
    applied: int = 0


class States:
    """`simulate(plan, watch=states.attach)`; then `states.reached` are the states as numbers, the same on every machine."""

    def __init__(self) -> None:
        self.reached: set[int] = set()
        self._nodes: dict[str, _Node] = {}
        self._commit = 0
        self._force: dict[str, int] = {}
        self._shaped: set[tuple[str, ...]] = set()
        self._moved: dict[str, int] = {}
        self._seen: dict[Any, int] = {}

    def attach(self, cluster: SimCluster) -> None:
        self._nodes = {name: _Node() for name in cluster.nodes}
        cluster.watchers.append(self._line)
        cluster.deed_watchers.append(self._deed)

    def _line(self, line: Mapping[str, Any]) -> None:
        node, event = self._nodes[line["node"]], line["event"]
        if event == "append":
            node.last = max(node.last, line["entries"][-1][0]) if line["entries"] else node.last
        elif event == "apply":
            node.applied = line["entries"][-1][0] if line["entries"] else node.applied
        elif event == "commit":
            self._commit = max(self._commit, line["index"])
        elif event in _INFORMATIVE or event == "start":
            _part(node, line)
            self._look()

    def _deed(self, verb: str, *operands: Any) -> None:
        if verb in _BALANCE:
            name, by = _BALANCE[verb]
            self._force[name] = self._force.get(name, 0) + by
        elif verb == "heal-network":
            self._force.clear()
            self._shaped.clear()
        elif verb == "shape":
            source, target, name, shaping = operands
            (self._shaped.discard if shaping == "None" else self._shaped.add)((source, target, name))
        elif verb == "shift-wall":
            self._moved[operands[0]] = self._moved.get(operands[0], 0) + operands[1]
        elif verb == "trouble":
            self._force["disk"] = self._force.get("disk", 0) + operands[2]
        elif verb in ("kill", "power-loss", "halted"):
            self._nodes[operands[0]].role = "down"
        elif verb == "pause":
            node = self._nodes[operands[0]]
            node.role = "stopped" if node.role != "down" else node.role
        elif verb == "resume":
            node = self._nodes[operands[0]]
            node.role = "resumed" if node.role == "stopped" else node.role
        else:
            return
        self._look()

    def _look(self) -> None:
        highest = max(node.term for node in self._nodes.values())
        parts = sorted(
            (node.role, node.term < highest, _bucket(self._commit - node.applied), node.last > self._commit)
            for node in self._nodes.values()
        )
        self._reach(("nodes", *parts))
        trouble = [name for name, count in self._force.items() if count > 0]
        trouble += ["shape"] * bool(self._shaped) + ["clock"] * any(self._moved.values())
        roles = [node.role for node in self._nodes.values()]
        counts = tuple(min(2, roles.count(role)) for role in ("leader", "candidate", "down"))
        self._reach(("trouble", *sorted(trouble), counts))

    def _reach(self, state: tuple[Any, ...]) -> None:
        if state not in self._seen:
            self._seen[state] = key_of(repr(state))
            self.reached.add(self._seen[state])


def _part(node: _Node, line: Mapping[str, Any]) -> None:
    """Update the node's part from a trace line."""
    event = line["event"]
    node.term = line.get("term", node.term) if event != "snapshot-installed" else node.term
    if event in ("leader", "follower"):
        node.role = event
    elif event == "start":
        node.role, node.last = "follower", line["last_index"]
    elif event == "vote" and line["candidate"] == line["node"]:
        node.role = "candidate"
    elif event == "truncate":
        node.last = line["from"] - 1


def _bucket(lag: int) -> int:
    return 0 if lag <= 0 else 1 if lag <= 10 else 2
