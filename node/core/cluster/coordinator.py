"""Coordination of agents by the leader. It places agents of failed hosts again, moves agents away from members that leave, balances utilisation, and
transfers the leadership to the preferred node.

It works only while this node leads, and only proposes. Each command names the epoch that it starts from, so a late proposal of a former leader has no
effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.cluster import AgentsConfig
from ...config.node import MS, NodeConfig
from ..interface.machine import Member
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import Changed, Detected, LeaderChanged, Submit, Submitted, Transfer, Withdraw
from ..records.capacity import Record, orphaned, target_lost
from .balance import plan_departures, plan_moves, plan_respawns

LOOK = "coordinator/look"
BALANCE = "coordinator/balance"
LOOK_NS = 500 * MS
TRANSFER_NS = 5_000 * MS
"""Time between two attempts to transfer the leadership."""
FIRST_TOKEN = -2_000_000_000


class Coordinator(Member):
    name = "coordinator"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        self._me = config.node
        self._preferred = config.preferred
        self._config = config.agents or AgentsConfig()
        self._out = out
        self._leads = False
        self._members: Mapping[str, Record] = {}
        self._agents: Mapping[str, Record] = {}
        self._beliefs: dict[str, tuple[int, str]] = {}
        """By member: incarnation and the detector's belief about it."""
        self._saved: dict[str, tuple[int, int, tuple[int, Any]]] = {}
        """By agent: the number of its last checkpoint, when that was seen here, and its placement."""
        self._proposals: dict[str, int] = {}
        """Submitted and unanswered commands, by key: the agent's epoch."""
        self._plan: list[tuple[str, str, int]] = []
        """Moves of the balancing under way: agent, destination, and the epoch that the agent had."""
        self._stale = False
        """Whether something changed since the last planning."""
        self._transfer_ns: int | None = None
        self._token = FIRST_TOKEN
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Changed: self._on_changed,
            LeaderChanged: self._on_leader,
            Detected: self._on_detected,
            Submitted: self._on_submitted,
        }

    def on_timer(self, now_ns: int, key: str) -> None:
        if not self._leads:
            return
        if key == LOOK:
            self._out.set_timer(LOOK, now_ns + LOOK_NS)
            self._stale = True
            self._follow_preferred(now_ns)
        elif key == BALANCE:
            self._out.set_timer(BALANCE, now_ns + self._config.balance_ns)
            self._balance()

    def flush(self, now_ns: int) -> None:
        if self._leads and self._stale:
            self._stale = False
            self._look(now_ns)

    def status(self) -> dict[str, Any]:
        return {"balancing": len(self._plan)}

    def check(self) -> None:
        assert self._leads or not (self._proposals or self._plan)

    def fingerprint(self) -> Any:
        return [self._leads, self._beliefs, self._saved, self._proposals, self._plan, self._transfer_ns]

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app == "members":
            self._members = signal.view
            for name in signal.ids:
                if name not in signal.view:
                    self._beliefs.pop(name, None)
            self._stale = True
        elif signal.app == "agents":
            self._agents = signal.view
            for agent in signal.ids:
                self._note(now_ns, agent)

    def _note(self, now_ns: int, agent: str) -> None:
        """Record changes. Checkpoints are frequent and change no plan, so only their time is recorded."""
        record = self._agents.get(agent)
        if record is None:
            self._saved.pop(agent, None)
            self._stale = True
            return
        number, place = record["checkpoint"]["number"], (record["epoch"], record["moving"])
        known = self._saved.get(agent)
        if known is None or known[2] != place:
            self._stale = True
        if known is None or known[0] != number:
            self._saved[agent] = (number, now_ns, place)
        else:
            self._saved[agent] = (number, known[1], place)

    def _on_leader(self, now_ns: int, signal: LeaderChanged) -> None:
        if signal.here == self._leads:
            return
        self._leads = self._stale = signal.here
        self._plan = []
        if signal.here:
            self._transfer_ns = None
            self._out.set_timer(LOOK, now_ns + LOOK_NS)
            if self._config.balance_ns:
                self._out.set_timer(BALANCE, now_ns + self._config.balance_ns)
            return
        for key in self._proposals:
            self._out.emit(Withdraw(key))
        self._proposals.clear()
        self._out.cancel_timer(LOOK)
        self._out.cancel_timer(BALANCE)

    def _on_detected(self, now_ns: int, signal: Detected) -> None:
        self._beliefs[signal.name] = (signal.incarnation, signal.belief)

    def _on_submitted(self, now_ns: int, signal: Submitted) -> None:
        """Handle the answer to a command. A refused one is planned again when something changes, or at the next planning; balancing goes on without it."""
        if self._proposals.pop(signal.key, None) is not None and signal.result["status"] != "ok":
            agent = signal.key.rpartition("/")[2]
            self._plan = [move for move in self._plan if move[0] != agent]

    def _look(self, now_ns: int) -> None:
        members, agents = self._members, self._agents
        for agent, to in plan_respawns(members, agents):
            number, seen_ns, _ = self._saved[agent]
            lost = {"checkpoint": number, "age_ns": now_ns - seen_ns}
            self._propose("respawn", agent, to=to, lost=lost)
        for agent, record in agents.items():
            if target_lost(record, members) and not orphaned(record, members):
                self._propose("cancel", agent, since=record["moving"]["since"])
        for agent, to in plan_departures(members, agents):
            self._propose("move", agent, to=to)
        self._go_on_balancing()

    def _balance(self) -> None:
        if not self._plan:
            moves = plan_moves(self._members, self._agents, self._config.balance_percent)
            self._plan = [(agent, to, self._agents[agent]["epoch"]) for agent, to in moves]
            self._go_on_balancing()

    def _go_on_balancing(self) -> None:
        """Submit the next moves of the plan, one at a time from one member to another. A plan that no longer matches the state is dropped."""
        if not self._plan:
            return
        left = []
        busy = {(r["host"], r["moving"]["to"]): None for r in self._agents.values() if r["moving"] is not None}
        for agent, to, epoch in self._plan:
            record = self._agents.get(agent)
            if record is None or record["epoch"] != epoch or orphaned(record, self._members):
                continue
            pair = (record["host"], to)
            if record["moving"] is not None:
                continue
            if pair not in busy:
                self._propose("move", agent, to=to)
            busy[pair] = None
            left.append((agent, to, epoch))
        self._plan = left

    def _propose(self, verb: str, agent: str, **fields: Any) -> None:
        """Submit the command, unless it is under way for this epoch already."""
        key, epoch = f"{self.name}/{verb}/{agent}", self._agents[agent]["epoch"]
        if self._proposals.get(key) != epoch:
            self._proposals[key] = epoch
            self._out.emit(Submit(key, [f"agents.{verb}", {"agent": agent, "epoch": epoch, **fields}]))

    def _follow_preferred(self, now_ns: int) -> None:
        """Transfer the leadership to the preferred node whenever it is believed to be up."""
        name = self._preferred
        if not self._config.follow_preferred or name is None or name == self._me:
            return
        member = self._members.get(name)
        if member is None or member["state"] != "ACTIVE":
            return
        belief = self._beliefs.get(name)
        if belief is not None and belief != (member["incarnation"], "alive"):
            return
        if self._transfer_ns is None or now_ns - self._transfer_ns >= TRANSFER_NS:
            self._transfer_ns = now_ns
            self._token -= 1
            self._out.emit(Transfer(self._token, name))
