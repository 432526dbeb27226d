"""Counts of interesting states of simulated runs (what Antithesis calls "sometimes"), which show a state that was never reached.

A search that finds nothing says little when it never came near where bugs are. So each state that is worth reaching has a name and a counter; the
counters of many runs are added up, and those still at zero are shown in red.

    watch = Sometimes()
    simulate(plan, watch=watch.attach)
    watch.counts["snapshot-installed-under-a-partition"]
    total = merged(total, watch.counts)
    console.print(table(total))

To add a state: give it a name and a sentence in `states.STATES`, and call `self._saw(name)` in the method that receives the trace line, message or
deed that shows it (`_LINES`, `_MESSAGES` and `_DEEDS` name them; a new line or message is a new row there). What parts of the simulator count anyway
goes into `_counted`. A state that a correct cluster cannot reach does not belong here: it would stay red. Watching changes nothing, and must stay
cheap: no loops over logs, and only a look-up for what happens thousands of times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from tribulation.node.core.interface.effects import Reply
from tribulation.node.core.interface.events import Event, Received, Request
from tribulation.node.core.interface.messages import PreVote, TimeoutNow, Vote

from ..cluster.cluster import SimCluster
from ..options import SECOND
from .states import STATES as STATES
from .states import merged as merged
from .states import table as table
from .states import unreached as unreached

SAME_EVERYWHERE = frozenset(crc32(text) for text in (b'["noop"]', b'["sessions.open"]'))
"""Commands that by their nature stand in every log more than once."""

WAITED_NS = 2 * SECOND
"""No client waits longer for an answer to a request."""


@dataclass(slots=True)
class _Node:
    """State of one node by its traces: whether it leads and in which term, where its log ends, since when it is stopped."""

    leads: int | None = None
    last_term: int = 0
    last_index: int = 0
    voters: Mapping[str, int] = field(default_factory=dict)
    no_quorum: bool = False
    stopped_ns: int | None = None


class Sometimes:
    """Watcher of one simulated run. `counts` holds every name of `STATES`."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(STATES, 0)
        self._cluster: SimCluster | None = None
        self._nodes: dict[str, _Node] = {}
        self._leader_term = 0
        self._voted_terms: set[int] = set()
        self._entry_terms: dict[int, int] = {}
        self._committed = 0
        self._applied = 0
        self._commands: set[int] = set()
        self._configs: set[int] = set()
        self._writes: dict[tuple[str, str, Any], int] = {}
        self._reads: dict[tuple[str, str, Any], int] = {}

    def attach(self, cluster: SimCluster) -> None:
        """Begin to watch; to be called before anything happens."""
        self._cluster = cluster
        self._nodes = {name: _Node(voters=node.config.voters) for name, node in cluster.nodes.items()}
        cluster.watchers.append(self._line)
        cluster.event_watchers.append(self._event)
        cluster.reply_watchers.append(self._replied)
        cluster.deed_watchers.append(self._done)

    @property
    def counts(self) -> dict[str, int]:
        """How often each state was seen until now."""
        return {**self._counts, **(self._counted(self._cluster) if self._cluster is not None else {})}

    def _saw(self, name: str, times: int = 1) -> None:
        self._counts[name] += times

    @staticmethod
    def _counted(cluster: SimCluster) -> dict[str, int]:
        """States that the simulator's own parts count."""
        nodes, peers = cluster.nodes.values(), cluster.peers
        return {
            "unsynced-bytes-lost": sum(node.disk.lossy_cuts for node in nodes),
            "write-torn": sum(node.disk.torn_writes for node in nodes),
            "stale-timer-fired": sum(node.stale_timers for node in nodes),
            "message-lost": peers.lost,
            "message-repeated": peers.duplicated,
            "message-overtaken": peers.reordered,
            "frame-for-a-half-open-connection": peers.refused,
        }

    # Trace lines

    def _line(self, line: Mapping[str, Any]) -> None:
        hear = _LINES.get(line["event"])
        if hear is not None:
            hear(self, line, self._nodes[line["node"]])

    def _started(self, line: Mapping[str, Any], node: _Node) -> None:
        node.leads, node.no_quorum, node.stopped_ns = None, False, None
        node.last_index, node.last_term, node.voters = line["last_index"], line["last_term"], line["voters"]
        if line["snapshot_index"]:
            self._saw("booted-from-a-snapshot")
        if line.get("torn"):
            self._saw("torn-tail-cut-at-boot")

    def _voted(self, line: Mapping[str, Any], node: _Node) -> None:
        self._voted_terms.add(line["term"])

    def _elected(self, line: Mapping[str, Any], node: _Node) -> None:
        term, now_ns = line["term"], self._now_ns()
        if any(other.leads is not None and other.leads < term for other in self._nodes.values()):
            self._saw("two-nodes-believed-to-lead")
        if any(now_ns - since_ns < WAITED_NS for since_ns in self._writes.values()):
            self._saw("leader-changed-with-writes-in-flight")
        self._saw("election-without-winner", sum(self._leader_term < voted < term for voted in self._voted_terms))
        if term > self._leader_term:
            self._leader_term = term
            self._voted_terms = {voted for voted in self._voted_terms if voted > term}
        node.leads = term

    def _followed(self, line: Mapping[str, Any], node: _Node) -> None:
        node.leads = None
        if line.get("reason") == "no quorum answers":
            self._saw("leader-deposed-by-silence")
        elif line.get("reason") == "removed from the voters":
            self._saw("voter-removed-itself")

    def _appended(self, line: Mapping[str, Any], node: _Node) -> None:
        for index, term, _ in line["entries"]:
            node.last_index, node.last_term = index, term
            self._entry_terms[index] = term

    def _truncated(self, line: Mapping[str, Any], node: _Node) -> None:
        if node.last_index > line["from"]:
            self._saw("log-truncated-by-several")
        node.last_index = line["from"] - 1
        node.last_term = self._entry_terms.get(node.last_index, node.last_term)

    def _commit(self, line: Mapping[str, Any], node: _Node) -> None:
        fresh = range(self._committed + 1, line["index"] + 1)
        if any(self._entry_terms.get(index, line["term"]) < line["term"] for index in fresh):
            self._saw("old-term-committed-with-new")
        self._committed = max(self._committed, line["index"])

    def _apply(self, line: Mapping[str, Any], node: _Node) -> None:
        entries = line["entries"]
        if entries[-1][0] <= self._applied:
            return
        for index, _, crc in entries:
            if index > self._applied and crc not in SAME_EVERYWHERE and index not in self._configs:
                if crc in self._commands:
                    self._saw("retried-command-applied-again")
                self._commands.add(crc)
        self._applied = entries[-1][0]

    def _configured(self, line: Mapping[str, Any], node: _Node) -> None:
        self._configs.add(line["index"])
        if line["voters"] == node.voters:
            return
        node.voters = line["voters"]
        self._saw("voters-changed")
        cut_off = [name for name, other in self._nodes.items() if other.leads is not None and self._is_cut(name)]
        if cut_off:
            self._saw("voters-changed-while-a-leader-is-cut-off")

    def _installed(self, line: Mapping[str, Any], node: _Node) -> None:
        node.last_index, node.last_term = line["index"], line["term"]
        self._saw("snapshot-installed")
        if self._cluster is not None and self._cluster.network.cuts_on:
            self._saw("snapshot-installed-under-a-partition")

    def _lost_quorum(self, line: Mapping[str, Any], node: _Node) -> None:
        node.no_quorum = True

    def _found_quorum(self, line: Mapping[str, Any], node: _Node) -> None:
        if node.no_quorum:
            self._saw("quorum-lost-and-found")
        node.no_quorum = False

    # Requests, messages, replies

    def _event(self, name: str, event: Event) -> None:
        kind = type(event)
        if kind is Received:
            message = event.message  # type: ignore[union-attr]
            hear = _MESSAGES.get(type(message))
            if hear is not None:
                hear(self, message, self._nodes[name])
        elif kind is Request:
            self._asked(name, event)  # type: ignore[arg-type]

    def _asked(self, name: str, request: Request) -> None:
        body = request.body
        ops = body.get("ops")
        if not ops:
            return
        key = name, request.client, body.get("id")
        if any(op[0] != "r" for op in ops):
            self._writes[key] = self._now_ns()
        elif body.get("level", "linearizable") == "linearizable":
            self._reads[key] = self._leader_term

    def _vote_asked(self, message: Vote | PreVote, node: _Node) -> None:
        if (message.last_term, message.last_index) < (node.last_term, node.last_index):
            self._saw("vote-asked-with-a-stale-log")

    def _asked_to_stand(self, message: TimeoutNow, node: _Node) -> None:
        self._saw("leadership-handed-over")

    def _replied(self, name: str, reply: Reply) -> None:
        key = name, reply.client, reply.body.get("id")
        self._writes.pop(key, None)
        term = self._reads.pop(key, None)
        if term is not None and 0 < term < self._leader_term and reply.body.get("status") == "ok":
            self._saw("read-waited-out-a-leader-change")

    # What is done to the cluster

    def _done(self, what: str, *operands: Any) -> None:
        hear = _DEEDS.get(what)
        if hear is not None:
            hear(self, self._nodes[operands[0]], operands[0])

    def _killed(self, node: _Node, name: str) -> None:
        if node.leads is not None:
            self._saw("leader-died")
        node.leads = None
        gone = [key for key in (*self._writes, *self._reads) if key[0] == name]
        for key in gone:
            self._writes.pop(key, None)
            self._reads.pop(key, None)

    def _stopped_itself(self, node: _Node, name: str) -> None:
        self._saw("node-stopped-itself")
        node.leads = None

    def _paused(self, node: _Node, name: str) -> None:
        if node.stopped_ns is None:
            node.stopped_ns = self._now_ns()

    def _resumed(self, node: _Node, name: str) -> None:
        since_ns, node.stopped_ns = node.stopped_ns, None
        if since_ns is None or node.leads is None or self._cluster is None:
            return
        config = self._cluster.nodes[name].config
        if config.lease_reads and self._now_ns() - since_ns > config.timing.election_min_ns:
            self._saw("leader-stopped-past-its-lease")

    def _shifted(self, node: _Node, name: str) -> None:
        if node.leads is not None:
            self._saw("wall-clock-moved-under-a-leader")

    def _now_ns(self) -> int:
        assert self._cluster is not None
        return self._cluster.now_ns

    def _is_cut(self, name: str) -> bool:
        assert self._cluster is not None
        return any(link.cuts for (a, b), link in self._cluster.network.links.items() if name in (a, b))


def _counting(name: str) -> Callable[[Sometimes, Mapping[str, Any], _Node], None]:
    return lambda watch, line, node: watch._saw(name)


_LINES: Mapping[str, Callable[[Sometimes, Mapping[str, Any], _Node], None]] = {
    "start": Sometimes._started,
    "vote": Sometimes._voted,
    "leader": Sometimes._elected,
    "follower": Sometimes._followed,
    "append": Sometimes._appended,
    "truncate": Sometimes._truncated,
    "commit": Sometimes._commit,
    "apply": Sometimes._apply,
    "config": Sometimes._configured,
    "snapshot": _counting("snapshot-taken"),
    "snapshot-installed": Sometimes._installed,
    "lease": _counting("lease-read-served"),
    "no-quorum": Sometimes._lost_quorum,
    "quorum": Sometimes._found_quorum,
}
_MESSAGES: Mapping[type[Any], Callable[[Sometimes, Any, _Node], None]] = {
    Vote: Sometimes._vote_asked,
    PreVote: Sometimes._vote_asked,
    TimeoutNow: Sometimes._asked_to_stand,
}
_DEEDS: Mapping[str, Callable[[Sometimes, _Node, str], None]] = {
    "kill": Sometimes._killed,
    "power-loss": Sometimes._killed,
    "halted": Sometimes._stopped_itself,
    "pause": Sometimes._paused,
    "resume": Sometimes._resumed,
    "shift-wall": Sometimes._shifted,
}
