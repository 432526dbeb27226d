"""The application `agents`: host and epoch of each agent, and the agent's state at its last checkpoint.

An agent's **epoch** is the index of the entry that placed it; it is the right to run the agent. Commands name the epoch that they start from, so the
second of two equal commands finds a later epoch and does nothing. A migration is named by the index of its `agents.move` (`since`). A late switch of
a cancelled migration can thus not be taken for the switch of the next migration to the same host, which does not hold the state yet.

A record, by agent:

    {"type": "code", "host": "n2", "incarnation": 1, "slot": 0, "epoch": 17, "state": "placed" | "running",
     "moving": null | {"to": "n3", "incarnation": 1, "slot": 4, "since": 31}, "switched": 0 or the `since` of the migration that brought it here,
     "checkpoint": {"number": 5, "keys": 3, "bytes": 120, "digest": "…"}, "lost": null | {"checkpoint": 5, "age_ns": …},
     "spawn_ns": null or how long the host took, "pause_ns": null or how long the last migration kept it from working, "moves": 1, "respawns": 0}

Records are replaced, never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...config.node import NodeConfig
from ...flaws.switch import Flaws
from ..interface.entry import canonical
from ..records.agent_state import KeyedState, Placements, Stage
from ..records.capacity import hosting, most_room, orphaned, places
from .placement_fields import FIELDS, fields_problem
from .pool import agent_view, hosts_view
from .replicated import Fields, done, refused, text_digest
from .sessions import Result

Record = dict[str, Any]


class Placement:
    name = "agents"
    commands = tuple(FIELDS)
    for_clients = ("agents.spawn", "agents.deploy", "agents.move", "agents.stop")
    sent_once = for_clients

    def __init__(self, config: NodeConfig, members_view: Mapping[str, Mapping[str, Any]]) -> None:
        self._flaws = Flaws.from_names(config.flaws)
        self._members = members_view
        self.view: Placements = Placements()
        self.fresh: dict[str, None] = {}
        self._staged: dict[str, Stage] = {}
        """By agent: the chunks so far of a checkpoint whose last chunk has not arrived."""
        self._slots: dict[str, dict[int, str]] = {}
        """By host and slot: the agent that has it, or for which it is reserved."""
        self._apply: Mapping[str, Callable[[int, Fields], Result]] = {
            "agents.spawn": self._spawn,
            "agents.deploy": self._deploy,
            "agents.started": self._started,
            "agents.checkpoint": self._checkpoint,
            "agents.move": self._move,
            "agents.cancel": self._cancel,
            "agents.switch": self._switch,
            "agents.moved": self._moved,
            "agents.respawn": self._respawn,
            "agents.stop": self._stop,
        }

    def problem(self, command: str, fields: Fields) -> str | None:
        return fields_problem(command, fields)

    def apply(self, index: int, command: str, fields: Fields) -> Result:
        return self._apply[command](index, fields)

    def query(self, fields: Fields) -> Any:
        """Answer a query. Without fields: return the pool, which is every member's slots and every agent. `{"agent": id}`: return the agent's record
        and the names of its saved keys; with `"keys": […]` also the values of these keys.
        """
        if fields.get("agent") is None:
            return {"hosts": hosts_view(self._members, self._used()), "agents": dict(self.view)}
        return agent_view(self.view, fields["agent"], fields.get("keys"))

    def dump(self) -> Any:
        saved = {agent: state.data for agent, state in self.view.saved.items()}
        staged = {agent: [stage.changes, list(stage.gone)] for agent, stage in self._staged.items()}
        return {"agents": dict(self.view), "saved": saved, "staged": staged}

    def digest(self) -> str:
        """Digest of the records. Each record contains the digest of its agent's state, so the states themselves are not read."""
        return text_digest(canonical(dict(self.view)))

    def restore(self, data: Any) -> None:
        data = data or {"agents": {}, "saved": {}, "staged": {}}
        self.fresh.update(dict.fromkeys(self.view))
        self.view.clear()
        self.view.saved.clear()
        self._slots.clear()
        for agent, record in data["agents"].items():
            self.view[agent] = record
            self._take(record["host"], record["slot"], agent)
            if record["moving"] is not None:
                self._take(record["moving"]["to"], record["moving"]["slot"], agent)
            state = self.view.saved[agent] = KeyedState()
            state.apply(data["saved"][agent], ())
        self._staged = {agent: Stage(*pair) for agent, pair in data["staged"].items()}
        self.fresh.update(dict.fromkeys(self.view))

    def _spawn(self, index: int, fields: Fields) -> Result:
        agent, asked, origin = fields["agent"], fields.get("on"), fields.get("from")
        if agent in self.view:
            return self._answer(agent)
        if asked is not None:
            problem = self._host_problem(asked)
            if problem is not None:
                return problem
        host = asked or (origin if self._has_room(origin) else most_room(self._members, self._used()))
        if host is None:
            return refused("no-room", f"no member has a place for {agent}")
        self.view[agent] = {
            "type": fields["type"],
            **self._place(agent, host, index),
            "moving": None,
            "switched": 0,
            "checkpoint": _mark(0, KeyedState()),
            "lost": None,
            "spawn_ns": None,
            "pause_ns": None,
            "moves": 0,
            "respawns": 0,
        }
        self.view.saved[agent] = KeyedState()
        return self._answer(agent)

    def _deploy(self, index: int, fields: Fields) -> Result:
        """Place each agent as a spawn of its own, in order. One that cannot be placed does not affect the others."""
        placed, refusals = {}, {}
        for item in fields["agents"]:
            result = self._spawn(index, {**item, "from": fields.get("from")})
            if result["status"] == "ok":
                placed[item["agent"]] = {key: result[key] for key in ("host", "slot", "epoch")}
            else:
                refusals[item["agent"]] = result
        if not placed:
            return next(iter(refusals.values()))
        reasons = {agent: [result["error"], result["message"]] for agent, result in refusals.items()}
        return done(placed=placed, refused=reasons)

    def _started(self, index: int, fields: Fields) -> Result:
        """Mark the agents as running. One that has another epoch by now is skipped."""
        for agent, (epoch, spawn_ns) in fields["agents"].items():
            if self._epoch_problem(agent, epoch) is None and self.view[agent]["state"] == "placed":
                self._put(agent, state="running", spawn_ns=spawn_ns)
        return done()

    def _checkpoint(self, index: int, fields: Fields) -> Result:
        """Collect the chunks of a checkpoint. They take effect together, with the last, so no agent starts from part of one."""
        agent, number = fields["agent"], fields["number"]
        problem = self._epoch_problem(agent, fields["epoch"])
        unchecked = self._flaws.agent_epoch_unchecked and agent in self.view
        if problem is not None and not unchecked:
            return problem
        known = self.view[agent]["checkpoint"]["number"]
        if problem is not None:
            number = known + 1
        if number <= known:
            return refused("stale-number", f"checkpoint {number} of {agent} is not after checkpoint {known}")
        if number != known + 1:
            return refused("gap", f"checkpoint {number} of {agent} does not follow checkpoint {known}")
        stage = self._staged.setdefault(agent, Stage({}, []))
        stage.add(fields["changes"], fields["gone"])
        checkpoint = {**self.view[agent]["checkpoint"], "number": number}
        if not fields["more"]:
            state = self.view.saved[agent]
            state.apply(stage.changes, list(stage.gone))
            del self._staged[agent]
            checkpoint = _mark(number, state)
        self._put(agent, checkpoint=checkpoint)
        return done(number=number, epoch=fields["epoch"], whole=not fields["more"])

    def _move(self, index: int, fields: Fields) -> Result:
        agent, to = fields["agent"], fields["to"]
        problem = self._epoch_problem(agent, fields["epoch"])
        if problem is not None:
            return problem
        record = self.view[agent]
        moving = record["moving"]
        if moving is not None:
            if moving["to"] == to:
                return self._answer(agent)
            return refused("moving", f"{agent} is on its way to {moving['to']} already")
        if to == record["host"]:
            return refused("already-there", f"{agent} is on {to}")
        problem = self._host_problem(to)
        if problem is not None:
            return problem
        slot = self._free_slot(to)
        self._take(to, slot, agent)
        held = {"to": to, "incarnation": self._members[to]["incarnation"], "slot": slot, "since": index}
        self._put(agent, moving=held)
        return self._answer(agent)

    def _cancel(self, index: int, fields: Fields) -> Result:
        problem = self._migration_problem(fields)
        if problem is not None:
            return problem
        agent = fields["agent"]
        self._end_moving(agent)
        self._put(agent, moving=None)
        return self._answer(agent)

    def _switch(self, index: int, fields: Fields) -> Result:
        problem = self._migration_problem(fields)
        if problem is not None:
            return problem
        agent = fields["agent"]
        record = self.view[agent]
        moving = record["moving"]
        member = self._members.get(moving["to"])
        if member is None or not hosting(member) or member["incarnation"] != moving["incarnation"]:
            return refused("target-lost", f"{moving['to']} cannot take {agent} any more")
        if not self._flaws.slot_leaks_at_switch:
            self._release(record["host"], record["slot"])
        self._staged.pop(agent, None)
        where = {key: moving[key] for key in ("incarnation", "slot")}
        self._put(agent, host=moving["to"], **where, epoch=index, state="placed", moving=None)
        self._put(agent, switched=moving["since"], moves=record["moves"] + 1, lost=None, spawn_ns=None)
        return self._answer(agent)

    def _moved(self, index: int, fields: Fields) -> Result:
        """Record how long the agent was paused, as its former host reports."""
        agent = fields["agent"]
        record = self.view.get(agent)
        if record is None or record["switched"] != fields["since"]:
            return refused("not-moving", f"{agent} was not brought where it is by migration {fields['since']}")
        self._put(agent, pause_ns=fields["pause_ns"])
        return self._answer(agent)

    def _respawn(self, index: int, fields: Fields) -> Result:
        agent, to = fields["agent"], fields["to"]
        problem = self._epoch_problem(agent, fields["epoch"])
        if problem is not None:
            return problem
        record = self.view[agent]
        if not orphaned(record, self._members):
            return refused("alive", f"the process on {record['host']} that has {agent} is not known to have failed")
        # Its slots, and those reserved for it, become free.
        places = [(record["host"], record["slot"])]
        if record["moving"] is not None:
            places.append((record["moving"]["to"], record["moving"]["slot"]))
        for host, slot in places:
            self._release(host, slot)
        problem = self._host_problem(to)
        if problem is not None:
            for host, slot in places:
                self._take(host, slot, agent)
            return problem
        self._staged.pop(agent, None)
        place = self._place(agent, to, index)
        ends = {"moving": None, "switched": 0, "lost": dict(fields["lost"]), "spawn_ns": None, "pause_ns": None}
        self._put(agent, **place, **ends, respawns=record["respawns"] + 1)
        return self._answer(agent)

    def _stop(self, index: int, fields: Fields) -> Result:
        agent = fields["agent"]
        record = self.view.get(agent)
        if record is None:
            return done(stopped=False)
        if record["moving"] is not None:
            self._end_moving(agent)
        self._release(record["host"], record["slot"])
        del self.view[agent], self.view.saved[agent]
        self._staged.pop(agent, None)
        self.fresh[agent] = None
        return done(stopped=True)

    def _epoch_problem(self, agent: str, epoch: int) -> Result | None:
        record = self.view.get(agent)
        if record is None:
            return refused("not-found", f"there is no agent {agent}")
        if record["epoch"] != epoch:
            return refused("stale-epoch", f"the epoch of {agent} is {record['epoch']}, not {epoch}")
        return None

    def _migration_problem(self, fields: Fields) -> Result | None:
        problem = self._epoch_problem(fields["agent"], fields["epoch"])
        if problem is not None:
            return problem
        moving = self.view[fields["agent"]]["moving"]
        if moving is None or moving["since"] != fields["since"]:
            return refused("not-moving", f"migration {fields['since']} of {fields['agent']} is over")
        return None

    def _host_problem(self, name: str) -> Result | None:
        member = self._members.get(name)
        if member is None:
            return refused("not-found", f"there is no member {name}")
        if not hosting(member):
            return refused("not-active", f"{name} is {member['state']} as {member['role']}: no agent may come to it")
        if not self._has_room(name):
            return refused("no-room", f"all {places(member)} places of {name} are taken")
        return None

    def _has_room(self, name: str | None) -> bool:
        member = self._members.get(name) if name is not None else None
        return member is not None and hosting(member) and len(self._slots.get(str(name), ())) < places(member)

    def _free_slot(self, host: str) -> int:
        taken = self._slots.get(host, {})
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    def _used(self) -> dict[str, int]:
        return {host: len(slots) for host, slots in self._slots.items()}

    def _place(self, agent: str, host: str, epoch: int) -> Record:
        slot = self._free_slot(host)
        self._take(host, slot, agent)
        incarnation = self._members[host]["incarnation"]
        return {"host": host, "incarnation": incarnation, "slot": slot, "epoch": epoch, "state": "placed"}

    def _take(self, host: str, slot: int, agent: str) -> None:
        self._slots.setdefault(host, {})[slot] = agent

    def _release(self, host: str, slot: int) -> None:
        slots = self._slots[host]
        del slots[slot]
        if not slots:
            del self._slots[host]

    def _end_moving(self, agent: str) -> None:
        moving = self.view[agent]["moving"]
        self._release(moving["to"], moving["slot"])

    def _put(self, agent: str, **changes: Any) -> None:
        self.view[agent] = {**self.view[agent], **changes}
        self.fresh[agent] = None

    def _answer(self, agent: str) -> Result:
        self.fresh[agent] = None
        record = self.view[agent]
        return done(host=record["host"], slot=record["slot"], epoch=record["epoch"], moving=record["moving"])


def _mark(number: int, state: KeyedState) -> Record:
    return {"number": number, "keys": len(state), "bytes": state.characters, "digest": state.digest}
