"""The application `members`: its table, literal stories of lives, and random commands against what must always hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribulation.node.core.application.members import MEMBER_LIMIT, Members
from tribulation.node.core.interface.entry import canonical
from tribulation.node.core.records.lifecycle import TRANSITIONS, step_towards

from .net import make_config

CAPACITY = {"slots": 16, "cpu_percent": 100, "memory_mib": 1024}


def members() -> Members:
    return Members(make_config("n1"))


def join(name: str = "n4", incarnation: int = 1, host: str = "10.0.0.4", **more: Any) -> list[Any]:
    address = {"host": host, "port": 10000, "udp": 9999, "role": "hybrid", "capacity": CAPACITY}
    return ["members.join", {"name": name, **address, "incarnation": incarnation, **more}]


def move(to: str, name: str = "n4", incarnation: int = 1, **more: Any) -> list[Any]:
    return ["members.move", {"name": name, "incarnation": incarnation, "to": to, **more}]


def remove(name: str = "n4", incarnation: int = 1, **more: Any) -> list[Any]:
    return ["members.remove", {"name": name, "incarnation": incarnation, **more}]


LEAVE = ["members.leave", {"name": "n4"}]


def run(app: Members, *commands: list[Any], first: int = 1) -> list[str]:
    """What each came to: the state, or the error."""
    outcomes = []
    for i, (command, fields) in enumerate(commands):
        assert app.problem(command, fields) is None
        result = app.apply(first + i, command, fields)
        outcomes.append(str(result["state"] if result["status"] == "ok" else result["error"]))
    return outcomes


def test_a_whole_life() -> None:
    app = members()
    life = [join(), move("ACTIVE"), move("DEGRADED"), move("ACTIVE"), move("SYNCING"), move("ACTIVE"), LEAVE, remove()]
    assert run(app, *life) == ["JOINING", "ACTIVE", "DEGRADED", "ACTIVE", "SYNCING", "ACTIVE", "LEAVING", "REMOVED"]
    assert app.view == {} and list(app.fresh) == ["n4"]


@pytest.mark.parametrize("flaws", [(), ("capacities-ignored",)])
def test_what_a_member_can_bear_is_what_it_says_of_itself(flaws: tuple[str, ...]) -> None:
    app = Members(make_config("n1", flaws))
    weak = {"slots": 4, "cpu_percent": 25, "memory_mib": 256}
    run(app, join(capacity=weak))
    assert app.view["n4"]["capacity"] == (CAPACITY if flaws else weak)


def test_a_record() -> None:
    app = members()
    run(app, join(), first=7)
    address = {"host": "10.0.0.4", "port": 10000, "udp_port": 9999, "role": "hybrid"}
    record = {**address, "capacity": CAPACITY, "incarnation": 1, "state": "JOINING", "since": 7}
    assert app.view == {"n4": record} and app.query({}) == app.view and app.query({"name": "n4"}) == record
    assert app.query({"name": "n5"}) is None and app.query({"name": []}) is None


@pytest.mark.parametrize("state", ["JOINING", "ACTIVE", "SYNCING", "DEGRADED", "LEAVING", "FAILED"])
@pytest.mark.parametrize("to", list(TRANSITIONS))
def test_every_move_is_in_the_table_or_refused_with_the_state(state: str, to: str) -> None:
    app = members()
    way = {"JOINING": [], "ACTIVE": ["ACTIVE"], "FAILED": ["ACTIVE", "DEGRADED", "FAILED"]}
    run(app, join(), *[move(step) for step in way.get(state, ["ACTIVE", state])])
    assert app.view["n4"]["state"] == state
    before = app.dump()
    result = app.apply(9, *move(to))
    if to in TRANSITIONS[state] and to not in ("JOINING", "REMOVED"):
        assert result["status"] == "ok" and (app.view["n4"]["state"], app.view["n4"]["since"]) == (to, 9)
    else:
        assert app.dump() == before
        if to != state:
            assert result["error"] == "illegal-transition" and result["state"] == state and state in result["message"]


def test_the_same_incarnation_again_changes_nothing() -> None:
    app = members()
    assert run(app, join(), move("ACTIVE"), join(), join(host="10.0.0.5")) == ["JOINING", "ACTIVE", "ACTIVE", "ACTIVE"]
    assert app.view["n4"]["host"] == "10.0.0.4"


def test_a_restart_that_nobody_noticed_joins_again_and_the_former_life_is_void() -> None:
    app = members()
    assert run(app, join(), move("ACTIVE"), join(incarnation=2)) == ["JOINING", "ACTIVE", "JOINING"]
    assert run(app, join(), move("ACTIVE"), remove(), first=4) == ["stale-incarnation"] * 3
    assert run(app, move("ACTIVE", incarnation=2), first=7) == ["ACTIVE"]


def test_a_removed_life_does_not_come_back_and_the_next_does() -> None:
    app = members()
    run(app, join(), move("ACTIVE"), LEAVE, remove())
    assert run(app, join(), move("ACTIVE"), LEAVE, remove(), first=5) == ["stale-incarnation"] + ["not-found"] * 3
    assert run(app, join(incarnation=2), first=9) == ["JOINING"]


def test_failed_by_mistake_comes_back_once_by_naming_the_state_it_saw() -> None:
    app = members()
    run(app, join(), move("ACTIVE"), move("DEGRADED"), move("FAILED"))
    assert run(app, join(), join(since=3), first=5) == ["FAILED", "FAILED"]
    back = join(since=4)
    assert run(app, back, move("ACTIVE"), move("DEGRADED"), move("FAILED"), back, first=7) == [
        "JOINING",
        "ACTIVE",
        "DEGRADED",
        "FAILED",
        "FAILED",
    ]


def test_a_new_disk_counts_from_1_again_and_joins_by_naming_what_it_replaces() -> None:
    app = members()
    run(app, join(incarnation=5), move("ACTIVE", incarnation=5))
    refusal = app.apply(3, *join())
    assert (refusal["error"], refusal["incarnation"], refusal["since"]) == ("stale-incarnation", 5, 2)
    assert run(app, join(since=2), join(since=2), first=4) == ["JOINING", "JOINING"]


def test_a_repeated_move_does_nothing_after_the_member_went_on() -> None:
    app = members()
    degrade = move("DEGRADED", since=2)
    assert run(app, join(), move("ACTIVE"), degrade, degrade, move("ACTIVE"), degrade) == [
        "JOINING",
        "ACTIVE",
        "DEGRADED",
        "DEGRADED",
        "ACTIVE",
        "stale",
    ]


def test_32_members_and_a_failed_one_is_replaced() -> None:
    app = members()
    run(app, *[join(f"m{i}") for i in range(MEMBER_LIMIT)])
    assert run(app, join("n4"), first=100) == ["full"]
    for i, name in enumerate(["m7", "m3"]):
        run(app, *[move(to, name) for to in ("ACTIVE", "DEGRADED", "FAILED")], first=110 + 10 * i)
    assert run(app, join("n4"), first=200) == ["JOINING"]
    assert "m7" not in app.view and "m3" in app.view and len(app.view) == MEMBER_LIMIT


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["members.join", {}], "lacks the field 'name'"),
        (join(name="a/b"), "name: 'a/b' is not a name"),
        (join(incarnation=True), "incarnation: True is not an integer"),
        (join(port=0), "port: 0 is not"),
        (join(capacity={"slots": 17, "cpu_percent": 1, "memory_mib": 1}), "capacity"),
        (join(role=["hybrid"]), "role"),
        (join(colour="red"), "has no field 'colour'"),
        (move("ASLEEP"), "to: 'ASLEEP' is not one of DISCOVERING"),
        (move([]), "to: "),  # type: ignore[arg-type]
    ],
)
def test_ill_formed_commands_are_named(command: list[Any], problem: str) -> None:
    said = members().problem(*command)
    assert said is not None and problem in said


def test_the_way_along_the_table() -> None:
    assert step_towards("SYNCING", "FAILED") == "ACTIVE" and step_towards("ACTIVE", "FAILED") == "DEGRADED"
    assert step_towards("FAILED", "ACTIVE") is None and step_towards("LEAVING", "FAILED") is None


NAMES = st.sampled_from(["n1", "n2", "n3"])
NUMBERS = st.integers(0, 3)
SINCE = st.fixed_dictionaries({}, optional={"since": st.integers(0, 40)})
COMMANDS = st.one_of(
    st.builds(lambda name, number, since: join(name, number, **since), NAMES, NUMBERS, SINCE),
    st.builds(
        lambda to, name, number, since: move(to, name, number, **since),
        st.sampled_from(list(TRANSITIONS)),
        NAMES,
        NUMBERS,
        SINCE,
    ),
    st.builds(lambda name, number, since: remove(name, number, **since), NAMES, NUMBERS, SINCE),
    st.builds(lambda name: ["members.leave", {"name": name}], NAMES),
)


@given(st.lists(COMMANDS, max_size=40))
def test_whatever_comes_states_follow_the_table_and_the_state_survives_a_dump(commands: list[list[Any]]) -> None:
    app = members()
    for index, (command, fields) in enumerate(commands, 1):
        assert app.problem(command, fields) is None
        before = {name: dict(record) for name, record in app.view.items()}
        app.fresh.clear()
        result = app.apply(index, command, fields)
        changed = [name for name in (*before, *app.view) if before.get(name) != app.view.get(name)]
        assert all(name in app.fresh for name in changed)
        assert result["status"] == "ok" or not changed
        for name in changed:
            old, new = before.get(name), app.view.get(name)
            state = "DISCOVERING" if old is None else old["state"]
            if new is not None and new["state"] == "JOINING":
                assert command == "members.join"
            else:
                assert ("REMOVED" if new is None else new["state"]) in TRANSITIONS[state]
        other = members()
        other.restore(json.loads(canonical(app.dump())))
        assert canonical(other.dump()) == canonical(app.dump()) and other.view == app.view


@given(st.lists(COMMANDS, max_size=20))
def test_applied_twice_is_applied_once(commands: list[list[Any]]) -> None:
    """A `since` is of the past: the index that a command will get is not known."""
    app = members()
    for index, (command, fields) in enumerate(commands, 1):
        if fields.get("since", 0) >= 2 * index:
            continue
        app.apply(2 * index, command, fields)
        state = app.dump()
        app.apply(2 * index + 1, command, fields)
        assert app.dump() == state, (command, fields)


def test_restoring_keeps_the_view_that_others_hold() -> None:
    app = members()
    run(app, join())
    view, dump = app.view, app.dump()
    app.restore(None)
    assert app.view is view and view == {} and "n4" in app.fresh
    app.restore(dump)
    assert app.view is view and view["n4"]["state"] == "JOINING"
