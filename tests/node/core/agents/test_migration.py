"""Migrations: under load, over bad links, and with either side struck at each step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tribulation.node.config.node import MS

from .hosts import World

ROUNDS = 24


def loaded(w: World, agent: str = "a") -> dict[str, int]:
    """A task each 15 ms adds to a counter wherever the agent may work. Returns what was counted, while it is counted."""
    counted = {"n": 0}

    def work() -> None:
        w.later(15 * MS, work)
        for host in w.hosts.values():
            if host.up and agent in host.running:
                now = host.state[agent].get("n", 0) + 1
                if host.work(agent, n=now, **{f"k{now % 5}": now}):
                    counted["n"] = now

    work()
    return counted


def filled(w: World, keys: int, characters: int) -> None:
    for i in range(0, keys, 100):
        w.hosts["n1"].work("a", **{f"s{j}": "v" * characters for j in range(i, min(keys, i + 100))})


def test_a_small_agent_moves_with_all_its_work() -> None:
    w = World()
    w.spawn("a", "n1")
    counted = loaded(w)
    w.run(500)
    w.move("a", "n2")
    assert w.run(1000, lambda: w.where() == ["n2"])
    at_switch = dict(w.hosts["n2"].state["a"])
    assert at_switch["n"] == counted["n"]
    w.run(300)
    assert w.overlaps() == [] and w.hosts["n2"].state["a"]["n"] == counted["n"] > at_switch["n"]
    (switched,) = w.hosts["n1"].traced("agent-switched")
    assert (switched["from"], switched["to"], switched["epoch"]) == ("n1", "n2", w.record()["epoch"])
    assert switched["pause_ns"] == w.record()["pause_ns"] < 20 * MS
    placed = w.hosts["n2"].traced("agent-placed")[0]
    assert placed["origin"] == "migration" and placed["digest"] == switched["digest"]
    w.run(300)
    assert w.judge.view.saved["a"].data["n"] > at_switch["n"], "its new host saves it"


def test_ten_megabytes_move_with_a_pause_for_the_last_change_only() -> None:
    w = World()
    w.spawn("a", "n1")
    filled(w, 1000, 10_000)
    loaded(w)
    w.move("a", "n2")
    w.run(5, lambda: w.record()["moving"] is not None)
    assert w.run(3000, lambda: w.where() == ["n2"]) and len(w.hosts["n2"].state["a"]) >= 1000
    switched = w.hosts["n1"].traced("agent-switched")[0]
    assert switched["bytes"] > 10_000_000 and switched["pause_ns"] < 20 * MS


def test_stop_and_copy_pauses_for_all_of_the_state() -> None:
    assert moved("stop-and-copy") > 5 * moved()


def moved(*flaws: str) -> int:
    """For how long an agent of ten megabytes stands still, in ns."""
    w = World(*flaws)
    w.spawn("a", "n1")
    filled(w, 1000, 10_000)
    w.move("a", "n2")
    assert w.run(3000, lambda: w.where() == ["n2"]) and len(w.hosts["n2"].state["a"]) == 1000
    return int(w.hosts["n1"].traced("agent-switched")[0]["pause_ns"])


def test_an_agent_that_changes_faster_than_it_is_copied_moves_in_the_end() -> None:
    w = World()
    w.spawn("a", "n1")
    filled(w, 40, 5_000)

    def rewrite(round_: int) -> None:
        w.later(2 * MS, lambda: rewrite((round_ + 1) % 10))
        w.hosts["n1"].work("a", **{f"s{j}": f"{round_}" * 5_000 for j in range(40)})

    rewrite(0)
    w.move("a", "n2")
    assert w.run(2000, lambda: w.where() == ["n2"])
    assert 600_000 < w.hosts["n1"].traced("agent-switched")[0]["bytes"] < 1_200_000


def test_lost_messages_are_sent_again() -> None:
    w = World()
    w.spawn("a", "n1")
    filled(w, 100, 10_000)
    counted = loaded(w)
    number = [0]

    def every_third(sender: str, receiver: str, message: object) -> bool:
        number[0] += 1
        return number[0] % 3 == 0

    w.lost = every_third
    w.move("a", "n2")
    assert w.run(8000, lambda: w.where() == ["n2"])
    assert w.hosts["n2"].state["a"]["n"] == counted["n"] and w.overlaps() == []


def test_a_cut_in_the_middle_goes_on_from_what_was_acknowledged() -> None:
    w = World()
    w.spawn("a", "n1")
    filled(w, 1000, 10_000)
    w.move("a", "n2")
    w.run(40)
    assert 0 < w.sent < 9_000_000
    w.cut_off("n2", failed=False)
    w.run(1500)
    w.heal("n2")
    assert w.run(1000, lambda: w.where() == ["n2"])
    assert w.sent < 13_000_000, "not sent twice"


def test_a_target_that_never_answers_is_given_up_and_the_agent_works_on() -> None:
    w = World()
    w.spawn("a", "n1")
    counted = loaded(w)
    w.lost = lambda sender, receiver, message: True
    w.move("a", "n2")
    w.run(1000)
    assert w.where() == [], "it stands still already, for there was little to copy"
    w.run(2000)
    assert w.where() == ["n1"] and w.record()["moving"] is None
    listed = [
        event for event, _ in w.hosts["n1"].traces if event not in ("capacity", "agent-checkpoint", "agent-placed")
    ]
    assert listed == [
        "agent-started",
        "agent-standing",
        "agent-stopped",
        "agent-move-given-up",
        "agent-move-cancelled",
        "agent-started",
    ]
    before = counted["n"]
    w.lost = lambda sender, receiver, message: False
    w.move("a", "n2")
    w.run(200)
    assert w.where() == ["n2"] and w.hosts["n2"].state["a"]["n"] == counted["n"] > before


def test_a_target_that_fails_frees_the_agent() -> None:
    w = World()
    w.spawn("a", "n1")
    filled(w, 1000, 10_000)
    w.move("a", "n2")
    w.run(40)
    w.kill("n2")
    w.run(2500)
    assert w.where() == ["n1"] and w.record()["moving"] is None and w.record()["host"] == "n1"


def cut_before_the_word(flaw: str | None) -> World:
    """The switch is in the log, but its source is cut off before it hears of it."""
    w = World(*([flaw] if flaw else []))
    w.spawn("a", "n1")
    w.hosts["n1"].work("a", x=1)
    w.move("a", "n2")
    assert w.run(1000, lambda: w.log[-1][0] == "agents.switch")
    w.cut_off("n1", failed=False)
    w.run(1900)
    return w


@pytest.mark.parametrize("flaw", [None, "two-hosts-after-switch"])
def test_two_hosts_after_switch(flaw: str | None) -> None:
    w = cut_before_the_word(flaw)
    assert w.where() == (["n1", "n2"] if flaw else ["n2"])
    assert w.overlaps() == (["a"] if flaw else [])
    w.heal("n1")
    w.run(200)
    assert w.where() == ["n2"] and w.hosts["n2"].state["a"] == {"x": 1}


def test_a_source_that_is_cut_off_while_it_stands_still_waits_for_the_word() -> None:
    """It does not know whether its switch got through. It did not, and the agent goes on where it was, having missed nothing."""
    w = World()
    w.spawn("a", "n1")
    w.hosts["n1"].work("a", x=1)
    w.move("a", "n2")
    assert w.run(1000, lambda: "agents/switch/a" in w.hosts["n1"].wishes)
    w.cut_off("n1", failed=False)
    w.run(1500)
    assert w.where() == [] and w.record()["host"] == "n1"
    w.heal("n1")
    w.run(600)
    assert w.where() == ["n2"] and w.hosts["n2"].state["a"] == {"x": 1}


STRIKES = {
    "killed": (World.kill, None, 0),
    "restarted": (World.kill, World.revive, 500),
    "cut off": (World.cut_off, World.heal, 2000),
    "cut off for a moment": (World.cut_off, World.heal, 900),
}
"""What is done to a host, what ends it, and after how many ms."""


def strike(name: str, host: str) -> Callable[[World], None]:
    begin, end, after_ms = STRIKES[name]

    def act(w: World) -> None:
        begin(w, host)
        if end is not None:
            w.later(after_ms * MS, lambda: end(w, host))

    return act


@pytest.mark.parametrize("host", ["n1", "n2"])
@pytest.mark.parametrize("name", STRIKES)
def test_either_side_may_be_struck_at_each_step(name: str, host: str) -> None:
    """One authorised host at every moment (`World.check`), two never run it at one time, and in the end one does, with all that was saved."""
    for step in range(ROUNDS):
        w = World()
        w.spawn("a", "n1")
        w.hosts["n1"].work("a", base=1)
        loaded(w)
        w.run(250)
        w.move("a", "n2")
        w._strike = (w.happened + step, strike(name, host))
        saved = w.judge.view.saved["a"].data["n"]
        w.run(3600)
        assert w._strike is None, "the migration takes that many steps"
        where = w.where()
        assert len(where) == 1 and where[0] == w.record()["host"] and w.overlaps() == [], (step, where, w.record())
        state = w.hosts[where[0]].state["a"]
        assert state["base"] == 1 and state["n"] > saved, (step, state)
        assert w.record()["moving"] is None and w.hosts[where[0]].running["a"] == w.record()["epoch"]
