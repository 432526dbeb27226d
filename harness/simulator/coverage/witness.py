"""Facts of a run that only the simulator knows, for the checkers (`tribulation.checkers.liveness.simulated_truth`): the disks that it damaged, and the
requests that nodes left unanswered.

witness = Witness(cluster)        # before anything happens; it changes nothing
truth = witness.truth(start_ns)   # JSON values, times as run time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tribulation.node.core.clients.request import DEADLINE_MS
from tribulation.node.core.interface.effects import Effect, Reply
from tribulation.node.core.interface.events import ClientGone, Event, Request, Start
from tribulation.node.core.memory.memory import TICK_NS

from ...keyed_random import ONE_MILLION
from ..cluster.cluster import SimCluster
from ..options import MILLISECOND
from .detection_bounds import detection_bounds

_FATAL = frozenset({"full", "read_only", "broken", "failing", "lying"})
"""Fields of a disk's `Trouble` that may stop a node or make it forget; a slow or stuck disk does neither."""

_FORGETS = frozenset({"decay", "wipe", "replace-disk"})
_DAMAGES = frozenset({"decay", "replace-disk", "fail-fsync"})

_CHANGES = frozenset({"voters", "transfer"})

LATE_NS = 10 * MILLISECOND
"""A request is overdue this long after its deadline by the node's own clock, if the node ran then and runs for half as long again without answering
it. A loop turn takes 2 ms at most.
"""

_DISTURBS = frozenset({"pause", "resume", "starve"})
"""What may have kept a node from running: requests that are open then are not judged."""


class Witness:
    """Observer of one simulated run, from before its begin."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster
        self._damaged_ns: dict[str, int] = {}
        self._slowed: set[str] = set()
        self._starved: set[str] = set()
        self._forgot_ns: int | None = None
        self._open: dict[str, dict[tuple[str, Any], _Open]] = {name: {} for name in cluster.nodes}
        self._unanswered: list[dict[str, Any]] = []
        self._asked: dict[tuple[str, str, Any], dict[str, Any]] = {}
        """By node, client and number: changes that administrators requested."""
        self._administered: list[dict[str, Any]] = []
        if cluster.options.fsync_error_ppm:
            self._damaged_ns = dict.fromkeys(cluster.nodes, 0)
        cluster.deed_watchers.append(self._deed)
        cluster.event_watchers.append(self._event)
        cluster.effect_watchers.append(self._effects)

    def truth(self, start_ns: int, calm: bool) -> dict[str, Any]:
        """Return the truth as JSON values. Run time 0 is `start_ns` of virtual time. `calm`: whether the network was calm from the heal on."""
        options, nodes = self._cluster.options, self._cluster.nodes.values()
        settle_ns = options.stall_timeout_ns + options.connect_timeout_ns + options.retransmit_max_ns
        return {
            "damaged_ns": {node: at_ns - start_ns for node, at_ns in self._damaged_ns.items()},
            "forgot_ns": None if self._forgot_ns is None else self._forgot_ns - start_ns,
            "heartbeat_ns": max(node.config.timing.heartbeat_ns for node in nodes),
            "election_ns": max(node.config.timing.election_max_ns for node in nodes),
            "settle_ns": settle_ns + 4 * options.redial_mean_ns,
            "snapshot_threshold": max(node.config.snapshot_threshold for node in nodes),
            "slowed": sorted(self._slowed),
            **detection_bounds([node.config.membership for node in nodes]),
            "datagrams_lossless": not (
                options.datagram_loss_ppm or options.datagram_reorder_ppm or options.overtake_ns
            ),
            "fair": not options.overtake_ns
            and all(options.keeps_time(node.config.timing.election_min_ns) for node in nodes),
            "calm": calm,
            # A late message may have no other copy: then it is lost for a few elections.
            "lossless": not (options.loss_ppm or options.reorder_ppm or options.late_ppm or options.overtake_ns),
            "unanswered": [_in_run_time(one, start_ns) for one in self._unanswered],
            "administered": [_in_run_time(one, start_ns) for one in self._administered],
        }

    def _deed(self, verb: str, *operands: Any) -> None:
        node = operands[0] if operands else ""
        now_ns = self._cluster.now_ns
        fatal = verb in _DAMAGES or (verb == "trouble" and operands[1] in _FATAL)
        if fatal:
            self._damaged_ns.setdefault(node, now_ns)
        if fatal or verb in ("trouble", "stall-disk"):
            self._slowed.add(node)
        if verb in _DISTURBS:
            self._open[node] = {}
        if verb == "starve":
            (self._starved.add if operands[1] < ONE_MILLION else self._starved.discard)(node)
        if verb in _FORGETS or (verb == "trouble" and operands[1] == "lying"):
            self._forgot_ns = now_ns if self._forgot_ns is None else self._forgot_ns

    def _event(self, node: str, event: Event) -> None:
        kind = type(event)
        if kind is Request:
            body = event.body  # type: ignore[union-attr]
            deadline_ms = body.get("deadline_ms", DEADLINE_MS) if isinstance(body, Mapping) else None
            if isinstance(deadline_ms, int):
                now_ns = self._cluster.now_ns
                # Agent memory checks its deadlines once per tick.
                deadline_ns = deadline_ms * MILLISECOND + (TICK_NS if "memory" in body else 0)
                asked = _Open(_what(body), now_ns, now_ns + deadline_ns, self._mono_ns(node) + deadline_ns)
                self._open[node][event.client, body.get("id")] = asked  # type: ignore[union-attr]
                if body.get("admin") in _CHANGES:
                    self._administer(node, (node, event.client, body.get("id")), body)  # type: ignore[union-attr]
        elif kind is ClientGone:
            gone = event.client  # type: ignore[union-attr]
            self._overdue(node)
            self._open[node] = {key: asked for key, asked in self._open[node].items() if key[0] != gone}
        elif kind is Start:
            self._open[node] = {}

    def _effects(self, node: str, effects: Sequence[Effect]) -> None:
        waiting = self._open[node]
        if not waiting:
            return
        for effect in effects:
            if type(effect) is Reply:
                waiting.pop((effect.client, effect.body.get("id")), None)
                if self._asked:
                    self._answered((node, effect.client, effect.body.get("id")), effect.body)
        self._overdue(node)

    def _overdue(self, node: str) -> None:
        """Keep the requests that the node should have answered in an earlier step than this one."""
        waiting, now_ns, mono_ns = self._open[node], self._cluster.now_ns, self._mono_ns(node)
        for key in [key for key, asked in waiting.items() if asked.is_late(mono_ns)]:
            asked = waiting.pop(key)
            if node not in self._slowed and node not in self._starved:
                found = {"node": node, "what": asked.what, "at_ns": asked.at_ns, "deadline_ns": asked.deadline_ns}
                self._unanswered.append({**found, "late_ns": now_ns})

    def _mono_ns(self, node: str) -> int:
        return self._cluster.nodes[node].clock.mono_ns(self._cluster.now_ns)

    def _administer(self, node: str, key: tuple[str, str, Any], body: Mapping[str, Any]) -> None:
        asked = {"node": node, "what": body["admin"], "at_ns": self._cluster.now_ns, "voters": body.get("voters", {})}
        self._asked[key] = asked
        self._administered.append(asked)

    def _answered(self, key: tuple[str, str, Any], body: Mapping[str, Any]) -> None:
        asked = self._asked.pop(key, None)
        if asked is not None:
            asked |= {
                "answered_ns": self._cluster.now_ns,
                **{name: body.get(name) for name in ("status", "error", "index")},
            }


def _in_run_time(fields: Mapping[str, Any], start_ns: int) -> dict[str, Any]:
    return {
        name: value - start_ns if name.endswith("_ns") and value is not None else value
        for name, value in fields.items()
    }


class _Open:
    """A request under way. It is late when the node took two steps after its deadline (`due_ns` by its own clock), well apart, and answered in neither."""

    __slots__ = ("at_ns", "deadline_ns", "due_ns", "seen_late_ns", "what")

    def __init__(self, what: str, at_ns: int, deadline_ns: int, due_ns: int) -> None:
        self.what, self.at_ns, self.deadline_ns, self.due_ns = what, at_ns, deadline_ns, due_ns
        self.seen_late_ns: int | None = None

    def is_late(self, mono_ns: int) -> bool:
        if mono_ns < self.due_ns + LATE_NS:
            return False
        if self.seen_late_ns is None:
            self.seen_late_ns = mono_ns
        return mono_ns >= self.seen_late_ns + LATE_NS // 2


def _what(body: Any) -> str:
    """Return the request in a word or two."""
    for word in ("admin", "memory", "do", "view"):
        if isinstance(body.get(word), str):
            return body[word] if word == "do" else f"{word} {body[word]}"
    if body.get("open"):
        return "open"
    return "read" if all(op and op[0] == "r" for op in body.get("ops") or ()) else "write"
