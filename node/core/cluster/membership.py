"""Membership of this node, and the leader's part in the membership of the others.

At the end of each step this machine computes the commands that it wants to see applied (`desires.py`); the submitter brings them to the log. It wants
commands about other members only while this node leads, and only from the beliefs of its own failure detector. A belief leads to a proposal and to
nothing else. A node that is no member receives no log, so it does not know the leader. It sends its join command to the voters that it found; the
leader among them accepts it.

A member that leaves stays until it hosts nothing and does not vote. Other nodes see that it is LEAVING, move its agents away and remove its vote. The
last voter leaves with its vote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ...config.node import MS, NodeConfig
from ...flaws.switch import Flaws
from ..interface.cluster_messages import SubmitCommand
from ..interface.entry import Command
from ..interface.machine import Member
from ..interface.outbox import Outbox
from ..interface.rng import Chance
from ..interface.signals import (
    Applied,
    Changed,
    Detected,
    Found,
    LeaderChanged,
    Restore,
    Submit,
    Submitted,
    VotersChanged,
    Withdraw,
)
from ..records.lifecycle import ACTIVE, DISCOVERING, FAILED, HERE, JOINING, LEAVING, REMOVED
from .desires import Belief, hosts_anything, join_command, leader_command, move, own_command, own_state, present

TIMER = "membership/again"
AGAIN_NS = 300 * MS
"""Retry delay after a command that changed nothing, or while no leader is known."""
JOINS = "membership/joins"
JOIN_NS = 60_000 * MS
"""Time from registration, as the leader saw it, for a new member to become active. After it the registration is taken back. A node that was only slow
registers again.
"""
OWN = "membership/own"
FOUND_LIMIT = 64


class Membership(Member):
    name = "membership"

    def __init__(self, config: NodeConfig, out: Outbox, incarnation: int, chance: Chance) -> None:
        options = config.membership
        assert options is not None
        self._me = config.node
        self._voters: Mapping[str, int] = config.voters
        """Weights of the voters, as far as this node has the log; a new node knows those that the cluster began with."""
        self._flaws = Flaws.from_names(config.flaws)
        self._out = out
        host, port = config.peers[config.node]
        self._own = {
            "name": config.node,
            "host": host,
            "port": port,
            "udp": options.udp_port,
            "role": options.role,
            "capacity": asdict(options.capacity),
            "incarnation": incarnation,
        }
        self._incarnation = incarnation
        self._members: Mapping[str, Mapping[str, Any]] = {}
        self._agents: Mapping[str, Mapping[str, Any]] = {}
        self._applied = 0
        self._leader: str | None = None
        self._leading = False
        self._was_member = False
        """In this life."""
        self._gone_since: int | None = None
        """When an earlier life was removed, as reported by a refusal that counts incarnations from further on."""
        self._state: str | None = None
        self._view: dict[str, int] | None = None
        self._beliefs: dict[str, Belief] = {}
        self._found: dict[str, Found] = {}
        self._removed: dict[str, None] = {}
        """Among the nodes that were found."""
        self._proposals: dict[str, Command] = {}
        """Commands that were submitted and not seen applied yet."""
        self._spent: dict[str, Command] = {}
        """Commands that were applied but are still wanted: they were refused, or changed nothing. They are not submitted again before the timer."""
        self._joins: dict[str, tuple[int, int]] = {}
        """While this node leads, by new member: `since` of its registration, and when this node saw that."""
        self._armed = False
        self._dirty = True
        self.signals: Mapping[type[Any], Callable[[int, Any], None]] = {
            Changed: self._on_changed,
            Applied: self._on_applied,
            Restore: self._on_restore,
            Detected: self._on_detected,
            LeaderChanged: self._on_leader,
            Found: self._on_found,
            VotersChanged: self._on_voters,
            Submitted: self._on_submitted,
        }

    def start(self, now_ns: int) -> None:
        self._note_state()

    def on_timer(self, now_ns: int, key: str) -> None:
        if key == JOINS:
            self._dirty = True
            return
        self._armed = False
        self._spent.clear()
        self._dirty = True
        proposal = self._proposals.get(OWN)
        if proposal is not None and self._leader is None:
            voters = [name for name in self._found if name in self._voters]
            for name in voters or self._found:
                self._out.send(name, SubmitCommand({"command": proposal}))

    def flush(self, now_ns: int) -> None:
        """Report changes and submit the wanted commands, after all signals of the step."""
        if self._dirty:
            self._dirty = False
            self._note_state()
            self._note_view()
            self._note_joins(now_ns)
            self._want(self._desires(now_ns))
        asking = OWN in self._proposals and self._leader is None
        if not self._armed and (self._spent or asking):
            self._armed = True
            self._out.set_timer(TIMER, now_ns + AGAIN_NS)

    def status(self) -> dict[str, Any]:
        return {"lifecycle": self._state, "members": len(self._members)}

    def check(self) -> None:
        assert len(self._found) <= FOUND_LIMIT
        assert self._leading or all(key == OWN for key in self._proposals), list(self._proposals)

    def fingerprint(self) -> Any:
        return [
            self._state,
            self._view,
            self._beliefs,
            self._proposals,
            self._spent,
            list(self._found),
            self._was_member,
            self._joins,
        ]

    def _on_changed(self, now_ns: int, signal: Changed) -> None:
        if signal.app == "members":
            self._members = signal.view
            own = signal.view.get(self._me)
            if own is not None and own["incarnation"] == self._incarnation and own["state"] != JOINING:
                self._was_member = True
            for name in signal.ids:
                record = signal.view.get(name)
                if record is None or record["state"] not in HERE:
                    # A member that comes back gets a new belief, in the same incarnation too.
                    self._beliefs.pop(name, None)
                if record is None and name in self._found:
                    self._removed[name] = None
            self._dirty = True
        elif signal.app == "agents":
            self._agents = signal.view
            # The place of agents matters to a member only when it wants to leave.
            self._dirty = self._dirty or self._state == LEAVING

    def _on_applied(self, now_ns: int, signal: Applied) -> None:
        self._applied = signal.entries[-1].index

    def _on_restore(self, now_ns: int, signal: Restore) -> None:
        self._applied = signal.index

    def _on_detected(self, now_ns: int, signal: Detected) -> None:
        self._beliefs[signal.name] = (signal.incarnation, signal.belief)
        self._dirty = True

    def _on_leader(self, now_ns: int, signal: LeaderChanged) -> None:
        self._leader, self._leading = signal.leader, signal.here
        self._dirty = True

    def _on_voters(self, now_ns: int, signal: VotersChanged) -> None:
        self._voters = signal.voters
        self._dirty = True

    def _on_found(self, now_ns: int, signal: Found) -> None:
        self._found.pop(signal.name, None)
        self._found[signal.name] = signal
        if len(self._found) > FOUND_LIMIT:
            oldest = next(iter(self._found))
            del self._found[oldest]
            self._removed.pop(oldest, None)
        self._dirty = True

    def _on_submitted(self, now_ns: int, signal: Submitted) -> None:
        command = self._proposals.pop(signal.key, None)
        if command is None:
            return
        self._dirty = True
        self._spent[signal.key] = command
        if signal.key == OWN and signal.result.get("error") == "stale-incarnation":
            self._gone_since = signal.result.get("since")

    def _note_state(self) -> None:
        state = own_state(self._members.get(self._me), self._incarnation, self._was_member)
        if state == self._state:
            return
        step: dict[str, Any] = {"from": self._state, "to": state}
        self._out.trace("lifecycle", **step)
        self._state = state

    def _note_view(self) -> None:
        """Trace the view. Its epoch is the index up to which this node has applied the log, so all nodes at that index have the same view."""
        view = present(self._members)
        if view != self._view and (view or self._view is not None):
            self._view = view
            self._out.trace("view", epoch=self._applied, members=view)

    def _note_joins(self, now_ns: int) -> None:
        """Record joins. The timer fires when the next new member has used up its time."""
        joining = self._members.items() if self._leading else ()
        before, self._joins = self._joins, {}
        for name, record in joining:
            if record["state"] == JOINING:
                since, seen_ns = before.get(name, (-1, now_ns))
                self._joins[name] = (record["since"], seen_ns if since == record["since"] else now_ns)
        due = [seen_ns + JOIN_NS for _, seen_ns in self._joins.values() if seen_ns + JOIN_NS > now_ns]
        if due:
            self._out.set_timer(JOINS, min(due))

    def _desires(self, now_ns: int) -> dict[str, Command]:
        """Wanted commands by key, about this node and, if it leads, about the others."""
        desires: dict[str, Command | None] = {OWN: self._own_desire()}
        if self._leading:
            for name, record in sorted(self._members.items()):
                silent = name in self._joins and now_ns - self._joins[name][1] >= JOIN_NS
                desires[f"membership/{name}"] = leader_command(name, record, self._belief(name, record), silent)
            if self._flaws.ghost_member:
                desires.update(self._ghosts())
        return {key: command for key, command in desires.items() if command is not None}

    def _own_desire(self) -> Command | None:
        if self._state == REMOVED:
            return None
        record = self._members.get(self._me)
        if record is not None and self._state not in (DISCOVERING, FAILED):
            return own_command(self._me, record, self._needed())
        if self._flaws.incarnation_not_bumped and record is not None:
            return ["members.join", self._own]
        return join_command(self._own, record, self._gone_since)

    def _needed(self) -> bool:
        """Return whether it may not leave yet: it hosts an agent, or votes and is not the last voter."""
        voters = [name for name, weight in self._voters.items() if weight > 0]
        return hosts_anything(self._me, self._agents) or (self._me in voters and len(voters) > 1)

    def _belief(self, name: str, record: Mapping[str, Any]) -> str | None:
        """Return the belief about a member. This node believes itself alive."""
        incarnation, belief = self._beliefs.get(name, (-1, None))
        if name == self._me:
            return "alive"
        return belief if incarnation == record["incarnation"] else None

    def _ghosts(self) -> dict[str, Command | None]:
        """Return, for the flaw `ghost-member`, the commands that register every reported node again, dead or not."""
        ghosts: dict[str, Command | None] = {}
        for name, found in self._found.items():
            record = self._members.get(name)
            if record is not None and record["state"] == JOINING:
                ghosts[f"membership/{name}"] = move(name, record, ACTIVE)
            elif name in self._removed if record is None else record["state"] == FAILED:
                life = found.incarnation + 1 if record is None else record["incarnation"] + 1
                where = {"host": found.host, "port": found.port, "udp": found.udp_port, "role": found.role}
                join = {**self._own, **where, "name": name, "incarnation": life}
                ghosts[f"membership/{name}"] = ["members.join", join]
        return ghosts

    def _want(self, desires: dict[str, Command]) -> None:
        self._spent = {key: command for key, command in self._spent.items() if desires.get(key) == command}
        for key in [key for key in self._proposals if key not in desires]:
            del self._proposals[key]
            self._out.emit(Withdraw(key))
        for key, command in desires.items():
            if command not in (self._proposals.get(key), self._spent.get(key)):
                self._proposals[key] = command
                self._out.emit(Submit(key, command))
