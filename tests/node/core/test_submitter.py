"""The submitter brings commands to the log until they are seen applied; the roster says which nodes are to be met and which get the log."""

from __future__ import annotations

from typing import Any

from tribulation.node.config.node import MS, NodeConfig
from tribulation.node.core.cluster.roster import FAREWELL_NS, TIMER, UNREGISTERED_LIMIT, Roster
from tribulation.node.core.cluster.submitter import RETRY, RETRY_NS, Submitter
from tribulation.node.core.interface.cluster_messages import SubmitCommand
from tribulation.node.core.interface.effects import Meet, Part, Send, SetTimer
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.outbox import Outbox
from tribulation.node.core.interface.rng import Chance
from tribulation.node.core.interface.signals import (
    Applied,
    Changed,
    Found,
    LeaderChanged,
    Propose,
    RosterChanged,
    Submit,
    Submitted,
    Withdraw,
)

COMMAND = ["members.move", {"name": "n2"}]
CONFIG = NodeConfig.from_json(
    {"node": "n1", "cluster": "t", "peers": {"n1": ["10.0.0.1", 1]}, "voters": {"n1": 1, "n2": 1}, "membership": {}}
)


class Stage:
    """A machine alone: signals in; signals and effects out."""

    def __init__(self, kind: type[Any], *more: Any) -> None:
        self.out = Outbox()
        self.machine = kind(CONFIG, self.out, 1, Chance(7, "n1", 1), *more)
        self.now = 0

    def notify(self, *signals: Any) -> list[Any]:
        for signal in signals:
            self.machine.signals[type(signal)](self.now, signal)
        return self.said()

    def said(self) -> list[Any]:
        self.machine.check()
        signals = list(self.out.signals)
        self.out.signals.clear()
        return signals + self.out.take()


def submitter() -> Stage:
    return Stage(Submitter, lambda command, fields: None if command.startswith("members.") else "no such command")


def applied(command: list[Any], result: dict[str, Any]) -> Applied:
    return Applied([make_entry(5, 2, command)], [result])


def test_a_leader_proposes_what_it_submits_and_is_reported_when_it_is_applied() -> None:
    stage = submitter()
    assert stage.notify(LeaderChanged("n1", 2, True), Submit("life", COMMAND)) == [Propose(0, COMMAND)]
    assert stage.notify(applied(COMMAND, {"status": "ok"})) == [Submitted("life", 5, {"status": "ok"})]
    assert stage.machine.status() == {"wishes": 0}
    assert stage.notify(applied(COMMAND, {"status": "ok"})) == []


def test_without_a_leader_it_waits_and_every_new_leader_is_reported() -> None:
    stage = submitter()
    message = SubmitCommand({"command": COMMAND})
    assert stage.notify(Submit("life", COMMAND)) == []
    assert stage.notify(LeaderChanged("n2", 2, False)) == [Send("n2", message)]
    assert stage.notify(LeaderChanged("n2", 2, False)) == []
    assert stage.notify(LeaderChanged("n3", 3, False)) == [Send("n3", message)]


def test_it_asks_again_until_it_is_withdrawn() -> None:
    stage = submitter()
    stage.notify(LeaderChanged("n2", 2, False), Submit("life", COMMAND))
    stage.now += RETRY_NS
    stage.machine.on_timer(stage.now, RETRY)
    assert stage.said() == [Send("n2", SubmitCommand({"command": COMMAND}))]
    stage.now += RETRY_NS - MS
    stage.machine.on_timer(stage.now, RETRY)
    assert stage.said() == []
    stage.notify(Withdraw("life"))
    stage.now += RETRY_NS
    stage.machine.on_timer(stage.now, RETRY)
    assert stage.said() == []


def test_a_later_wish_of_the_same_key_replaces_the_earlier() -> None:
    stage = submitter()
    other = ["members.move", {"name": "n3"}]
    stage.notify(LeaderChanged("n1", 2, True), Submit("life", COMMAND))
    assert stage.notify(Submit("life", COMMAND)) == []
    assert stage.notify(Submit("life", other)) == [Propose(0, other)]
    assert stage.notify(applied(COMMAND, {})) == []
    assert stage.notify(applied(other, {})) == [Submitted("life", 5, {})]


def test_only_a_leader_takes_commands_and_only_right_ones() -> None:
    stage = submitter()
    stage.machine.on_message(0, "n2", SubmitCommand({"command": COMMAND}))
    assert stage.said() == []
    stage.notify(LeaderChanged("n1", 2, True))
    stage.machine.on_message(0, "n2", SubmitCommand({"command": COMMAND}))
    assert stage.said() == [Propose(0, COMMAND)]
    for wrong in (None, [], ["config", {"n9": 1}], ["members.move"], ["members.move", []], [7, {}]):
        stage.machine.on_message(0, "n2", SubmitCommand({"command": wrong}))
    assert stage.said() == []
    assert stage.machine.refused == 6


def found(name: str, host: str = "10.0.0.9") -> Found:
    return Found(name, host, 10_000, 9999, "hybrid", 1)


def members(*names: str) -> Changed:
    view = {name: {"host": "10.0.0.9", "port": 10_000} for name in names if not name.startswith("-")}
    return Changed("members", [name.removeprefix("-") for name in names], view)


def test_who_is_found_is_met_once_for_each_address() -> None:
    stage = Stage(Roster)
    assert stage.notify(found("n2")) == [Meet("n2", "10.0.0.9", 10_000)]
    assert stage.notify(found("n2")) == []
    assert stage.notify(found("n2", "10.0.0.8")) == [Meet("n2", "10.0.0.8", 10_000)]
    assert stage.notify(found("n1")) == []


def test_a_member_gets_the_log_until_it_is_removed() -> None:
    stage = Stage(Roster)
    assert "n4" not in stage.machine
    stage.notify(found("n4"))
    assert "n4" in stage.machine
    assert stage.machine.names == ["n1", "n2"]
    assert stage.notify(members("n4")) == [RosterChanged(("n1", "n2", "n4"))]
    timer = SetTimer(TIMER, 1, FAREWELL_NS)
    assert stage.notify(members("-n4")) == [timer]
    assert "n4" in stage.machine, "it must hear that it was removed"
    stage.now = FAREWELL_NS
    stage.machine.on_timer(stage.now, TIMER)
    assert stage.said() == [RosterChanged(("n1", "n2")), Part("n4")]
    assert "n4" not in stage.machine


def test_a_member_that_is_back_in_time_is_not_forgotten() -> None:
    stage = Stage(Roster)
    stage.notify(members("n4"), members("-n4"), members("n4"))
    stage.now = FAREWELL_NS
    stage.machine.on_timer(stage.now, TIMER)
    assert stage.said() == []
    assert "n4" in stage.machine


def test_a_voter_stays_known_when_it_is_no_member_any_more() -> None:
    stage = Stage(Roster)
    assert stage.notify(members("n2")) == [Meet("n2", "10.0.0.9", 10_000)]
    assert stage.notify(members("-n2")) == []
    assert "n2" in stage.machine


def test_strangers_are_bounded_and_members_are_none() -> None:
    stage = Stage(Roster)
    stage.notify(members("m"))
    for i in range(UNREGISTERED_LIMIT + 1):
        stage.notify(found(f"x{i}"))
    assert "x0" not in stage.machine
    assert "x1" in stage.machine
    assert "m" in stage.machine
