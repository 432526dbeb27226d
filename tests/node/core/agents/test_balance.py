"""Where agents go: by hand, and over any members and agents at all."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tribulation.node.core.cluster.balance import plan_departures, plan_moves, plan_respawns
from tribulation.node.core.records.agent_state import KeyedState
from tribulation.node.core.records.capacity import hosting, orphaned, places, used_slots, utilisation

from .records import agent, member


def test_ninety_and_twenty_percent_become_even() -> None:
    members = {"n1": member(slots=10), "n2": member(slots=10)}
    agents = {f"a{i}": agent("n1" if i < 9 else "n2", bytes_=9 - i) for i in range(11)}
    plan = plan_moves(members, agents, 20)
    assert plan == [("a8", "n2"), ("a7", "n2"), ("a6", "n2")], "the lightest go first, until 60 and 50 %"
    for name, to in plan:
        agents[name] = agent(to)
    assert plan_moves(members, agents, 5) == [] or plan_moves(members, agents, 20) == []


def test_a_difference_below_the_threshold_moves_nobody() -> None:
    members = {"n1": member(slots=10), "n2": member(slots=10)}
    assert plan_moves(members, {f"a{i}": agent("n1") for i in range(2)}, 20) == []
    assert plan_moves(members, {f"a{i}": agent("n1") for i in range(3)}, 20) == [("a0", "n2")]


def test_an_agent_on_its_way_counts_where_it_goes_and_its_slot_where_it_is() -> None:
    members = {"n1": member(slots=4), "n2": member(slots=4)}
    agents = {"a": agent("n1", to="n2"), "b": agent("n1"), "c": agent("n1", to="n2")}
    assert plan_moves(members, agents, 20) == []
    full = {f"a{i}": agent("n1") for i in range(4)} | {f"b{i}": agent("n2", to="n1") for i in range(4)}
    assert plan_moves(members, full, 20) == [], "every slot of n2 is taken still"


def test_agents_of_a_failed_member_go_where_there_is_room_and_those_of_a_new_process_stay_with_it() -> None:
    members = {"n1": member("FAILED"), "n2": member(incarnation=2, slots=2), "n3": member(slots=1)}
    agents = {"a": agent("n1"), "b": agent("n2"), "c": agent("n1"), "d": agent("n4")}
    assert plan_respawns(members, agents) == [("b", "n2"), ("a", "n2"), ("c", "n3")], "d finds no room"


def test_a_member_that_leaves_is_emptied() -> None:
    members = {"n1": member("LEAVING"), "n2": member(), "n3": member()}
    agents = {"a": agent("n1"), "b": agent("n1"), "c": agent("n1", to="n2"), "d": agent("n3")}
    assert plan_departures(members, agents) == [("a", "n2"), ("b", "n3")], "c is on its way"


def test_a_member_has_as_many_places_as_what_it_has_least_of_allows() -> None:
    assert places(member()) == 16, "an ordinary member: by slots, by processor and by memory"
    assert places(member(slots=4)) == 4
    assert places(member(cpu_percent=25)) == 4, "a quarter of a processor, whatever its slots"
    assert places(member(memory_mib=200)) == 3
    assert places(member(cpu_percent=3)) == 0 and utilisation(member(cpu_percent=3), 0) == 1000
    weak, strong = {"n1": member(cpu_percent=25), "n2": member()}, {f"a{i}": agent("n2") for i in range(12)}
    moved = [to for _, to in plan_moves(weak, strong, 20)]
    assert moved == ["n1", "n1"], "two of four there, ten of sixteen here"


NAMES = ("n1", "n2", "n3", "n4")
MEMBER = st.builds(
    member,
    state=st.sampled_from(("ACTIVE", "ACTIVE", "ACTIVE", "LEAVING", "FAILED")),
    incarnation=st.sampled_from((1, 1, 1, 2)),
    slots=st.integers(0, 6),
    cpu_percent=st.sampled_from((50, 100, 400)),
    memory_mib=st.sampled_from((256, 1024)),
    role=st.sampled_from(("hybrid", "worker", "coordinator")),
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Members with agents in their slots, some of them on their way."""
    members = {name: draw(MEMBER) for name in NAMES if draw(st.booleans())}
    free = {name: places(record) for name, record in members.items()}
    agents = {}
    for i in range(draw(st.integers(0, 14))):
        host = draw(st.sampled_from(NAMES))
        if host in free and free[host] <= 0:
            continue
        free[host] = free.get(host, 1) - 1
        to = draw(st.none() | st.sampled_from(NAMES))
        if to == host or (to is not None and free.get(to, 0) <= 0):
            to = None
        if to is not None:
            free[to] -= 1
        agents[f"a{i}"] = agent(host, epoch=i, to=to, bytes_=draw(st.integers(0, 3)))
    return members, agents


def fullness(members: dict[str, Any], agents: dict[str, Any]) -> list[int]:
    """Of the members that host, fullest first, with every agent where it goes."""
    homes = [a["moving"]["to"] if a["moving"] else a["host"] for a in agents.values()]
    return sorted((utilisation(m, homes.count(name)) for name, m in members.items() if hosting(m)), reverse=True)


@settings(max_examples=300, deadline=None)
@given(worlds(), st.integers(1, 60))
def test_balancing_is_never_worse_ends_and_fits(world: tuple[dict[str, Any], dict[str, Any]], percent: int) -> None:
    members, agents = world
    for name, to in plan_moves(members, agents, percent):
        before, old = fullness(members, agents), agents[name]
        assert old["moving"] is None and not orphaned(old, members) and to != old["host"]
        agents[name] = {**old, "moving": {"to": to, "incarnation": 1}}
        assert fullness(members, agents) < before, "each step makes the fullest less full"
        assert hosting(members[to]) and used_slots(agents)[to] <= places(members[to])
    for name, record in agents.items():
        agents[name] = {**record, "moving": None, "host": (record["moving"] or {"to": record["host"]})["to"]}
    again = plan_moves(members, agents, percent)
    assert len(again) <= len(agents)


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_everybody_lost_finds_the_room_that_there_is(world: tuple[dict[str, Any], dict[str, Any]]) -> None:
    members, agents = world
    lost = [name for name, record in agents.items() if orphaned(record, members)]
    used = used_slots({name: record for name, record in agents.items() if name not in lost})
    plan = plan_respawns(members, agents)
    assert len(dict(plan)) == len(plan) and all(name in lost for name, _ in plan)
    for _, to in plan:
        used[to] = used.get(to, 0) + 1
    assert all(used[to] <= places(members[to]) and hosting(members[to]) for _, to in plan)
    if len(plan) < len(lost):
        assert all(used.get(name, 0) >= places(m) for name, m in members.items() if hosting(m))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers() | st.lists(st.text(), max_size=2))))
def test_the_digest_of_a_state_is_that_of_its_content(changes: list[tuple[str, Any]]) -> None:
    state, wanted = KeyedState(), KeyedState()
    for key, value in changes:
        state.remove(key) if value is None else state.set(key, value)
    for key, value in reversed(state.data.items()):
        wanted.set(key, value)
    assert (state.digest, state.characters, state.differing(wanted)) == (wanted.digest, wanted.characters, [])
