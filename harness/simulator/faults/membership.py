"""Voters that leave through the log and come back, some on an empty disk or as new members."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tribulation.node.core.records.lifecycle import REMOVED

from ...errors import FaultError
from ...nemesis.faults.fault import Observation, Resolved
from ...nemesis.faults.targets import may_leave
from ...systems.reference.forgotten import forgotten_log
from ..cluster.node import Process
from ..options import MILLISECOND
from .departure import Departure, Return, members_seen
from .ground import BOOT_NS, Ground, Then
from .reconfigure import DEADLINE_NS, Reconfiguration

AGAIN_NS = 200 * MILLISECOND
Moved = Callable[["FaultError | None"], None]


@dataclass(frozen=True, slots=True)
class _Move:
    """Weights to move to, and the callback for the result: done, or why not. `leaves`: the nodes must not be members at all."""

    ident: str
    weights: Mapping[str, int]
    deadline_ns: int
    then: Moved
    leaves: bool = False


class MembershipFaults:
    """Faults of membership. What its own heal cannot bring back, the final one does. `_left` are the nodes that left, or were to leave, by fault."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._situation, self._away = ground, ground.situation, ground.away
        self._left: dict[str, list[str]] = {}
        self._moves: deque[_Move] = deque()

    def inject(self, fault: Resolved, then: Then) -> None:
        nodes, leaves = list(fault.what["nodes"]), fault.what["action"] == "leave"
        self._away[fault.intent.id] = dict(fault.what["weights"])
        if leaves:
            self._left[fault.intent.id] = nodes

        def gone(error: FaultError | None) -> None:
            if error is not None:
                then(error)
            elif leaves:
                self._stop(fault.intent.id, nodes, then)
            elif fault.what["action"] == "replace" and (voting := self._voting(nodes)):
                # A voter's disk is part of what a quorum knows: it is never taken while a vote may depend on it.
                then(FaultError(f"{', '.join(voting)} keeps its disk: it votes again", "what else changes voters?"))
            elif fault.what["action"] == "replace":
                self._replace(nodes, then)
            else:
                then(self._seen(dict.fromkeys(nodes, 0)))

        self._move(f"{fault.intent.id}-out", dict.fromkeys(nodes, 0), gone, leaves)

    def heal(self, fault: Resolved, then: Then) -> None:
        weights, left = dict(fault.what["weights"]), self._left.get(fault.intent.id, [])

        def back(error: FaultError | None) -> None:
            if error is None:
                self._away.pop(fault.intent.id, None)
                self._left.pop(fault.intent.id, None)
            then(error or self._seen(weights, members=left))

        def joined(error: FaultError | None) -> None:
            if error is None:
                self._move(f"{fault.intent.id}-back", weights, back)
            else:
                then(error)

        self._ground.start(self._ground.down.pop(fault.intent.id, []))
        self._rejoin(left, joined)

    def forget(self) -> None:
        """Do nothing: changes in the log are undone through the log (`bring_back`)."""

    def bring_back(self, then: Callable[[FaultError | None], None]) -> None:
        """Bring back all that are still away, when everything else is healed."""
        weights = {node: weight for away in self._away.values() for node, weight in away.items()}
        left = [node for nodes in self._left.values() for node in nodes]
        away, gone = dict(self._away), dict(self._left)
        self._away.clear()
        self._left.clear()

        def back(error: FaultError | None) -> None:
            if error is not None:
                # The next try must find them.
                self._away.update(away)
                self._left.update(gone)
            then(error)

        def joined(error: FaultError | None) -> None:
            if error is None and weights:
                self._move("all-back", weights, back)
            else:
                back(error)

        self._rejoin(left, joined)

    def _rejoin(self, nodes: list[str], then: Moved) -> None:
        """Wait until all of them are members again."""
        if nodes:
            deadline_ns = self._ground.cluster.now_ns + DEADLINE_NS
            Return(
                self._ground.cluster, nodes, deadline_ns, lambda: self._situation().leader, self._revive, then
            ).look()
        else:
            then(None)

    def _revive(self, node: str) -> None:
        """Restart a process that was removed after its fault had been given up: it cannot be a member again in this life."""
        cluster = self._ground.cluster
        line = cluster.latest[node].get("lifecycle")
        own = line is not None and line["incarnation"] == cluster.nodes[node].incarnation
        if own and line is not None and line["to"] == REMOVED and node in cluster.up:
            cluster.kill(node)
            self._ground.start([node])

    def _move(self, ident: str, weights: Mapping[str, int], then: Moved, leaves: bool = False) -> None:
        """Make one change at a time: two would undo each other."""
        self._queue(_Move(ident, weights, self._ground.cluster.now_ns + DEADLINE_NS, then, leaves))

    def _queue(self, move: _Move) -> None:
        self._moves.append(move)
        if len(self._moves) == 1:
            self._ask(move)

    def _ask(self, move: _Move) -> None:
        cluster = self._ground.cluster
        staying = self._needed(move)
        if staying:
            # Not within this call, and after the others, which may bring voters back.
            error = FaultError(
                f"{', '.join(staying)} cannot leave the voters: too few would stay and be up",
                "have fewer leave at a time",
            )
            late = cluster.now_ns >= move.deadline_ns
            cluster.schedule(cluster.now_ns + AGAIN_NS, self._ended, move, error if late else None, not late)
            return

        def leader() -> str | None:
            return self._situation().leader

        def ended(error: FaultError | None) -> None:
            self._ended(move, error)

        if move.leaves:
            nodes = list(move.weights)
            Departure(
                cluster, move.ident, nodes, move.deadline_ns, leader, lambda: self._situation().voters, ended
            ).ask()
            return
        Reconfiguration(
            cluster,
            move.ident,
            lambda: {**self._situation().voters, **move.weights},
            move.deadline_ns,
            leader,
            ended,
        ).ask()

    def _ended(self, move: _Move, error: FaultError | None, again: bool = False) -> None:
        self._moves.popleft()
        if again:
            self._moves.append(move)
        if self._moves:
            self._ask(self._moves[0])
        if not again:
            move.then(error)

    def _needed(self, move: _Move) -> list[str]:
        """Return the nodes that could be spared when the fault was resolved, and cannot now: others may have left, or died, since."""
        situation = self._situation()
        leaving = [node for node, held in move.weights.items() if situation.voters.get(node, 0) and not held]
        away = {node: held for weights in self._away.values() for node, held in weights.items() if node not in leaving}
        return [] if may_leave(leaving, situation, away) == leaving else leaving

    def _voting(self, nodes: list[str]) -> list[str]:
        return [node for node in nodes if self._situation().voters.get(node, 0)]

    def _replace(self, nodes: list[str], then: Then) -> None:
        ground, cluster = self._ground, self._ground.cluster
        for node in nodes:
            cluster.kill(node)
            cluster.replace_disk(node, forgotten_log())
        left = {node: sorted(cluster.nodes[node].disk.files()) for node in nodes}
        ground.start(nodes)

        def judged() -> Observation:
            held = [node for node in nodes if ground.is_held(node)]
            running = ground.processes([node for node in nodes if node not in held], Process.RUNNING)
            voters = self._seen(dict.fromkeys(nodes, 0))
            emptied = all(files == sorted(forgotten_log()) for files in left.values())
            return Observation(
                emptied and running.verified and voters.verified,
                {**voters.observed, "replaced": nodes, **running.observed},
            )

        ground.later(BOOT_NS, then, judged)

    def _stop(self, ident: str, nodes: list[str], then: Then) -> None:
        """Stop a removed node: it must not run."""
        ground = self._ground
        for node in nodes:
            ground.cluster.kill(node)
        ground.down[ident] = nodes

        def judged() -> Observation:
            voters, down = self._seen(dict.fromkeys(nodes, 0)), ground.processes(nodes, Process.DOWN, Process.HALTED)
            return Observation(voters.verified and down.verified, {**voters.observed, "left": nodes, **down.observed})

        ground.later(BOOT_NS, then, judged)

    def _seen(self, weights: Mapping[str, int], members: Sequence[str] = ()) -> Observation:
        situation = self._situation()
        now, here = situation.voters, members_seen(self._ground.cluster, situation.leader)
        right = all(now.get(node, 0) == held for node, held in weights.items()) and all(
            node in here for node in members
        )
        return Observation(right, {"voters": dict(now), **({"members": sorted(here)} if members else {})})
