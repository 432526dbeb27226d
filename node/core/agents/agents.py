"""Agents on their host. This machine runs the agents that the log placed on this process, saves their state, and migrates them when the log says so.

The log decides and this machine follows: an agent is here while the replicated placement names this node, in this incarnation. The agent may work
only while this node is also in contact with a quorum. Otherwise the others may have marked the node as failed and placed its agents again. After a
loss of quorum, and at the start, the machine requests a read index and lets agents work only when everything up to it is applied and the agent is
still here. A log that a node replays, or receives late, contains many outdated placements.

`AgentsHere` lists the agents that may work. A machine that sees an agent leave the list stops the work of that agent at once: work that an agent does
while it is not listed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ...config.cluster import AgentsConfig, Capacity
from ...config.node import MS, NodeConfig
from ...flaws.switch import Flaws
from ..interface.cluster_messages import AgentAck, AgentPiece
from ..interface.events import Connected, Disconnected
from ..interface.machine import Member
from ..interface.messages import Message
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import (
    AgentsHere,
    AgentWork,
    Applied,
    Changed,
    QuorumLost,
    QuorumRegained,
    ReadReady,
    ReadRequest,
    Restore,
    Submit,
    Submitted,
    Withdraw,
)
from ..records.agent_state import STATE_CHARACTERS, Placements, changes_problem
from ..records.capacity import places
from .live import Live
from .migration import RESEND_NS
from .moving import Moves

CHECKPOINT = "agents/checkpoint"
MIGRATE = "agents/migrate"
CONFIRM = "agents/confirm"
CONFIRM_NS = 500 * MS
REPORTED_AT_ONCE = 64
"""Agents in one `agents.started`, at most."""
FIRST_TOKEN = -1_000_000_000
"""Tokens of this machine's reads: below those of all other machines."""

Record = Mapping[str, Any]


class Agents(Member):
    name = "agents"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        self._me = config.node
        self._config = config.agents or AgentsConfig()
        self._capacity = asdict(config.membership.capacity if config.membership is not None else Capacity())
        self._flaws = Flaws.from_names(config.flaws)
        self._out = out
        self._incarnation = incarnation
        self._view = Placements()
        self._live: dict[str, Live] = {}
        self._moves = Moves(config.node, out, self._flaws, self._save)
        self._announced: dict[str, int] = {}
        """The last `AgentsHere`."""
        self._suspended = True
        self._contact = True
        self._asked = False
        """Whether a read index was requested since the quorum was lost."""
        self._token = self._void_token = FIRST_TOKEN
        """Token of the last read, and of the last one before the quorum was lost. They count down."""
        self._resume_at: int | None = None
        """Index that must be applied before work goes on."""
        self._applied = 0
        self._reports = 0
        self._registered = False
        self._migrating = False
        """Whether the timer of migrations is set."""
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Changed: self._on_changed,
            Applied: self._on_applied,
            Restore: self._on_restore,
            QuorumLost: self._on_quorum_lost,
            QuorumRegained: self._on_quorum_regained,
            ReadReady: self._on_read_ready,
            AgentWork: self._on_work,
            Submitted: self._on_submitted,
        }

    def start(self, now_ns: int) -> None:
        """Trace the capacity and start the checkpoint timer. No agent of an earlier incarnation runs here."""
        self._out.trace("capacity", places=places({"capacity": self._capacity}), **self._capacity)
        self._out.set_timer(CHECKPOINT, now_ns + self._config.checkpoint_ns)

    def on_message(self, now_ns: int, peer: str, message: Message) -> None:
        if isinstance(message, AgentPiece):
            self._moves.on_piece(peer, message)
        elif isinstance(message, AgentAck):
            self._moves.on_ack(now_ns, peer, message)
            self._go_on(now_ns)

    def on_timer(self, now_ns: int, key: str) -> None:
        if key == CHECKPOINT:
            self._out.set_timer(CHECKPOINT, now_ns + self._config.checkpoint_ns)
            for live in self._live.values():
                self._save(live)
        elif key == MIGRATE:
            self._migrating = False
            self._moves.on_timer(now_ns)
            self._go_on(now_ns)
        elif key == CONFIRM:
            self._asked = False

    def on_connection(self, now_ns: int, event: Connected | Disconnected) -> None:
        if isinstance(event, Connected):
            self._moves.on_connected(now_ns, event.peer)

    def flush(self, now_ns: int) -> None:
        """Resume the agents if a quorum allows it, after all signals of the step are handled."""
        if self._suspended and self._contact:
            if self._resume_at is None:
                self._ask(now_ns)
            elif self._applied >= self._resume_at:
                self._suspended, self._resume_at = False, None
                self._go_on(now_ns)
        if self._moves.outgoing and not self._migrating:
            self._migrating = True
            self._out.set_timer(MIGRATE, now_ns + RESEND_NS)

    def status(self) -> dict[str, Any]:
        return {
            "agents_running": len(self._announced),
            "agents_suspended": self._suspended,
            "agents_migrating": len(self._moves.outgoing),
        }

    def check(self) -> None:
        for agent, epoch in self._announced.items():
            assert agent in self._live and self._live[agent].epoch == epoch, agent
        assert not (self._suspended and self._announced) or self._flaws.two_hosts_after_switch, self._announced
        for agent, live in self._live.items():
            record = self._view[agent]
            assert (record["host"], record["incarnation"]) == (self._me, self._incarnation), record
            assert record["epoch"] == live.epoch, record
            assert not live.paused or agent in self._moves.outgoing, agent

    def fingerprint(self) -> Any:
        live = [[a.agent, a.epoch, a.state.digest, list(a.dirty), a.number, len(a.batch)] for a in self._live.values()]
        return [live, self._moves.fingerprint(), self._announced, self._suspended, self._token, self._resume_at]

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app == "members":
            self._registered = self._me in signal.view
        if signal.app != self.name:
            return
        assert isinstance(signal.view, Placements)
        self._view = signal.view
        for agent in signal.ids:
            self._reconcile(now_ns, agent)
        self._announce(now_ns)
        self._go_on(now_ns)

    def _reconcile(self, now_ns: int, agent: str) -> None:
        """Make the agents here match the present placement, whatever happened in between."""
        record, live = self._view.get(agent), self._live.get(agent)
        here = record is not None and (record["host"], record["incarnation"]) == (self._me, self._incarnation)
        if live is not None and not (record is not None and here and record["epoch"] == live.epoch):
            self._drop(now_ns, live, record)
            live = None
        if record is not None and here:
            if live is None:
                live = self._live[agent] = self._place(now_ns, agent, record)
            self._moves.follow_source(now_ns, live, record["moving"])
        self._moves.follow_target(agent, record, self._incarnation)

    def _place(self, now_ns: int, agent: str, record: Record) -> Live:
        """Place the agent, from what a migration brought or from the last checkpoint."""
        saved, number = self._view.saved[agent], record["checkpoint"]["number"]
        brought = self._moves.take(agent, record)
        live = Live(agent, record["epoch"], brought or saved.copy(), number, now_ns)
        first = "checkpoint" if record["respawns"] or record["moves"] else "spawn"
        origin = first if brought is None else "migration"
        self._out.trace("agent-placed", agent=agent, epoch=live.epoch, origin=origin, digest=live.state.digest)
        if brought is not None:
            live.dirty = dict.fromkeys(brought.differing(saved))
            self._save(live)
        return live

    def _drop(self, now_ns: int, live: Live, record: Record | None) -> None:
        """Remove the agent: it is no longer here, or has another epoch."""
        handed_over = self._moves.end_source(now_ns, live, record)
        if live.unsaved and not handed_over and record is not None:
            number = record["checkpoint"]["number"]
            self._out.trace("agent-lost", agent=live.agent, epoch=live.epoch, keys=live.unsaved, checkpoint=number)
        if not self._flaws.agent_epoch_unchecked:
            self._out.emit(Withdraw(f"{CHECKPOINT}/{live.agent}"))
        del self._live[live.agent]

    def _announce(self, now_ns: int) -> None:
        """Emit which agents may work, if that changed."""
        running = {live.agent: live.epoch for live in self._live.values() if self._may_work(live)}
        before = self._announced
        if running == before:
            return
        for agent, epoch in before.items():
            if running.get(agent) != epoch:
                suspended = self._suspended and agent in self._live
                self._out.trace("agent-suspended" if suspended else "agent-stopped", agent=agent, epoch=epoch)
        for agent, epoch in running.items():
            if before.get(agent) != epoch:
                self._out.trace("agent-started", agent=agent, epoch=epoch)
        self._report(now_ns, [self._live[agent] for agent in running])
        self._announced = running
        self._out.emit(AgentsHere(running, {agent: self._live[agent].state.data for agent in running}))

    def _may_work(self, live: Live) -> bool:
        return live.resumed or not (live.paused or self._suspended)

    def _report(self, now_ns: int, running: list[Live]) -> None:
        """Record in the log that these agents run, all of a step with one command, because each entry goes to every node."""
        fresh = [live for live in running if not live.reported]
        for first in range(0, len(fresh), REPORTED_AT_ONCE):
            some = fresh[first : first + REPORTED_AT_ONCE]
            for live in some:
                live.reported = True
            self._reports += 1
            started = {live.agent: [live.epoch, now_ns - live.placed_ns] for live in some}
            self._out.emit(Submit(f"agents/started/{self._reports}", ["agents.started", {"agents": started}]))

    def _go_on(self, now_ns: int) -> None:
        """Advance every migration as far as possible now."""
        if not self._suspended:
            self._moves.go_on(now_ns)
        self._announce(now_ns)

    def _on_work(self, now_ns: int, signal: AgentWork) -> None:
        live = self._live.get(signal.agent)
        problem = self._work_problem(live, signal)
        if live is None or problem is not None:
            self._out.trace("agent-work-refused", agent=signal.agent, epoch=signal.epoch, why=problem)
            return
        live.work(signal.changes)
        self._moves.changed(signal.agent, signal.changes)

    def _work_problem(self, live: Live | None, work: AgentWork) -> str | None:
        here = self._announced.get(work.agent)
        if live is None or here is None:
            return "it does not run here"
        if here != work.epoch and not self._flaws.agent_epoch_unchecked:
            return f"its epoch is {here}"
        problem = changes_problem(work.changes)
        if problem is None and live.state.characters > STATE_CHARACTERS:
            return f"its state has {live.state.characters} characters already"
        return problem

    def _save(self, live: Live) -> None:
        if live.begin_checkpoint():
            self._submit_piece(live)

    def _submit_piece(self, live: Live) -> None:
        self._out.emit(Submit(f"{CHECKPOINT}/{live.agent}", ["agents.checkpoint", live.checkpoint()]))

    def _on_submitted(self, now_ns: int, signal: Submitted) -> None:
        machine, _, rest = signal.key.partition("/")
        if machine != self.name:
            return
        purpose, _, agent = rest.partition("/")
        live = self._live.get(agent)
        if purpose == "checkpoint":
            self._on_saved(agent, live, signal)
        elif purpose == "switch" and live is not None and signal.result["status"] != "ok":
            self._moves.give_up(agent, str(signal.result.get("error")))

    def _on_saved(self, agent: str, live: Live | None, signal: Submitted) -> None:
        """Handle the result of one chunk of a checkpoint, perhaps of an agent that has left this node."""
        result = signal.result
        accepted = result["status"] == "ok"
        if accepted and result["whole"]:
            fields = {"epoch": result["epoch"], "number": result["number"], "index": signal.index}
            self._out.trace("agent-checkpoint", agent=agent, **fields)
        if live is None or not live.batch:
            return
        if not accepted:
            live.unsave(self._view[agent]["checkpoint"]["number"])
        elif (result["epoch"], result["number"]) == (live.epoch, live.number + 1):
            live.saved()
            if live.batch:
                self._submit_piece(live)

    def _on_quorum_lost(self, now_ns: int, signal: QuorumLost) -> None:
        self._contact = False
        if not self._flaws.host_outlives_lease:
            self._suspended, self._asked, self._resume_at = True, False, None
            self._void_token = self._token
            self._announce(now_ns)

    def _on_quorum_regained(self, now_ns: int, signal: QuorumRegained) -> None:
        self._contact = True

    def _ask(self, now_ns: int) -> None:
        """Request a read index as soon as this node is a member, and repeat it, because the answer may never come."""
        if self._asked or not (self._registered or self._live):
            return
        self._asked = True
        self._token -= 1
        self._out.emit(ReadRequest(self._token))
        self._out.set_timer(CONFIRM, now_ns + CONFIRM_NS)

    def _on_read_ready(self, now_ns: int, signal: ReadReady) -> None:
        if self._token <= signal.token < self._void_token and self._suspended and self._contact:
            self._resume_at = signal.index

    def _on_applied(self, now_ns: int, signal: Applied) -> None:
        self._applied = signal.entries[-1].index

    def _on_restore(self, now_ns: int, signal: Restore) -> None:
        self._applied = signal.index
