"""The application `agents`: stories of single commands, and any commands at all over members that come, fail and leave."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tribulation.node.core.application.placement import Placement
from tribulation.node.core.records.agent_state import VALUE_CHARACTERS

from .records import config, member

LOST = {"checkpoint": 0, "age_ns": 5}


class Stage:
    """An application that is reported one command after another; `index` is the last one's."""

    def __init__(self, flaws: list[str] | None = None, **members: Any) -> None:
        self.members = members or {"n1": member(slots=2), "n2": member(slots=2), "n3": member(slots=2)}
        self.app = Placement(config(flaws=flaws or []), self.members)
        self.index = 0

    def do(self, command: str, **fields: Any) -> dict[str, Any]:
        self.index += 1
        assert self.app.problem(f"agents.{command}", fields) is None
        return self.app.apply(self.index, f"agents.{command}", fields)

    def error(self, command: str, **fields: Any) -> str:
        before = json.dumps(self.app.dump(), sort_keys=True)
        answer = self.do(command, **fields)
        assert answer["status"] == "fail" and json.dumps(self.app.dump(), sort_keys=True) == before, answer
        return str(answer["error"])

    def record(self, agent: str = "a") -> Any:
        return self.app.view.get(agent)

    def save(self, number: int, changes: dict[str, Any], gone: list[str] | None = None, **more: Any) -> dict[str, Any]:
        fields = {"agent": "a", "epoch": self.record()["epoch"], "more": False, **more}
        return self.do("checkpoint", number=number, changes=changes, gone=gone or [], **fields)


def test_a_spawn_goes_where_it_is_reported_or_where_it_comes_from_or_where_there_is_most_room() -> None:
    s = Stage()
    assert s.do("spawn", agent="a", type="code", on="n2")["host"] == "n2"
    assert s.do("spawn", agent="b", type="code", **{"from": "n2"})["slot"] == 1
    assert s.do("spawn", agent="c", type="code", **{"from": "n2"})["host"] == "n1", "n2 is full; n1 is first of equals"
    assert s.do("spawn", agent="d", type="code")["host"] == "n3"
    assert s.error("spawn", agent="e", type="code", on="n2") == "no-room"
    assert s.do("spawn", agent="a", type="code", on="n3")["epoch"] == 1, "it is there already"
    assert s.app.query({})["hosts"]["n2"] == {
        "used": 2,
        "slots": 2,
        "utilisation_percent": 100.0,
        "hosting": True,
    }


def test_many_are_placed_by_one_command_and_who_finds_no_place_keeps_none_of_the_others_from_it() -> None:
    s = Stage()
    agents = [{"agent": name, "type": "code", "on": host} for name, host in (("a", "n1"), ("b", "n1"), ("c", "n1"))]
    answer = s.do("deploy", agents=[*agents, {"agent": "d", "type": "data"}], **{"from": "n3"})
    placed = {agent: (where["host"], where["slot"], where["epoch"]) for agent, where in answer["placed"].items()}
    assert placed == {"a": ("n1", 0, 1), "b": ("n1", 1, 1), "d": ("n3", 0, 1)}
    assert answer["refused"] == {"c": ["no-room", "all 2 places of n1 are taken"]}
    again = s.do("deploy", agents=agents[:2])
    assert [where["epoch"] for where in again["placed"].values()] == [1, 1], "they are there already"
    assert s.error("deploy", agents=[{"agent": "e", "type": "code", "on": "n9"}]) == "not-found", "none was placed"


def test_the_weaker_of_two_members_counts_as_fuller() -> None:
    s = Stage(n1=member(cpu_percent=50), n2=member(), n3=member(memory_mib=512))
    hosts = [s.do("spawn", agent=f"a{i}", type="code")["host"] for i in range(4)]
    assert hosts == ["n2", "n1", "n2", "n3"], "125, 125, 125 and then two on n2 weigh as one elsewhere"


@pytest.mark.parametrize(
    ("record", "error"),
    [(member("JOINING"), "not-active"), (member("LEAVING"), "not-active"), (member(role="coordinator"), "not-active")],
)
def test_who_may_not_host(record: dict[str, Any], error: str) -> None:
    s = Stage(n1=record)
    assert s.error("spawn", agent="a", type="code", on="n1") == error
    assert s.error("spawn", agent="a", type="code") == "no-room"
    assert s.error("spawn", agent="a", type="code", on="n7") == "not-found"


def test_a_checkpoint_in_pieces_counts_with_its_last_one() -> None:
    s = Stage()
    s.do("spawn", agent="a", type="code", on="n1")
    s.save(1, {"x": 1, "y": 1})
    assert s.save(2, {"x": 2}, more=True)["status"] == "ok"
    assert s.app.view.saved["a"].data == {"x": 1, "y": 1} and s.record()["checkpoint"]["number"] == 2
    again = Stage()
    again.app.restore(json.loads(json.dumps(s.app.dump())))
    again.index = s.index
    for stage in (s, again):
        assert stage.save(3, {"z": 3}, ["y"])["status"] == "ok"
        assert stage.app.view.saved["a"].data == {"x": 2, "z": 3}
    assert s.record() == again.record() and s.record()["checkpoint"]["keys"] == 2
    assert s.save(3, {"x": 9})["error"] == "stale-number" and s.save(5, {"x": 9})["error"] == "gap"
    assert s.app.query({"agent": "a", "keys": ["x", "q"]})["values"] == {"x": 2}
    assert s.app.query({"agent": "q"}) is None


def test_half_a_checkpoint_is_forgotten_with_its_host() -> None:
    s = Stage()
    s.do("spawn", agent="a", type="code", on="n1")
    s.save(1, {"x": 1}, more=True)
    s.members["n1"] = member("FAILED")
    s.do("respawn", agent="a", epoch=1, to="n2", lost=LOST)
    s.save(2, {"y": 2})
    assert s.app.view.saved["a"].data == {"y": 2}


def test_a_migration_holds_a_slot_and_a_switch_makes_the_old_epoch_void() -> None:
    s = Stage()
    s.do("spawn", agent="a", type="code", on="n1")
    s.do("started", agents={"a": [1, 7], "gone": [1, 7]})
    assert s.do("move", agent="a", epoch=1, to="n2")["moving"] == {"to": "n2", "incarnation": 1, "slot": 0, "since": 3}
    assert s.error("move", agent="a", epoch=1, to="n3") == "moving"
    assert s.do("spawn", agent="b", type="code", on="n2")["slot"] == 1, "slot 0 is held"
    assert s.error("switch", agent="a", epoch=1, to="n2", since=2) == "not-moving"
    assert s.do("switch", agent="a", epoch=1, to="n2", since=3)["epoch"] == s.index
    assert s.record()["host"] == "n2" and s.record()["state"] == "placed" and s.record()["switched"] == 3
    assert s.error("switch", agent="a", epoch=1, to="n2", since=3) == "stale-epoch"
    before = s.record()
    s.do("started", agents={"a": [1, 7]})
    assert s.record() == before, "its epoch is another one by now"
    assert s.error("checkpoint", agent="a", epoch=1, number=1, changes={}, gone=[], more=False) == "stale-epoch"
    assert s.do("moved", agent="a", since=3, pause_ns=5)["status"] == "ok" and s.record()["pause_ns"] == 5
    assert s.do("spawn", agent="c", type="code", on="n1")["slot"] == 0


def test_a_late_switch_of_a_cancelled_migration_is_no_switch_of_the_next() -> None:
    """The target of the second does not hold what the agent did since the first."""
    s = Stage()
    s.do("spawn", agent="a", type="code", on="n1")
    s.do("move", agent="a", epoch=1, to="n2")
    s.do("cancel", agent="a", epoch=1, since=2)
    s.do("move", agent="a", epoch=1, to="n2")
    assert s.error("switch", agent="a", epoch=1, to="n2", since=2) == "not-moving"
    assert s.error("cancel", agent="a", epoch=1, since=2) == "not-moving"
    s.members["n2"] = member(incarnation=2)
    assert s.error("switch", agent="a", epoch=1, to="n2", since=4) == "target-lost"


def test_only_an_agent_whose_process_is_gone_is_respawned() -> None:
    s = Stage()
    s.do("spawn", agent="a", type="code", on="n1")
    s.do("move", agent="a", epoch=1, to="n2")
    assert s.error("respawn", agent="a", epoch=1, to="n3", lost=LOST) == "alive"
    s.members["n1"] = member(incarnation=2, slots=1)
    assert s.do("respawn", agent="a", epoch=1, to="n1", lost=LOST)["slot"] == 0, "its own slot is free for it"
    assert s.record()["lost"] == LOST and s.record()["incarnation"] == 2 and s.record()["moving"] is None
    assert s.error("respawn", agent="a", epoch=1, to="n1", lost=LOST) == "stale-epoch"
    assert s.do("stop", agent="a") == {"status": "ok", "stopped": True}
    assert s.do("stop", agent="a") == {"status": "ok", "stopped": False} and s.app.query({})["agents"] == {}


def test_a_respawn_may_have_the_slot_that_was_held_for_the_agent() -> None:
    s = Stage(n1=member(), n2=member(slots=1))
    s.do("spawn", agent="a", type="code", on="n1")
    s.do("move", agent="a", epoch=1, to="n2")
    s.members["n1"] = member("FAILED")
    assert s.error("respawn", agent="a", epoch=1, to="n1", lost=LOST) == "not-active"
    assert s.do("respawn", agent="a", epoch=1, to="n2", lost=LOST)["slot"] == 0
    assert s.app.query({})["hosts"]["n1"]["used"] == 0 and s.app.query({})["hosts"]["n2"]["used"] == 1


@pytest.mark.parametrize("flaw", [None, "agent-epoch-unchecked"])
def test_agent_epoch_unchecked(flaw: str | None) -> None:
    s = Stage([flaw] if flaw else [])
    s.do("spawn", agent="a", type="code", on="n1")
    s.members["n1"] = member("FAILED")
    s.do("respawn", agent="a", epoch=1, to="n2", lost=LOST)
    s.save(1, {"x": 1})
    s.do("checkpoint", agent="a", epoch=1, number=1, changes={"x": 2}, gone=[], more=False)
    assert s.app.view.saved["a"].data == {"x": 2 if flaw else 1}


@pytest.mark.parametrize(
    ("command", "fields", "words"),
    [
        ("spawn", {"agent": "a/b", "type": "code"}, "agent of agents.spawn is not a name"),
        ("spawn", {"agent": "a", "type": "poet"}, "type of agents.spawn is none of generic"),
        ("spawn", {"agent": "a", "type": []}, "type of agents.spawn is none of generic"),
        ("spawn", {"agent": "a", "type": "code", "where": 1}, "has no field 'where'; its fields are agent, type"),
        ("deploy", {"agents": [{"agent": "a", "type": "code"}] * 2}, "agents of agents.deploy names a twice"),
        ("deploy", {"agents": [{"agent": "a"}]}, "type of an agent in it is none of generic"),
        ("deploy", {"agents": []}, "is not a list of 1 to 64 agents"),
        ("started", {"agents": {"a": [1]}}, "is not {"),
        ("move", {"agent": "a", "epoch": 1, "to": None}, "to of agents.move is not a name"),
        ("move", {"agent": "a", "epoch": True, "to": "n1"}, "epoch of agents.move is not an integer"),
        ("respawn", {"agent": "a", "epoch": 1, "to": "n1", "lost": {"age_ns": 1}}, "lost of agents.respawn is not"),
    ],
)
def test_ill_formed_commands_are_named(command: str, fields: dict[str, Any], words: str) -> None:
    assert words in str(Stage().app.problem(f"agents.{command}", fields))


@pytest.mark.parametrize(
    ("changes", "gone", "words"),
    [
        ({"": 1}, [], "the key ''"),
        ({"x": None}, [], "name the key as gone"),
        ({"x": "v" * VALUE_CHARACTERS}, [], "has 131074 characters, more than"),
        ({"x": float("nan")}, [], "is not JSON"),
        ([], [], "is not an object"),
        ({}, [1], "the key 1"),
        ({}, {}, "is not a list of keys"),
    ],
)
def test_ill_formed_changes_are_named(changes: Any, gone: Any, words: str) -> None:
    fields = {"agent": "a", "epoch": 1, "number": 1, "changes": changes, "gone": gone, "more": False}
    assert words in str(Stage().app.problem("agents.checkpoint", fields))


MEMBERS = st.sampled_from(("n1", "n2", "n3"))
AGENTS = st.sampled_from(("a", "b", "c", "d"))
KEYS = st.sampled_from(("x", "y", "z"))


class AnyCommands(RuleBasedStateMachine):
    """Commands with numbers that are right, old or invented, each applied twice now and then, over members in any state."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(n1=member(slots=2), n2=member(slots=1), n3=member(slots=2))
        self.epochs: dict[str, int] = {}
        self.states: dict[str, dict[str, Any]] = {}
        self.last: tuple[str, dict[str, Any]] | None = None

    def do(self, command: str, **fields: Any) -> None:
        before = json.dumps(self.stage.app.dump(), sort_keys=True)
        answer = self.stage.do(command, **fields)
        if answer["status"] != "ok":
            assert json.dumps(self.stage.app.dump(), sort_keys=True) == before, answer
        self.last = (command, fields)

    def number(self, agent: str, key: str, skew: int) -> int:
        record = self.stage.record(agent)
        value = 0 if record is None else record[key] if key == "epoch" else (record["moving"] or {"since": 0})["since"]
        return max(0, value + skew)

    @rule(agent=AGENTS, on=st.none() | MEMBERS, origin=st.none() | MEMBERS)
    def spawn(self, agent: str, on: str | None, origin: str | None) -> None:
        self.do("spawn", agent=agent, type="code", on=on, **{"from": origin})

    @rule(agent=AGENTS, to=MEMBERS, skew=st.sampled_from((0, 0, 0, -1, 1)))
    def move(self, agent: str, to: str, skew: int) -> None:
        self.do("move", agent=agent, epoch=self.number(agent, "epoch", skew), to=to)

    @rule(agent=AGENTS, verb=st.sampled_from(("cancel", "switch")), skew=st.sampled_from((0, 0, 0, -1, 1)))
    def end(self, agent: str, verb: str, skew: int) -> None:
        fields = {"epoch": self.number(agent, "epoch", 0), "since": self.number(agent, "since", skew)}
        self.do(verb, agent=agent, **fields, **({"to": "n1"} if verb == "switch" else {}))

    @rule(agent=AGENTS, to=MEMBERS)
    def respawn(self, agent: str, to: str) -> None:
        self.do("respawn", agent=agent, epoch=self.number(agent, "epoch", 0), to=to, lost=LOST)

    @rule(agent=AGENTS, changes=st.dictionaries(KEYS, st.integers(0, 3)), gone=st.lists(KEYS), more=st.booleans())
    def checkpoint(self, agent: str, changes: dict[str, int], gone: list[str], more: bool) -> None:
        record = self.stage.record(agent)
        number = 1 if record is None else record["checkpoint"]["number"] + 1
        fields = {"number": number, "changes": changes, "gone": gone, "more": more}
        self.do("checkpoint", agent=agent, epoch=self.number(agent, "epoch", 0), **fields)

    @rule(agent=AGENTS)
    def stop(self, agent: str) -> None:
        self.do("stop", agent=agent)

    @rule(
        name=MEMBERS, state=st.sampled_from(("ACTIVE", "ACTIVE", "LEAVING", "FAILED", "JOINING")), again=st.booleans()
    )
    def fate(self, name: str, state: str, again: bool) -> None:
        old = self.stage.members.get(name, member(incarnation=1, slots=2))
        incarnation = old["incarnation"] + (1 if again else 0)
        self.stage.members[name] = member(state, incarnation, old["capacity"]["slots"])

    @rule(name=MEMBERS)
    def removed(self, name: str) -> None:
        self.stage.members.pop(name, None)

    @rule()
    def twice(self) -> None:
        """The second of two equal commands changes nothing, but for a move that was answered, or a spawn after a stop."""
        if self.last is None or self.last[0] in ("spawn", "checkpoint"):
            return
        view = json.dumps(self.stage.app.view, sort_keys=True)
        self.stage.do(self.last[0], **self.last[1])
        assert json.dumps(self.stage.app.view, sort_keys=True) == view

    @rule()
    def dump_and_restore(self) -> None:
        dump = json.dumps(self.stage.app.dump(), sort_keys=True)
        fresh = Stage(**self.stage.members)
        fresh.members.update(self.stage.members)
        fresh.app.restore(json.loads(dump))
        assert json.dumps(fresh.app.dump(), sort_keys=True) == dump
        fresh.index = self.stage.index
        self.stage = fresh

    @invariant()
    def nobody_shares_a_slot(self) -> None:
        taken: dict[tuple[str, int], str] = {}
        for name, record in self.stage.app.view.items():
            places = [(record["host"], record["slot"], record["incarnation"])]
            if record["moving"] is not None:
                places.append(tuple(record["moving"][key] for key in ("to", "slot", "incarnation")))
                assert record["moving"]["to"] != record["host"]
            for host, slot, incarnation in places:
                assert taken.setdefault((host, slot), name) == name and places.count((host, slot, incarnation)) == 1
                found = self.stage.members.get(host)
                if found is not None and found["incarnation"] == incarnation:
                    assert slot < found["capacity"]["slots"]
        assert self.stage.app._used() == _count(taken)

    @invariant()
    def epochs_grow_and_are_nobody_elses(self) -> None:
        epochs = {name: record["epoch"] for name, record in self.stage.app.view.items()}
        assert len(dict.fromkeys(epochs.values())) == len(epochs)
        for name, epoch in epochs.items():
            assert self.epochs.get(name, 0) <= epoch <= self.stage.index
            self.epochs[name] = epoch

    @invariant()
    def what_is_saved_is_what_the_record_says(self) -> None:
        app = self.stage.app
        assert list(app.view) == list(app.view.saved)
        for name, record in app.view.items():
            checkpoint, state = record["checkpoint"], app.view.saved[name]
            assert (checkpoint["keys"], checkpoint["digest"]) == (len(state), state.digest)


def _count(taken: dict[tuple[str, int], str]) -> dict[str, int]:
    used: dict[str, int] = {}
    for host, _ in taken:
        used[host] = used.get(host, 0) + 1
    return used


def test_any_commands() -> None:
    run_state_machine_as_test(AnyCommands, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
