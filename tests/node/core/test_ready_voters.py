"""A leader refuses a change of voters that would leave no quorum of voters that answer and vote."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.config.node import MS
from tribulation.node.core.interface.messages import AppendReply, Heartbeat, HeartbeatReply

from .cluster import Cluster
from .solo import Solo

ERROR = "no-voting-quorum"


def led(nodes: int = 3, settled: bool = True, **options: Any) -> tuple[Cluster, str, list[str]]:
    """A cluster, its leader, and the other nodes with those that vote first."""
    cluster = Cluster(11, nodes, **options).start()
    leader = cluster.wait_leader()
    if settled:
        cluster.run(1500 * MS)
    return cluster, leader, sorted(name for name in cluster.nodes if name != leader)


def ask(cluster: Cluster, leader: str, voters: dict[str, int], **fields: Any) -> dict[str, Any]:
    return cluster.call(leader, {"admin": "voters", "voters": voters, **fields})


def last_index(cluster: Cluster, node: str) -> int:
    core = cluster.nodes[node].core
    assert core is not None
    return int(core.status()["last_index"])


def serves(cluster: Cluster, node: str) -> bool:
    return cluster.call(node, {"open": True, "deadline_ms": 3000})["status"] == "ok"


@pytest.mark.parametrize("flaw", [None, "reconfigures-into-no-quorum"])
def test_a_removal_that_leaves_the_live_ones_without_a_quorum_is_refused(flaw: str | None) -> None:
    cluster, leader, (second, third) = led(flaws=[flaw] if flaw else [])
    cluster.nodes[third].stop()
    cluster.run(1500 * MS)
    before = last_index(cluster, leader)
    reply = ask(cluster, leader, {leader: 1, third: 1}, deadline_ms=1000)
    if flaw:
        cluster.run(3000 * MS)
        assert cluster.leader() is None, "two voters, one of them dead: no leader until an operator acts"
        return
    assert (reply["status"], reply["error"]) == ("fail", ERROR)
    assert f"{third} has not answered for " in reply["message"] and second not in reply["message"].split("quorum: ")[1]
    assert "hint: " in reply["message"]
    assert last_index(cluster, leader) == before and cluster.leader() == leader and serves(cluster, second)


def test_a_dead_voter_of_three_can_be_removed() -> None:
    cluster, leader, (second, third) = led()
    cluster.nodes[third].stop()
    cluster.run(1500 * MS)
    assert ask(cluster, leader, {leader: 1, second: 1})["status"] == "ok"
    assert serves(cluster, second)


def test_a_dead_node_cannot_become_the_second_of_two_voters() -> None:
    cluster, leader, others = led(voters={"n1": 1})
    cluster.nodes["n2"].stop()
    cluster.run(1500 * MS)
    reply = ask(cluster, leader, {"n1": 1, "n2": 1})
    assert (leader, reply["error"]) == ("n1", ERROR), reply
    assert ask(cluster, leader, {"n1": 1, "n3": 1})["status"] == "ok" and others


def test_every_step_on_the_way_needs_a_quorum() -> None:
    """The weights before and after are safe without n3; in between n1 to n3 weigh 6, and n1 alone 3."""
    cluster, leader, (second, third) = led()
    assert ask(cluster, leader, {leader: 2, second: 1})["status"] == "ok"
    cluster.nodes[second].stop()
    cluster.run(1500 * MS)
    before = last_index(cluster, leader)
    reply = ask(cluster, leader, {leader: 3, second: 3, third: 1})
    assert (reply["status"], reply["error"]) == ("fail", ERROR) and last_index(cluster, leader) == before
    assert ask(cluster, leader, {leader: 3, second: 1, third: 1})["status"] == "ok"


def test_the_leader_is_removed_only_if_the_others_are_a_quorum() -> None:
    cluster, leader, (second, third) = led()
    cluster.nodes[third].stop()
    cluster.run(1500 * MS)
    assert ask(cluster, leader, {second: 1, third: 1})["error"] == ERROR
    cluster.nodes[third].start()
    cluster.run(1500 * MS)
    assert ask(cluster, leader, {second: 1, third: 1})["status"] == "ok"
    cluster.run(1500 * MS)
    assert cluster.leader() in (second, third) and serves(cluster, second)


def test_a_minority_changes_no_voters() -> None:
    cluster, leader, others = led(5)
    cluster.partition([leader, others[0]], others[1:])
    reply = ask(cluster, leader, {leader: 1, others[0]: 1}, deadline_ms=5000)
    assert (reply["status"], reply["error"]) in (("info", "leader-changed"), ("info", ERROR)), reply
    cluster.run(3000 * MS)
    for node in (leader, others[0]):
        assert ask(cluster, node, {leader: 1, others[0]: 1})["error"] == "no-quorum"
    assert cluster.leader() in others[1:] and serves(cluster, others[1])
    cluster.heal()
    cluster.run(3000 * MS)
    voters = [node.core.status()["voters"] for node in cluster.nodes.values() if node.core]
    assert voters == [dict.fromkeys(sorted(cluster.nodes), 1)] * 5 and not cluster.violations


def test_a_forced_change_is_made_all_the_same() -> None:
    cluster, leader, (_second, third) = led()
    cluster.nodes[third].stop()
    cluster.run(1500 * MS)
    before = last_index(cluster, leader)
    assert ask(cluster, leader, {leader: 1, third: 1}, force=True, deadline_ms=500)["status"] == "info"
    assert last_index(cluster, leader) > before
    assert ask(cluster, leader, {leader: 1}, force=1)["error"] == "bad-request"


def test_a_new_leader_waits_for_answers_before_it_refuses() -> None:
    cluster, leader, (second, third) = led(settled=False)
    assert ask(cluster, leader, {leader: 2, second: 2, third: 1})["status"] == "ok"


def beat(n1: Solo, term: int, *peers: str) -> None:
    """Let an election timeout pass in which these nodes answer the heartbeats."""
    for _ in range(20):
        n1.pass_time(60)
        answers = [(peer, HeartbeatReply(term, beat.round)) for peer in peers for beat in n1.to(peer, Heartbeat)[-1:]]
        for peer, answer in answers:
            n1.receive(peer, answer)


def torn_third(nodes: int = 4) -> tuple[Solo, int]:
    """A leader that three voters elected. The third lost the end of its log, the fourth node does not vote yet."""
    n1 = Solo(nodes=nodes, voters={"n1": 1, "n2": 1, "n3": 1})
    term = n1.lead()
    for peer in ("n2", "n4"):
        n1.receive(peer, AppendReply(term, True, 0, 1, False))
    n1.receive("n3", AppendReply(term, False, 0, 0, True))
    beat(n1, term, "n2", "n3", "n4")
    return n1, term


def test_a_torn_voter_is_no_vote_and_can_be_replaced() -> None:
    n1, _term = torn_third()
    before = n1.status()["last_index"]
    [reply] = n1.ask(admin="voters", voters={"n1": 1, "n3": 1})
    assert reply["error"] == ERROR and "n3 lost the end of its log" in reply["message"], reply
    assert n1.status()["last_index"] == before
    assert n1.ask(admin="voters", voters={"n1": 1, "n2": 1, "n4": 1}) == []
    assert n1.status()["voters"] == {"n1": 1, "n2": 1, "n3": 1, "n4": 1}


def test_a_node_that_lacks_much_of_the_log_is_no_vote() -> None:
    n1 = Solo(max_batch=2)
    term = n1.lead()
    n1.receive("n2", AppendReply(term, True, 0, 1, False))
    for number in range(1, 6):
        n1.ask(open=True)
        n1.receive("n2", AppendReply(term, True, number, number + 1, False))
    beat(n1, term, "n2", "n3")
    [reply] = n1.ask(admin="voters", voters={"n1": 1, "n3": 1})
    assert reply["error"] == ERROR and "n3 lacks 6 committed entries" in reply["message"], reply


def test_a_change_whose_voters_die_on_the_way_is_given_up_and_may_be_partly_made() -> None:
    n1, term = torn_third()
    assert n1.ask(admin="voters", voters={"n1": 1, "n2": 1, "n4": 2}) == []
    beat(n1, term, "n2", "n3")
    [reply] = [reply for reply in n1.replies if "error" in reply]
    assert (reply["status"], reply["error"]) == ("info", ERROR) and "n4 has not answered for " in reply["message"]


def test_without_writes_a_torn_voter_becomes_whole_by_an_empty_entry() -> None:
    """It holds the whole log, and is torn until an entry follows: no later attempt would be accepted in a quiet cluster."""
    n1, term = torn_third()
    last = n1.status()["last_index"]
    n1.receive("n3", AppendReply(term, True, 0, last, True))
    assert n1.ask(admin="voters", voters={"n1": 1, "n3": 1})[0]["error"] == ERROR
    assert n1.status()["last_index"] == last + 1
    n1.receive("n3", AppendReply(term, True, last, last + 1, False))
    assert n1.ask(admin="voters", voters={"n1": 1, "n3": 1}) == []
    assert n1.status()["voters"] == {"n1": 1, "n3": 1}
