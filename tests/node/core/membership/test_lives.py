"""The machine `membership`: what it wants of the log, as a node that comes, stays and goes, and as the leader."""

from __future__ import annotations

from typing import Any

from tribulation.node.config.node import MS
from tribulation.node.core.cluster.membership import JOIN_NS, JOINS, Membership
from tribulation.node.core.interface.cluster_messages import SubmitCommand
from tribulation.node.core.interface.effects import Send, SetTimer, Trace
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import (
    Applied,
    Changed,
    Detected,
    Found,
    LeaderChanged,
    Submit,
    Submitted,
    VotersChanged,
    Withdraw,
)

from .net import PORT, host_of, make_config, record

CAPACITY = {"slots": 16, "cpu_percent": 100, "memory_mib": 1024}


class Life:
    """Node n4, in its `incarnation`, reported by a test what happens."""

    def __init__(self, name: str = "n4", incarnation: int = 1, flaws: tuple[str, ...] = ()) -> None:
        self.name, self.out, self.now, self.index = name, Outbox(), 1000 * MS, 0
        self.machine = Membership(make_config(name, flaws), self.out, incarnation, Chance(1, name, incarnation))
        self.machine.start(self.now)
        self.view: dict[str, Any] = {}
        self.effects: list[Any] = []
        self.traces: list[tuple[str, dict[str, Any]]] = []
        self.said = self.notify()

    def notify(self, *signals: Any) -> list[Any]:
        """What it wants in consequence: commands, and the keys of those it wants no more."""
        for signal in signals:
            handler = self.machine.signals.get(type(signal))
            if handler is not None:
                handler(self.now, signal)
        self.machine.flush(self.now)
        self.machine.check()
        emitted = list(self.out.signals)
        self.out.signals.clear()
        self.effects = self.out.take()
        self.traces += [(e.event, dict(e.fields)) for e in self.effects if isinstance(e, Trace)]
        return [s.command if isinstance(s, Submit) else s.key for s in emitted if isinstance(s, (Submit, Withdraw))]

    def apply(self, **records: Any) -> list[Any]:
        """The log makes these records so; None: removed. Changes come before `Applied`, as they may."""
        self.index += 1
        for name, new in records.items():
            if new is None:
                del self.view[name]
            else:
                self.view[name] = {**new, "since": self.index}
        entry = make_entry(self.index, 1, ["noop"])
        return self.notify(Changed("members", list(records), self.view), Applied([entry], [None]))

    def lead(self) -> list[Any]:
        return self.notify(LeaderChanged(self.name, 1, True))

    def lives(self) -> list[Any]:
        return [fields["to"] for event, fields in self.traces if event == "lifecycle"]


def join(incarnation: int = 1, **more: Any) -> list[Any]:
    address = {"host": host_of("n4"), "port": 10000, "udp": PORT, "role": "hybrid", "capacity": CAPACITY}
    return ["members.join", {"name": "n4", **address, "incarnation": incarnation, **more}]


def move(to: str, since: int, name: str = "n4", incarnation: int = 1) -> list[Any]:
    return ["members.move", {"name": name, "incarnation": incarnation, "to": to, "since": since}]


def remove(since: int, name: str = "n4") -> list[Any]:
    return ["members.remove", {"name": name, "incarnation": 1, "since": since}]


def test_a_node_comes_and_becomes_active() -> None:
    n4 = Life()
    assert n4.said == [join()]
    assert n4.notify(Submitted("membership/own", 1, {"status": "ok"})) == [], (
        "it does not see itself yet, and is patient"
    )
    assert n4.apply(n4=record("n4", "JOINING")) == [move("ACTIVE", 1)]
    assert n4.apply(n4=record("n4", "ACTIVE")) == ["membership/own"]
    assert n4.lives() == ["DISCOVERING", "JOINING", "ACTIVE"]
    assert n4.machine.status() == {"lifecycle": "ACTIVE", "members": 1}


def test_a_newcomer_that_knows_no_leader_asks_the_voters_that_it_found() -> None:
    n4 = Life()
    timer = next(e for e in n4.effects if isinstance(e, SetTimer))
    for name in ("n1", "n2"):
        n4.notify(Found(name, host_of(name), 10000, PORT, "hybrid", 1))
    n4.now = timer.at_ns
    n4.machine.on_timer(n4.now, timer.key)
    n4.notify()
    assert [e for e in n4.effects if isinstance(e, Send)] == [Send("n1", SubmitCommand({"command": join()}))]
    n4.notify(LeaderChanged("n1", 1, False))
    n4.machine.on_timer(n4.now, timer.key)
    n4.notify()
    assert not [e for e in n4.effects if isinstance(e, Send)], "the submitter knows which node to ask"


def test_the_leader_takes_back_the_registration_of_a_newcomer_that_never_came() -> None:
    n1 = Life("n1")
    n1.lead()
    n1.apply(n1=record("n1"))
    assert n1.apply(n4=record("n4", "JOINING")) == []
    (timer,) = [e for e in n1.effects if isinstance(e, SetTimer) and e.key == JOINS]
    assert timer.at_ns == n1.now + JOIN_NS
    n1.now = timer.at_ns
    n1.machine.on_timer(n1.now, timer.key)
    assert n1.notify() == [remove(since=2)]
    assert n1.apply(n4=None) == ["membership/n4"]


def test_one_that_became_active_in_time_stays() -> None:
    n1 = Life("n1")
    n1.lead()
    n1.apply(n1=record("n1"), n4=record("n4", "JOINING"))
    n1.now += JOIN_NS - 1
    n1.apply(n4=record("n4"))
    n1.now += 1
    n1.machine.on_timer(n1.now, JOINS)
    assert n1.notify() == []


def test_a_newcomer_that_was_only_slow_registers_anew() -> None:
    n4 = Life()
    n4.apply(n4=record("n4", "JOINING"))
    assert n4.apply(n4=None) == [join()], "it was no member yet, so this is not the end of its life"
    refusal = {"status": "fail", "error": "stale-incarnation", "incarnation": 1, "since": 2}
    assert n4.notify(Submitted("membership/own", 3, refusal)) == [join(since=2)]


def test_a_restarted_node_replaces_its_former_life() -> None:
    n4 = Life(incarnation=2)
    assert n4.said == [join(2)]
    assert n4.apply(n4=record("n4", "ACTIVE", 1)) == [], "the wish stays as it is"
    assert n4.lives() == ["DISCOVERING"]
    assert n4.apply(n4=record("n4", "JOINING", 2)) == [move("ACTIVE", 2, incarnation=2)]


def test_failed_by_mistake_it_joins_again_and_is_believed_in_anew() -> None:
    n4 = Life()
    n4.apply(n4=record("n4", "ACTIVE"))
    assert n4.apply(n4=record("n4", "DEGRADED")) == []
    assert n4.apply(n4=record("n4", "FAILED")) == [join(since=3)]


def test_on_a_new_disk_it_names_what_it_replaces() -> None:
    n4 = Life()
    refusal = {"status": "fail", "error": "stale-incarnation", "incarnation": 5, "since": 17}
    assert n4.notify(Submitted("membership/own", 20, refusal)) == [join(since=17)]
    assert n4.apply(n4=record("n4", "LEAVING", 5)) == [join(since=1)]


def test_what_is_refused_is_asked_again_only_after_a_while() -> None:
    n4 = Life()
    assert n4.notify(Submitted("membership/own", 20, {"status": "fail", "error": "full"})) == []
    assert n4.notify(LeaderChanged("n1", 1, False)) == []
    n4.machine.on_timer(n4.now, "membership/again")
    assert n4.notify() == [join()]


def agent(host: str, to: str | None = None) -> dict[str, Any]:
    return {"host": host, "moving": None if to is None else {"to": to}}


def test_a_member_that_leaves_waits_until_it_hosts_nothing_and_does_not_vote() -> None:
    n4 = Life()
    n4.notify(VotersChanged({"n1": 1, "n4": 1}))
    n4.apply(n4=record("n4", "ACTIVE"))
    n4.notify(Changed("agents", ["a"], {"a": agent("n4", to="n1"), "b": agent("n1", to="n4")}))
    assert n4.apply(n4=record("n4", "LEAVING")) == []
    assert n4.notify(Changed("agents", ["a"], {"a": agent("n1"), "b": agent("n1", to="n4")})) == []
    assert n4.notify(Changed("agents", ["b"], {"a": agent("n1"), "b": agent("n1")})) == []
    assert n4.notify(VotersChanged({"n1": 1, "n4": 0})) == [remove(2)]
    assert n4.apply(n4=None) == ["membership/own"]
    assert n4.lives()[-2:] == ["LEAVING", "REMOVED"] and n4.lead() == [], "it does not come back by itself"


def test_the_last_voter_may_leave() -> None:
    n4 = Life()
    n4.notify(VotersChanged({"n4": 1}))
    assert n4.apply(n4=record("n4", "LEAVING"))[-1] == remove(1)


def leader() -> Life:
    """n4 leads n1, which is ACTIVE since entry 2."""
    n4 = Life()
    n4.apply(n4=record("n4", "ACTIVE"))
    n4.apply(n1=record("n1", "ACTIVE"))
    n4.lead()
    return n4


def test_the_leader_proposes_what_its_detector_believes() -> None:
    n4 = leader()
    assert n4.notify(Detected("n1", 1, "alive")) == []
    assert n4.notify(Detected("n1", 1, "suspect")) == [move("DEGRADED", 2, "n1")]
    n4.apply(n1=record("n1", "DEGRADED"))
    assert n4.notify(Detected("n1", 1, "alive")) == [move("ACTIVE", 3, "n1")]
    n4.apply(n1=record("n1", "ACTIVE"))
    assert n4.notify(Detected("n1", 1, "failed")) == [move("DEGRADED", 4, "n1")]
    assert n4.apply(n1=record("n1", "DEGRADED")) == [move("FAILED", 5, "n1")]
    assert n4.apply(n1=record("n1", "FAILED")) == ["membership/n1"]


def test_who_does_not_lead_proposes_nothing_about_others_and_who_loses_the_lead_stops() -> None:
    n4 = leader()
    n4.notify(Detected("n1", 1, "suspect"))
    assert n4.notify(LeaderChanged("n1", 2, False)) == ["membership/n1"]
    assert n4.notify(Detected("n1", 1, "failed")) == []
    assert n4.lead() == [move("DEGRADED", 2, "n1")], "a new leader looks at what it believes already"


def test_a_belief_about_an_earlier_life_says_nothing_about_this_one() -> None:
    n4 = leader()
    n4.notify(Detected("n1", 1, "failed"))
    n4.apply(n1=record("n1", "JOINING", 2))
    assert n4.apply(n1=record("n1", "ACTIVE", 2)) == []
    assert n4.notify(Detected("n1", 1, "suspect")) == []


def test_a_leader_that_others_thought_lost_says_that_it_lives() -> None:
    n4 = leader()
    assert n4.apply(n4=record("n4", "DEGRADED")) == [move("ACTIVE", 3)]


def test_a_syncing_member_that_fails_goes_the_whole_way() -> None:
    n4 = leader()
    n4.apply(n1=record("n1", "SYNCING"))
    assert n4.notify(Detected("n1", 1, "failed")) == [move("ACTIVE", 3, "n1")]
    assert n4.apply(n1=record("n1", "ACTIVE")) == [move("DEGRADED", 4, "n1")]


def test_who_dies_while_leaving_is_removed() -> None:
    n4 = leader()
    n4.apply(n1=record("n1", "LEAVING"))
    assert n4.notify(Detected("n1", 1, "suspect")) == []
    assert n4.notify(Detected("n1", 1, "failed")) == [remove(3, "n1")]


def test_the_view_is_traced_when_it_changed_with_the_index_of_the_log() -> None:
    n4 = Life()
    n4.apply(n4=record("n4", "JOINING"))
    n4.apply(n4=record("n4", "ACTIVE"))
    n4.apply(n1=record("n1", "ACTIVE", 3))
    n4.apply(n1=record("n1", "DEGRADED", 3))
    n4.apply(n1=record("n1", "FAILED", 3))
    views = [(fields["epoch"], fields["members"]) for event, fields in n4.traces if event == "view"]
    assert views == [(2, {"n4": 1}), (3, {"n1": 3, "n4": 1}), (5, {"n4": 1})]


def test_ghost_member_brings_back_who_failed_and_the_correct_node_does_not() -> None:
    found = Found("n1", host_of("n1"), 10000, PORT, "hybrid", 1)
    for flaws, wanted in ((("ghost-member",), ["members.join"]), ((), [])):
        n4 = Life(flaws=flaws)
        n4.apply(n4=record("n4", "ACTIVE"))
        n4.apply(n1=record("n1", "FAILED"))
        n4.lead()
        assert [command[0] for command in n4.notify(found)] == wanted
