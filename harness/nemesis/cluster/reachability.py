"""Directed reachability as the agents' probes observe it: the actual behaviour of the cluster's network, in contrast to the intended one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from ..agent_client.agents import ANSWER_S, AgentClient, ask, require
from ..faults.fault import CLIENTS, Observation
from ..topology.partitions import Edge

VERIFY_S = 2.0
VERIFY_S_PER_VERTEX = 0.2
"""The longest time until a change is seen: the first value, or with many vertices, which probe more slowly, the second value for each."""
LOOK_S_PER_VERTEX = 0.002
"""Time between two queries of the arrivals, so that querying many vertices does not become the load."""
GRACE_S = 0.06
"""How long to wait, after the last working link was heard, for a packet over a link that must be cut: as long as four packets of a burst take."""
SAMPLE_AGE_NS = 500_000_000
"""In a sample, a link is up if it was heard within this time, or within four periods of the probes when that is longer."""


@dataclass(slots=True)
class Reachability:
    """`links` are the links that were up before any fault; only they can be evidence. Vertices that are `off` receive no requests, and none of their
    links is up.

    `late_s` is the latency of the longest link without faults.
    """

    agents: Mapping[str, AgentClient]
    links: frozenset[Edge] = frozenset()
    off: frozenset[str] = frozenset()
    late_s: float = 0.0
    _epoch: int = 0

    def connect(self) -> None:
        """Send every agent the addresses of its peers, and the key by which they know each other's packets."""
        key = secrets.token_hex(16)
        peers = {name: [agent.address, agent.port] for name, agent in self.agents.items() if agent.address}
        requests = {
            name: {
                "do": "configure",
                "config": {"probe_key": key, "peers": {other: at for other, at in peers.items() if other != name}},
            }
            for name in self.agents
        }
        require(ask(self.agents, requests), "configuring the probes")

    def measure_baseline(self, timeout_s: float) -> frozenset[Edge]:
        """Learn which links are up; return those that are not. Links of clients may never be up, and get less time."""
        everything = frozenset((a, b) for a in self.agents for b in self.agents if a != b)
        between_nodes = frozenset(edge for edge in everything if CLIENTS not in edge)
        heard = self._hear(between_nodes, frozenset(), timeout_s)
        heard |= self._hear(everything, frozenset(), min(timeout_s, VERIFY_S)) if between_nodes <= heard else set()
        self.links = frozenset(heard)
        return everything - self.links

    def verify(self, cut: Set[Edge], loose: Set[Edge] = frozenset()) -> Observation:
        """Return whether exactly these edges are cut, by packets that were all sent after this call began. `loose` edges are ignored."""
        started_s = time.monotonic()
        cut = cut | {edge for edge in self.links if not self.off.isdisjoint(edge)}
        links = self.links - (loose - cut)
        wanted = links - cut
        heard = self._hear(wanted, links & cut, max(VERIFY_S, VERIFY_S_PER_VERTEX * len(self.agents)))
        down = links - heard
        observed: dict[str, Any] = {
            "edges": _listed(down),
            "verify_ms": round((time.monotonic() - started_s) * 1e3, 1),
        }
        if missing := wanted - heard:
            observed["down_but_not_cut"] = _listed(missing)
        if leaking := (links & cut) - down:
            observed["cut_but_heard"] = _listed(leaking)
        if unprobed := cut - links:
            observed["unprobed"] = _listed(unprobed)
        return Observation(down == links & cut and not unprobed, observed)

    def _hear(self, wanted: Set[Edge], unwanted: Set[Edge], timeout_s: float) -> set[Edge]:
        """Raise the epoch and listen until all expected links were heard and no unexpected packet can arrive any more, or the time is over."""
        self._epoch += 1
        epoch, deadline_s = self._epoch, time.monotonic() + timeout_s + 2 * self.late_s
        require(ask(self.agents, {name: {"do": "epoch", "epoch": epoch} for name in self._asked()}), "probing")
        grace_ends_s = time.monotonic() + GRACE_S + self.late_s
        while True:
            # A name that is not one of ours was not requested.
            heard = {
                (a, b) for (a, b), seen in self._heard().items() if seen[0] >= epoch and a in self.agents and a != b
            }
            now_s = time.monotonic()
            settled = wanted <= heard and (not unwanted or now_s >= grace_ends_s)
            if settled or now_s >= deadline_s:
                return heard
            if not wanted <= heard:
                grace_ends_s = now_s + GRACE_S + self.late_s
            time.sleep(LOOK_S_PER_VERTEX * len(self.agents))

    def sample(self, timeout_s: float = ANSWER_S) -> dict[Edge, bool]:
        """Return for each link that was up before any fault whether it was heard lately."""
        heard = self._heard(patient=False, timeout_s=timeout_s)
        return {edge: edge in heard and heard[edge][3] <= heard[edge][4] for edge in sorted(self.links)}

    def _asked(self) -> list[str]:
        return [name for name in self.agents if name not in self.off]

    def _heard(self, patient: bool = True, timeout_s: float = ANSWER_S) -> dict[Edge, list[int]]:
        """(from, to) → epoch, sequence number, count, age in ns, and the age up to which it counts as up."""
        requests = {name: {"do": "heard"} for name in self._asked()}
        answers = require(ask(self.agents, requests, patient=patient, timeout_s=timeout_s), "reading the probes")
        return {
            (sender, receiver): [*seen, max(SAMPLE_AGE_NS, int(answer["period_s"] * 4e9))]
            for receiver, answer in answers.items()
            for sender, seen in answer["heard"].items()
        }


def _listed(edges: Set[Edge]) -> list[list[str]]:
    return [list(edge) for edge in sorted(edges)]
