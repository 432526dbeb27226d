"""All migrations from and to one host, and their reactions to the log, to the other host and to the clock. `migration.py` has the steps of one
migration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ...config.node import MS
from ...flaws.switch import Flaws
from ..interface.cluster_messages import AgentAck, AgentPiece
from ..interface.outbox import Outbox
from ..interface.signals import Submit, Withdraw
from ..records.agent_state import KeyedState
from .live import Live
from .migration import RESEND_NS, Incoming, Outgoing, Phase

ROLL_BACK_NS = 100 * MS
"""Time that the flaw `two-hosts-after-switch` waits for the log."""
Record = Mapping[str, Any]


class Moves:
    """The migrations of one host. `save` begins a checkpoint of an agent, if there is something to save."""

    def __init__(self, me: str, out: Outbox, flaws: Flaws, save: Callable[[Live], None]) -> None:
        self._me = me
        self._out = out
        self._flaws = flaws
        self._save = save
        self.outgoing: dict[str, Outgoing] = {}
        self._incoming: dict[str, Incoming] = {}

    def follow_source(self, now_ns: int, live: Live, moving: Record | None) -> None:
        """Follow the log for an agent that is here; `moving` is the log's record of a migration away."""
        out = self.outgoing.get(live.agent)
        if out is not None and (moving is None or moving["since"] != out.since):
            self._out.trace("agent-move-cancelled", agent=live.agent, epoch=live.epoch, since=out.since)
            self._forget(live)
            out = None
        if moving is not None and out is None:
            self.outgoing[live.agent] = Outgoing(live, moving["to"], moving["since"], now_ns)
            self._save(live)

    def follow_target(self, agent: str, record: Record | None, incarnation: int) -> None:
        """Accept the state of an agent that is on its way to this process, and nothing else."""
        moving = None if record is None else record["moving"]
        held = self._incoming.get(agent)
        expected = moving is not None and (moving["to"], moving["incarnation"]) == (self._me, incarnation)
        if held is not None and not (expected and moving is not None and held.since == moving["since"]):
            del self._incoming[agent]
            held = None
        if expected and held is None and record is not None and moving is not None:
            self._incoming[agent] = Incoming(agent, record["epoch"], moving["since"], record["host"])
            self._out.send(record["host"], AgentAck(agent, moving["since"], 0, False))

    def take(self, agent: str, record: Record) -> KeyedState | None:
        """Return the state brought by the migration that ended with this placement."""
        held = self._incoming.get(agent)
        if held is None or not held.whole or held.since != record["switched"]:
            return None
        return held.state

    def end_source(self, now_ns: int, live: Live, record: Record | None) -> bool:
        """End the source's side: the agent is no longer here. Returns whether this migration took it away, so that nothing is lost."""
        out = self.outgoing.get(live.agent)
        if out is None:
            return False
        switched = record is not None and record["switched"] == out.since
        if switched and record is not None:
            pause_ns = now_ns - out.stood_ns
            shown: dict[str, Any] = {"agent": live.agent, "from": self._me, "to": out.to, "epoch": record["epoch"]}
            shown.update(pause_ns=pause_ns, bytes=out.characters, digest=live.state.digest)
            self._out.trace("agent-switched", **shown)
            fields = {"agent": live.agent, "since": out.since, "pause_ns": pause_ns}
            self._out.emit(Submit(f"agents/moved/{live.agent}", ["agents.moved", fields]))
        self._forget(live)
        return switched

    def changed(self, agent: str, keys: Iterable[str]) -> None:
        out = self.outgoing.get(agent)
        if out is not None and not self._flaws.migration_misses_late_changes:
            for key in keys:
                out.changed(key)

    def on_piece(self, peer: str, piece: AgentPiece) -> None:
        held = self._incoming.get(piece.agent)
        if held is not None and held.source == peer and held.take(piece):
            if self._flaws.migration_misses_late_changes:
                held.whole = held.whole or piece.last
            self._out.send(peer, AgentAck(held.agent, held.since, held.received, held.whole))

    def on_ack(self, now_ns: int, peer: str, ack: AgentAck) -> None:
        out = self.outgoing.get(ack.agent)
        if out is None or out.piece is None or (peer, ack.since) != (out.to, out.since):
            return
        if ack.received < out.number:
            if out.number == 1:
                self._send(now_ns, out)  # It came before the target knew of the migration.
            return
        last, out.piece, out.progress_ns = out.piece.last, None, now_ns
        if last and ack.whole and out.phase is Phase.STANDING:
            out.phase = Phase.SWITCHING
        elif last:
            self.give_up(ack.agent, "the target holds something else")

    def on_connected(self, now_ns: int, peer: str) -> None:
        """Continue after the last acknowledged chunk: a chunk in flight may be lost."""
        for out in self.outgoing.values():
            if out.to == peer and out.piece is not None and out.phase is not Phase.GIVEN_UP:
                self._send(now_ns, out)
        for held in self._incoming.values():
            if held.source == peer and not held.received:
                self._out.send(peer, AgentAck(held.agent, held.since, 0, False))

    def on_timer(self, now_ns: int) -> None:
        for agent, out in self.outgoing.items():
            if out.impatient(now_ns):
                self.give_up(agent, "the target does not answer")
            elif out.piece is not None and now_ns - out.sent_ns >= RESEND_NS and out.phase is not Phase.GIVEN_UP:
                self._send(now_ns, out)
            late = out.phase is Phase.SWITCHING and now_ns - out.progress_ns >= ROLL_BACK_NS
            if late and self._flaws.two_hosts_after_switch:
                out.live.resumed = True

    def go_on(self, now_ns: int) -> None:
        """Advance every migration as far as possible without an answer. Must be called only in contact with a quorum: one node alone must not pause
        or switch an agent.
        """
        for out in self.outgoing.values():
            if out.phase is Phase.COPYING and out.piece is None:
                if out.converged() or self._flaws.stop_and_copy:
                    out.phase = Phase.STANDING
                    out.stood_ns, out.live.paused = now_ns, True
                    self._out.trace("agent-standing", agent=out.live.agent, epoch=out.live.epoch, since=out.since)
                    self._save(out.live)
                out.next_piece()
                self._send(now_ns, out)
            elif out.phase is Phase.STANDING and out.piece is None:
                out.next_piece()
                self._send(now_ns, out)
            elif out.phase is Phase.SWITCHING:
                fields = {"agent": out.live.agent, "epoch": out.live.epoch, "to": out.to, "since": out.since}
                self._out.emit(Submit(f"agents/switch/{out.live.agent}", ["agents.switch", fields]))

    def give_up(self, agent: str, why: str) -> None:
        """Ask the log to end the migration. A switch may be on its way to the log too; the one that comes first in the log counts."""
        out = self.outgoing.get(agent)
        if out is None or out.phase is Phase.GIVEN_UP:
            return
        out.phase = Phase.GIVEN_UP
        self._out.trace("agent-move-given-up", agent=agent, epoch=out.live.epoch, to=out.to, why=why)
        fields = {"agent": agent, "epoch": out.live.epoch, "since": out.since}
        self._out.emit(Submit(f"agents/cancel/{agent}", ["agents.cancel", fields]))

    def fingerprint(self) -> Any:
        going = [[a, o.since, o.phase.value, o.number, len(o.pending), o.stood_ns] for a, o in self.outgoing.items()]
        coming = [[a, i.since, i.received, i.whole, i.state.digest] for a, i in self._incoming.items()]
        return [going, coming]

    def _send(self, now_ns: int, out: Outgoing) -> None:
        assert out.piece is not None
        out.sent_ns = now_ns
        self._out.send(out.to, out.piece)

    def _forget(self, live: Live) -> None:
        """Forget a migration that the log ended. After a cancel the agent works on."""
        del self.outgoing[live.agent]
        live.paused = live.resumed = False
        self._out.emit(Withdraw(f"agents/switch/{live.agent}"))
        self._out.emit(Withdraw(f"agents/cancel/{live.agent}"))
