"""What clients are answered: outcomes, sessions, forwarding, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.config.node import MS, NodeConfig
from tribulation.node.core.application.registry import Applications
from tribulation.node.core.application.sessions import Sessions
from tribulation.node.core.clients.request import parse
from tribulation.node.core.interface.messages import AppendReply, Forward, ForwardReply, Heartbeat
from tribulation.node.flaws.switch import Flaws

from .cluster import Cluster
from .solo import Solo


def ready(**options: object) -> tuple[Cluster, str, str, int]:
    """A cluster with a leader, a follower and an open session."""
    cluster = Cluster(11, **options).start()  # type: ignore[arg-type]
    leader = cluster.wait_leader()
    follower = next(name for name in cluster.nodes if name != leader)
    return cluster, leader, follower, cluster.call(follower, {"open": True})["session"]


def test_a_transaction_takes_effect_whole_or_not_at_all() -> None:
    cluster, _leader, follower, session = ready()
    ops = [["r", "a"], ["w", "a", 5], ["append", "b", 7], ["cas", "a", 5, 6]]
    reply = cluster.call(follower, {"session": session, "seq": 1, "ops": ops})
    assert (reply["status"], reply["results"]) == ("ok", [None, 5, [7], 6])
    reply = cluster.call(follower, {"session": session, "seq": 2, "ops": [["w", "b", 0], ["cas", "a", 5, 9]]})
    assert (reply["status"], reply["error"], reply["results"]) == ("fail", "mismatch", [6])
    assert reply["message"] == "a is 6, not 5"
    read = cluster.call(follower, {"ops": [["r", "a"], ["r", "b"]]})
    assert read["results"] == [6, [7]]


def test_a_retry_takes_effect_once_wherever_it_is_sent() -> None:
    cluster, leader, follower, session = ready()
    body = {"session": session, "seq": 1, "ops": [["append", "k", 1]]}
    first = cluster.call(follower, body)
    again = cluster.call(leader, body)
    assert (again["results"], again["index"]) == (first["results"], first["index"]) == ([[1]], first["index"])
    cluster.call(leader, {**body, "seq": 5})
    assert cluster.call(leader, body)["error"] == "superseded"
    assert cluster.call(leader, {**body, "session": 999})["error"] == "session-expired"


def test_sessions_survive_snapshots_and_restarts() -> None:
    cluster, leader, _follower, session = ready(snapshot_threshold=3)
    for seq in range(1, 10):
        cluster.call(leader, {"session": session, "seq": seq, "ops": [["append", "k", seq]]})
    for node in cluster.nodes.values():
        node.stop(power=True)
    assert all("snapshot" in node.disk.files() for node in cluster.nodes.values())
    for node in cluster.nodes.values():
        node.start()
    leader = cluster.wait_leader()
    reply = cluster.call(leader, {"session": session, "seq": 9, "ops": [["append", "k", 9]]})
    assert reply["results"] == [list(range(1, 10))]


def test_the_least_recently_used_session_is_evicted() -> None:
    sessions = Sessions(Flaws(), limit=2)
    sessions.open(1)
    sessions.open(2)
    assert sessions.answered(1, 1) is None
    sessions.open(3)
    expired = sessions.answered(2, 1)
    assert expired is not None and expired["error"] == "session-expired"
    assert sessions.answered(1, 1) is None


def test_without_a_quorum_writes_are_refused_and_stale_reads_answer_marked() -> None:
    cluster, leader, follower, session = ready(nodes=5)
    cluster.call(leader, {"session": session, "seq": 1, "ops": [["w", "k", 1]]})
    cluster.run(300 * MS)
    minority = [leader, follower]
    cluster.partition(minority, [name for name in cluster.nodes if name not in minority])
    reply = cluster.call(leader, {"session": session, "seq": 2, "ops": [["w", "k", 2]]})
    assert (reply["status"], reply["error"]) == ("info", "leader-changed"), "it was appended before the leader knew"
    cluster.run(1200 * MS)
    for node in minority:
        reply = cluster.call(node, {"session": session, "seq": 3, "ops": [["w", "k", 3]]})
        assert (reply["status"], reply["error"], reply["leader"]) == ("fail", "no-quorum", None)
        assert cluster.call(node, {"ops": [["r", "k"]]})["error"] == "no-quorum"
        stale = cluster.call(node, {"level": "stale", "ops": [["r", "k"]]})
        assert (stale["status"], stale["results"], stale["stale"]) == ("ok", [1], True)
    cluster.heal()
    other = Cluster.wait_leader(cluster)
    cluster.run(1500 * MS)
    assert cluster.call(other, {"ops": [["r", "k"]]})["results"] in ([1], [2])


def test_a_command_waits_for_an_election_and_then_goes_through() -> None:
    cluster, leader, follower, session = ready()
    cluster.nodes[leader].stop()
    cluster.run(250 * MS)
    reply = cluster.call(follower, {"session": session, "seq": 1, "deadline_ms": 3000, "ops": [["w", "k", 1]]})
    assert reply["status"] in ("ok", "fail"), reply
    assert reply["status"] == "ok" or reply["error"] == "no-quorum"


def test_a_sequential_read_waits_until_its_client_would_not_go_back() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(1, 1, 0))
    assert n1.ask(level="sequential", seen=3, ops=[["r", "k"]], deadline_ms=100) == []
    n1.pass_time(200)
    assert (n1.replies[0]["status"], n1.replies[0]["error"]) == ("fail", "timeout")
    assert n1.ask(level="sequential", seen=0, ops=[["r", "k"]])[0]["index"] == 0


def test_a_forward_is_taken_by_the_leader_of_its_term_only() -> None:
    n1 = Solo()
    term = n1.lead()
    work = {"command": ["sessions.open"]}
    [(peer, reply)] = n1.receive("n2", Forward(term - 1, 1, 9, 500, work))
    assert peer == "n2" and isinstance(reply, ForwardReply)
    assert (reply.body["status"], reply.body["error"]) == ("fail", "not-leader")
    n1.receive("n2", Forward(term, 1, 10, 500, work))
    n1.receive("n2", Forward(term, 1, 10, 500, work))
    assert n1.status()["last_index"] == 2, "the duplicate is not appended"


SPAWN = {"command": ["agents.spawn", {"agent": "a", "type": "code"}]}
HOSTS: dict[str, Any] = {"membership": {}, "agents": {}}


def test_a_late_repeat_of_a_forward_without_a_session_is_ignored_for_the_whole_term() -> None:
    """Its first copy was answered long ago: taken again, a spawn brought an agent back that was stopped since."""
    n1 = Solo(**HOSTS)
    term = n1.lead()
    n1.receive("n2", Forward(term, 1, 10, 500, SPAWN))
    index = n1.status()["last_index"]
    n1.receive("n2", AppendReply(term, True, 0, index, False))
    assert n1.to("n2", ForwardReply), "it is answered, and pending no more"
    index = n1.status()["last_index"]
    n1.receive("n2", Forward(term, 1, 10, 500, SPAWN))
    assert n1.status()["last_index"] == index and not n1.to("n2", ForwardReply)
    n1.receive("n2", Forward(term, 1, 11, 500, SPAWN))
    assert n1.status()["last_index"] == index + 1, "another one is taken"


def test_a_command_without_a_session_is_in_doubt_and_not_sent_to_the_next_leader() -> None:
    n1 = Solo(**HOSTS)
    n1.receive("n2", Heartbeat(1, 1, 0))
    name, fields = SPAWN["command"]
    n1.ask(do=name, **{"with": fields}, deadline_ms=400)
    assert [m.term for m in n1.to("n2", Forward)] == [1]
    sent = n1.receive("n3", Heartbeat(2, 1, 0))
    assert not [m for _, m in sent if isinstance(m, Forward)]
    assert [(reply["status"], reply["error"]) for reply in n1.replies] == [("info", "leader-changed")]


def test_a_forwarded_command_without_an_answer_goes_to_the_next_leader_and_ends_unknown() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(1, 1, 0))
    n1.ask(session=4, seq=1, ops=[["w", "k", 1]], deadline_ms=400)
    assert [m.term for m in n1.to("n2", Forward)] == [1]
    sent = n1.receive("n3", Heartbeat(2, 1, 0))
    assert [m.term for p, m in sent if isinstance(m, Forward) and p == "n3"] == [2]
    refusal = {"status": "fail", "error": "not-leader", "term": 2}
    n1.receive("n3", ForwardReply(1, 1, refusal))
    assert n1.replies == [], "the first attempt may have been appended, so no refusal is definite"
    n1.pass_time(450)
    assert (n1.replies[0]["status"], n1.replies[0]["error"]) == ("info", "timeout")


def test_a_refusal_is_definite_only_where_no_earlier_copy_was_proposed() -> None:
    """A link delivered a forward twice; the leader applied the first copy, was deposed, and refused the second: the client heard `fail`."""
    n1 = Solo()
    term = n1.lead()
    work = {"command": ["sessions.open"]}

    def definite(term: int, number: int) -> bool:
        [(_, reply)] = n1.receive("n2", Forward(term, 1, number, 500, work))
        assert isinstance(reply, ForwardReply) and reply.body["error"] == "not-leader"
        return reply.body["definite"] is True

    n1.receive("n2", Forward(term, 1, 10, 500, work))
    n1.receive("n2", AppendReply(term, True, 0, n1.status()["last_index"], False))
    n1.receive("n3", Heartbeat(term + 1, term, 0))
    assert [definite(term, number) for number in (9, 10, 11)] == [False, False, True]
    assert not definite(term - 1, 12), "it may have led that term before it was started again"


@pytest.mark.parametrize(("definite", "status"), [(True, "fail"), (False, "info"), (None, "info")])
def test_a_command_whose_refusal_is_not_definite_ends_unknown(definite: bool | None, status: str) -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(1, 1, 0))
    n1.ask(session=4, seq=1, ops=[["w", "k", 1]], deadline_ms=400)
    refusal = {"status": "fail", "error": "not-leader", "term": 1}
    n1.receive("n2", ForwardReply(1, 1, refusal | ({} if definite is None else {"definite": definite})))
    n1.pass_time(450)
    assert n1.replies[0]["status"] == status


def test_too_many_requests_are_refused_as_busy() -> None:
    n1 = Solo(max_pending_requests=2)
    assert n1.ask(open=True) == [] and n1.ask(open=True) == []
    assert n1.ask(open=True)[0]["error"] == "busy"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id is None"),
        ({"id": 1, "ops": []}, r"ops is \[\]"),
        ({"id": 1, "ops": [["x", "k"]]}, r"ops\[0\] is \['x', 'k'\], not r, w, append or cas"),
        ({"id": 1, "ops": [["cas", "k", 1]]}, "cas has 3 operands"),
        ({"id": 1, "ops": [["r", 5]]}, r"ops\[0\] has the key 5"),
        ({"id": 1, "ops": [["w", "k", 1]]}, "session is None"),
        ({"id": 1, "ops": [["w", "k", float("nan")]], "session": 1, "seq": 1}, "not plain JSON"),
        ({"id": 1, "ops": [["w", "k", "x" * 200_000]], "session": 1, "seq": 1}, "more than 131072"),
        ({"id": 1, "ops": [["r", "k"]], "level": "strong"}, "level is 'strong'"),
        ({"id": 1, "ops": [["r", "k"]], "deadline_ms": 0}, "deadline_ms is 0"),
        ({"id": 1, "ops": [["r", "k"]], "seen": True}, "seen is True"),
        ({"id": 1, "admin": "format"}, "admin is 'format'"),
    ],
)
def test_a_bad_request_is_reported_which_field_is_wrong(body: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        parse(body)


def test_the_bounds_of_a_task_are_those_of_the_node_that_is_asked() -> None:
    config = NodeConfig.from_json(
        {"node": "n1", "cluster": "c", "peers": {"n1": ["127.0.0.1", 1]}, "membership": {}, "agents": {"queue": 7}}
    )
    task = {"task": "t1", "type": "code", "handler": "echo"}
    asked = {"id": 1, "do": "tasks.submit", "with": {**task, "max_retries": 0, "max_queue": 9}}
    call = parse(asked, Applications(config), "n1", config.agents).call
    assert call == ("tasks.submit", {"from": "n1", **task, "max_retries": 0, "max_queue": 7})
    call = parse({**asked, "with": task}, Applications(config), "n1", config.agents).call
    assert call is not None and (call[1]["max_retries"], call[1]["max_queue"]) == (3, 7)


def test_administration() -> None:
    cluster, leader, follower, _session = ready(nodes=4, voters={"n1": 2, "n2": 1, "n3": 1})
    assert cluster.call(follower, {"admin": "voters", "voters": {"n9": 1}})["error"] == "bad-request"
    reply = cluster.call(follower, {"admin": "voters", "voters": dict.fromkeys(cluster.nodes, 1)}, 20_000 * MS)
    assert reply["status"] == "ok", reply
    assert cluster.call(leader, {"admin": "status"})["voters"] == dict.fromkeys(cluster.nodes, 1)
    assert cluster.call(leader, {"admin": "transfer", "to": follower})["status"] == "ok"
    cluster.run(200 * MS)
    assert cluster.leader() == follower
    assert cluster.call(follower, {"admin": "trace-marker", "marker": "here"})["status"] == "ok"
    assert [fields for *_, event, fields in cluster.traces if event == "marker"] == [{"marker": "here"}]
    digests = {cluster.call(name, {"admin": "digest"})["digest"] for name in cluster.nodes}
    assert len(digests) == 1


def test_a_follower_reads_where_a_round_trip_takes_longer_than_its_patience() -> None:
    """It asks again after two heartbeats; each answer is of an ask before."""
    cluster = Cluster(
        3,
        delay=(70 * MS, 80 * MS),
        timing={"heartbeat_ns": 50 * MS, "election_min_ns": 900 * MS, "election_max_ns": 1800 * MS},
    )
    cluster.start()
    leader = cluster.wait_leader(30_000 * MS)
    cluster.run(2000 * MS)
    follower = next(name for name in cluster.nodes if name != leader)
    answer = cluster.call(follower, {"ops": [["r", "k"]], "deadline_ms": 2000})
    assert answer["status"] == "ok", answer
