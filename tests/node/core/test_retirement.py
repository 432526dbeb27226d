"""A member that leaves votes no more."""

from __future__ import annotations

from tribulation.node.core.cluster.retirement import AGAIN_NS, TIMER, Retirement
from tribulation.node.core.interface.signals import Changed, LeaderChanged, SetVoters, VotersChanged

from .test_submitter import Stage


def members(**states: str) -> Changed:
    return Changed("members", list(states), {name: {"state": state} for name, state in states.items() if state})


def asked(stage: Stage) -> list[SetVoters]:
    stage.machine.flush(stage.now)
    return [signal for signal in stage.said() if isinstance(signal, SetVoters)]


def test_the_leader_takes_the_weight_of_who_leaves_and_asks_again_until_it_is_gone() -> None:
    stage = Stage(Retirement)
    stage.notify(LeaderChanged("n1", 2, True), VotersChanged({"n1": 1, "n2": 1, "n3": 1}))
    assert asked(stage) == []
    stage.notify(members(n2="LEAVING"))
    assert asked(stage) == [SetVoters(-1, {"n1": 1, "n3": 1})]
    assert asked(stage) == []
    stage.now += AGAIN_NS
    stage.machine.on_timer(stage.now, TIMER)
    assert asked(stage) == [SetVoters(-2, {"n1": 1, "n3": 1})]
    stage.notify(VotersChanged({"n1": 1, "n3": 1}))
    stage.machine.on_timer(stage.now, TIMER)
    assert asked(stage) == []


def test_nobody_else_does_and_a_failed_member_keeps_its_weight() -> None:
    stage = Stage(Retirement)
    stage.notify(VotersChanged({"n1": 1, "n2": 1}), members(n2="LEAVING"))
    assert asked(stage) == []
    leader = Stage(Retirement)
    leader.notify(LeaderChanged("n1", 2, True), VotersChanged({"n1": 1, "n2": 1}), members(n2="FAILED"))
    assert asked(leader) == []


def test_a_member_that_was_removed_before_its_weight_was_still_loses_it_and_one_that_is_back_does_not() -> None:
    stage = Stage(Retirement)
    stage.notify(LeaderChanged("n1", 2, True), VotersChanged({"n1": 1, "n2": 1}), members(n2="LEAVING"), members(n2=""))
    assert asked(stage) == [SetVoters(-1, {"n1": 1})]
    stage.machine.on_timer(stage.now, TIMER)
    stage.notify(members(n2="ACTIVE"))
    assert asked(stage) == []


def test_the_last_voter_keeps_its_weight() -> None:
    stage = Stage(Retirement)
    stage.notify(LeaderChanged("n1", 2, True), VotersChanged({"n1": 1}), members(n1="LEAVING"))
    assert asked(stage) == []
