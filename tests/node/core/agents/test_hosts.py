"""Stories of hosts: agents that run, are saved, are suspended, are respawned; and of the leader that cares for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tribulation.node.config.node import MS
from tribulation.node.core.cluster.coordinator import Coordinator
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import AgentWork, Changed, Detected, LeaderChanged, Transfer
from tribulation.node.core.records.agent_state import VALUE_CHARACTERS

from .hosts import World
from .records import config, member


def test_what_is_placed_here_runs_and_says_so() -> None:
    w = World()
    w.spawn("a", "n1")
    w.run(50)
    n1 = w.hosts["n1"]
    assert n1.running == {"a": 4} and w.record()["state"] == "running" and w.record()["spawn_ns"] == 0
    assert [event for event, _ in n1.traces] == ["capacity", "agent-placed", "agent-started"]
    assert n1.traced("agent-placed")[0]["origin"] == "spawn"
    w.append("agents.stop", {"agent": "a"})
    w.run(50)
    assert n1.running == {} and n1.traces[-1] == ("agent-stopped", {"agent": "a", "epoch": 4})


def test_changed_keys_are_saved_and_only_those() -> None:
    w = World()
    w.spawn("a", "n1")
    n1 = w.hosts["n1"]
    n1.work("a", x=1, y={"deep": [1]})
    assert n1.state["a"] == {"x": 1, "y": {"deep": [1]}}
    w.run(250)
    n1.work("a", x=None, z=3)
    w.run(250)
    changes = [fields for name, fields in w.log if name == "agents.checkpoint"]
    assert [(c["number"], c["changes"], c["gone"], c["more"]) for c in changes] == [
        (1, {"x": 1, "y": {"deep": [1]}}, [], False),
        (2, {"z": 3}, ["x"], False),
    ]
    w.run(1000)
    assert len([name for name, _ in w.log if name == "agents.checkpoint"]) == 2, "nothing new, nothing saved"
    assert [(t["epoch"], t["number"]) for t in n1.traced("agent-checkpoint")] == [(4, 1), (4, 2)]


def test_a_large_checkpoint_goes_in_pieces_and_counts_as_one() -> None:
    w = World()
    w.spawn("a", "n1")
    w.hosts["n1"].work("a", **{f"k{i}": "v" * 30_000 for i in range(5)})
    w.run(201, lambda: w.log[-1][0] == "agents.checkpoint")
    w.hosts["n1"].work("a", k0="later")
    w.run(100)
    pieces = [fields for name, fields in w.log if name == "agents.checkpoint"]
    assert [(len(p["changes"]), p["more"]) for p in pieces] == [(2, True), (2, True), (1, False)]
    assert w.judge.view.saved["a"].data["k0"] == "v" * 30_000
    w.run(250)
    assert w.judge.view.saved["a"].data == w.hosts["n1"].state["a"]


@pytest.mark.parametrize(
    ("epoch", "changes", "why"),
    [
        (3, {"x": 1}, "its epoch is 4"),
        (4, {"x": "v" * VALUE_CHARACTERS}, "has 131074 characters"),
        (4, {"x": float("nan")}, "is not JSON"),
    ],
)
def test_work_that_is_refused(epoch: int, changes: dict[str, Any], why: str) -> None:
    w = World()
    w.spawn("a", "n1")
    n1 = w.hosts["n1"]
    n1.step(lambda: n1.signal(AgentWork("a", epoch, changes)))
    assert why in n1.traced("agent-work-refused")[0]["why"] and n1.state["a"] == {}


def test_work_of_an_older_epoch_is_taken_by_the_flaw() -> None:
    w = World("agent-epoch-unchecked")
    w.spawn("a", "n1")
    n1 = w.hosts["n1"]
    n1.step(lambda: n1.signal(AgentWork("a", 3, {"x": 1})))
    assert n1.state["a"] == {"x": 1}


def test_without_a_quorum_nothing_runs_until_the_log_is_known_again() -> None:
    """Contact is there again before the log is: the agent was respawned elsewhere, and must not run here for a moment."""
    w = World()
    w.spawn("a", "n1")
    w.hosts["n1"].work("a", x=1)
    w.run(250)
    w.hosts["n1"].work("a", y=2)
    w.cut_off("n1")
    w.run(590)
    assert w.where() == ["n1"]
    w.run(20)
    assert w.where() == [] and w.hosts["n1"].traces[-1] == ("agent-suspended", {"agent": "a", "epoch": 4})
    w.run(1000)
    assert w.where() == ["n2"] and w.hosts["n2"].state["a"] == {"x": 1}
    json.dumps([machine.fingerprint() for host in w.hosts.values() for machine in host.machines.values()])
    assert w.hosts["n2"].traced("agent-placed")[0]["origin"] == "checkpoint"
    assert w.record()["lost"]["checkpoint"] == 1 and w.record()["lost"]["age_ns"] > 0
    w.heal("n1")
    w.run(500)
    assert w.where() == ["n2"] and w.overlaps() == []
    lost = w.hosts["n1"].traced("agent-lost")
    assert lost == [{"agent": "a", "epoch": 4, "keys": 1, "checkpoint": 1}]


def test_a_short_cut_suspends_and_the_agent_goes_on_where_it_was() -> None:
    w = World()
    w.spawn("a", "n1")
    w.hosts["n1"].work("a", x=1)
    w.cut_off("n1")
    w.run(1000)
    assert not w.hosts["n1"].work("a", y=1)
    w.heal("n1")
    w.run(100)
    assert w.where() == ["n1"] and w.hosts["n1"].running == {"a": 4} and w.hosts["n1"].state["a"] == {"x": 1}
    w.run(500)
    assert w.judge.view.saved["a"].data == {"x": 1}


@pytest.mark.parametrize("flaw", [None, "host-outlives-lease"])
def test_host_outlives_lease(flaw: str | None) -> None:
    w = World(*([flaw] if flaw else []))
    w.spawn("a", "n1")
    w.cut_off("n1")
    w.run(3000)
    assert w.where() == (["n1", "n2"] if flaw else ["n2"])
    assert w.overlaps() == (["a"] if flaw else [])


def test_agents_of_a_killed_host_start_elsewhere_from_their_last_checkpoint() -> None:
    w = World()
    for i in range(4):
        w.spawn(f"a{i}", "n1")
        w.hosts["n1"].work(f"a{i}", x=i)
    w.run(300)
    w.kill("n1")
    w.run(2500)
    assert all(w.where(f"a{i}") == ["n2"] and w.hosts["n2"].state[f"a{i}"] == {"x": i} for i in range(4))


def test_a_process_that_comes_back_at_once_has_lost_its_agents_all_the_same() -> None:
    """No node believed that it failed; its incarnation shows that what it held is gone."""
    w = World()
    w.spawn("a", "n1")
    w.spawn("b", "n1")
    w.hosts["n1"].work("a", x=1)
    w.run(300)
    w.admit("n2", member("LEAVING"))
    w.end("n1")
    w.revive("n1")
    w.run(100)
    assert w.where("a") == w.where("b") == ["n1"] and w.record()["incarnation"] == 2 and w.record()["epoch"] > 4
    assert w.hosts["n1"].state["a"] == {"x": 1} and w.overlaps() == []


def test_a_member_that_leaves_is_emptied_and_nothing_is_lost() -> None:
    w = World()
    for i in range(3):
        w.spawn(f"a{i}", "n1")
        w.hosts["n1"].work(f"a{i}", x=i)
    w.admit("n1", member("LEAVING"))
    w.run(1000)
    assert all(w.where(f"a{i}") == ["n2"] and w.hosts["n2"].state[f"a{i}"] == {"x": i} for i in range(3))
    assert w.overlaps() == []


def test_a_full_host_shares_with_an_empty_one() -> None:
    w = World()
    for i in range(8):
        w.spawn(f"a{i}", "n1")
    w.run(4000)
    assert [len(w.hosts[name].running) for name in ("n1", "n2")] == [4, 4]
    moves = len([name for name, _ in w.log if name == "agents.move"])
    w.run(5000)
    assert moves == len([name for name, _ in w.log if name == "agents.move"]) == 4, "and then it is quiet"


def coordinator(**more: Any) -> tuple[Coordinator, Outbox]:
    out = Outbox()
    settings = config("n1", preferred="n2", agents={"follow_preferred": True}, **more)
    machine = Coordinator(settings, out, 1, Chance(1, "n1", 1))
    machine.start(0)
    machine.signals[LeaderChanged](0, LeaderChanged("n1", 1, True))
    return machine, out


def test_the_leadership_follows_the_preferred_node_when_it_is_up_and_trusted() -> None:
    machine, out = coordinator()
    members = {"n1": member(), "n2": member("JOINING")}

    def looks(at_ms: int) -> list[str]:
        machine.on_timer(at_ms * MS, "coordinator/look")
        machine.flush(at_ms * MS)
        return [
            signal.to
            for signal in (out.signals.popleft() for _ in range(len(out.signals)))
            if isinstance(signal, Transfer)
        ]

    machine.signals[Changed](0, Changed("members", ("n1", "n2"), members))
    assert looks(500) == [], "not ACTIVE yet"
    members["n2"] = member()
    machine.signals[Detected](0, Detected("n2", 1, "suspect"))
    assert looks(1000) == []
    machine.signals[Detected](0, Detected("n2", 1, "alive"))
    assert looks(1500) == ["n2"]
    assert looks(2000) == [] and looks(6500) == ["n2"], "not more often than each five seconds"
    machine.signals[LeaderChanged](0, LeaderChanged("n2", 2, False))
    assert looks(20_000) == []
