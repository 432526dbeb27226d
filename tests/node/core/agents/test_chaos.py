"""Anything at any time: agents that move while hosts die, come back, and are cut off, over links that lose messages.

`World.check` watches after everything that happens that at most one host runs an agent under the authorised epoch. Here also: no two hosts run an agent at one time, for hosts are
given up only when they have noticed themselves; and once all is well again every agent runs, where the log says, with at least what was saved before.
"""

from __future__ import annotations

from random import Random

import pytest

from tribulation.node.config.node import MS

from .hosts import World
from .records import member

AGENTS = ("a", "b", "c")
SEEDS = range(1, 9)


def trouble(w: World, random: Random, name: str) -> None:
    """Kill it, or cut it off, for a while; afterwards it comes back to life, or joins again if it was given up meanwhile."""
    host, after_ms = w.hosts[name], random.randint(50, 2500)
    if not host.up or name in w.cut:
        return
    if random.random() < 0.5:
        w.kill(name)
        w.later(after_ms * MS, lambda: w.revive(name))
        return
    w.cut_off(name)

    def back() -> None:
        w.heal(name)
        if w.judge._members[name]["state"] == "FAILED":
            w.later(20 * MS, lambda: w.admit(name, member("JOINING", host.incarnation)))
            w.later(30 * MS, lambda: w.admit(name, member(incarnation=host.incarnation)))

    w.later(after_ms * MS, back)


def work(w: World, written: dict[str, int], number: int) -> None:
    for agent in AGENTS:
        for name in w.where(agent):
            w.hosts[name].work(agent, n=number, **{f"k{number % 7}": "v" * (number * 997 % 20_000)})
            written[agent] = number


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens(seed: int) -> None:
    random = Random(seed)
    w = World()
    hosts = ("n1", "n2")
    for agent in AGENTS:
        w.spawn(agent, random.choice(hosts))
    w.lost = lambda sender, receiver, message: random.random() < 0.1
    written: dict[str, int] = {}
    for number in range(1, 300):
        work(w, written, number)
        w.run(20)
        draw = random.random()
        if draw < 0.1:
            agent = random.choice(AGENTS)
            w.move(agent, random.choice(hosts))
        elif draw < 0.12:
            trouble(w, random, random.choice(hosts))
    saved = {agent: state.data.get("n", 0) for agent, state in w.judge.view.saved.items()}
    w.lost = lambda sender, receiver, message: False
    w.run(6000)
    assert w.overlaps() == []
    for agent in AGENTS:
        record = w.record(agent)
        assert w.where(agent) == [record["host"]] and record["moving"] is None, (agent, record)
        assert written[agent] >= w.hosts[record["host"]].state[agent]["n"] >= saved[agent]
        assert w.judge.view.saved[agent].data == w.hosts[record["host"]].state[agent]
