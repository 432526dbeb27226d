"""Every flaw does its harm, and the correct node does not."""

from __future__ import annotations

from typing import Any

import pytest

from tribulation.node.config.node import MS
from tribulation.node.core.interface.entry import make_entry
from tribulation.node.core.interface.messages import AppendEntries, AppendReply, HeartbeatReply, Vote, VoteReply
from tribulation.node.errors import ConfigError
from tribulation.node.flaws.switch import FLAWS, Flaws

from .cluster import Cluster
from .disk import Disk
from .load import Load
from .solo import Solo

S = 1000 * MS


def split_and_heal(flaws: list[str], minority: int, jump_ns: int = 0) -> list[str]:
    """Five nodes under load; the leader with `minority - 1` others is cut off for 4 s, its wall clock set by `jump_ns`; then whole again."""
    cluster = Cluster(3, 5, checking=0, wire=False, flaws=flaws).start()
    load = Load(cluster, clients=5, pause_ms=80).start()
    leader = cluster.wait_leader()
    cluster.run(S // 2)
    others = [name for name in cluster.nodes if name != leader]
    cluster.partition([leader, *others[: minority - 1]], others[minority - 1 :])
    cluster.offsets[leader] = jump_ns
    cluster.run(4 * S)
    cluster.offsets.clear()
    cluster.heal()
    cluster.run(S)
    load.stopped = True
    cluster.run(S)
    return load.check()


PARTITIONED: list[tuple[str, int, int]] = [
    ("stale-read-from-deposed-leader", 1, 0),
    ("ack-before-majority", 2, 0),
    ("quorum-of-live", 2, 0),
    ("wall-clock-lease", 1, -60 * S),
]


@pytest.mark.parametrize(("flaw", "minority", "jump_ns"), PARTITIONED)
def test_a_partition_of_four_seconds_shows_it(flaw: str, minority: int, jump_ns: int) -> None:
    assert any("not linearizable" in problem for problem in split_and_heal([flaw], minority, jump_ns))


@pytest.mark.parametrize(("minority", "jump_ns"), [(1, -60 * S), (2, 0)])
def test_the_correct_node_stands_the_same(minority: int, jump_ns: int) -> None:
    assert split_and_heal([], minority, jump_ns) == []


def flawed(flaw: str | None, **options: Any) -> Solo:
    return Solo(flaws=[flaw] if flaw else [], **options)


def noops(*terms: int, first: int = 1) -> tuple[Any, ...]:
    return tuple(make_entry(first + i, term, ["noop"]) for i, term in enumerate(terms))


@pytest.mark.parametrize("flaw", [None, "ack-before-fsync"])
def test_ack_before_fsync(flaw: str | None) -> None:
    n1 = flawed(flaw)
    n1.receive("n2", AppendEntries(1, 0, 0, noops(1), 0))
    n1.slow = True
    sent = n1.receive("n2", AppendEntries(1, 1, 1, noops(1, first=2), 0))
    assert sent == ([("n2", AppendReply(1, True, 1, 2, False))] if flaw else [])


@pytest.mark.parametrize("flaw", [None, "vote-not-durable"])
def test_vote_not_durable(flaw: str | None) -> None:
    disk = Disk()
    assert flawed(flaw, disk=disk).receive("n2", Vote(5, 0, 0, False)) == [("n2", VoteReply(5, True))]
    again = flawed(flaw, disk=disk, incarnation=2)
    assert again.receive("n3", Vote(5, 0, 0, False)) == [("n3", VoteReply(5, flaw is not None))]


@pytest.mark.parametrize("flaw", [None, "no-log-freshness"])
def test_no_log_freshness(flaw: str | None) -> None:
    n1 = flawed(flaw)
    n1.receive("n2", AppendEntries(1, 0, 0, noops(1, 1), 2))
    n1.pass_time(700)
    assert n1.receive("n3", Vote(9, 0, 0, False)) == [("n3", VoteReply(9, flaw is not None))]


@pytest.mark.parametrize("flaw", [None, "dup-vote-counted"])
def test_dup_vote_counted(flaw: str | None) -> None:
    n1 = flawed(flaw, nodes=5)
    n1.pass_time(650)
    from tribulation.node.core.interface.messages import PreVoteReply

    for peer in ("n2", "n3"):
        n1.receive(peer, PreVoteReply(0, 1, True))
    for _ in range(2):
        n1.receive("n2", VoteReply(1, True))
    assert n1.status()["role"] == ("leader" if flaw else "candidate")


@pytest.mark.parametrize("flaw", [None, "no-noop-stale-read"])
def test_no_noop_stale_read(flaw: str | None) -> None:
    n1 = flawed(flaw)
    n1.receive("n2", AppendEntries(1, 0, 0, noops(1, 1), 0))
    term = n1.lead()
    n1.ask(ops=[["r", "k"]])
    for number in (1, 2):
        n1.receive("n2", HeartbeatReply(term, number))
    assert [reply["index"] for reply in n1.replies] == ([0] if flaw else [])


@pytest.mark.parametrize("flaw", [None, "readindex-context-reuse"])
def test_readindex_context_reuse(flaw: str | None) -> None:
    n1 = flawed(flaw)
    term = n1.lead()
    n1.receive("n2", AppendReply(term, True, 0, 1, False))
    n1.ask(ops=[["r", "k"]])
    n1.receive("n2", HeartbeatReply(term, 1))
    assert len(n1.replies) == (1 if flaw else 0), "the answer to round 1 may be older than the read"


@pytest.mark.parametrize("flaw", [None, "commit-old-term-by-count"])
def test_commit_old_term_by_count(flaw: str | None) -> None:
    n1 = flawed(flaw)
    n1.receive("n2", AppendEntries(1, 0, 0, noops(1), 0))
    term = n1.lead()
    n1.receive("n2", AppendReply(term, True, 0, 1, False))
    assert n1.status()["commit"] == (1 if flaw else 0)


@pytest.mark.parametrize("flaw", [None, "commit-past-verified"])
def test_commit_past_verified(flaw: str | None) -> None:
    n1 = flawed(flaw)
    n1.receive("n2", AppendEntries(1, 0, 0, noops(1, 1, 1), 0))
    n1.receive("n3", AppendEntries(2, 1, 1, (), 3))
    assert n1.status()["commit"] == (3 if flaw else 1)


@pytest.mark.parametrize("flaw", [None, "weights-from-parity"])
def test_weights_from_parity(flaw: str | None) -> None:
    n1 = flawed(flaw, nodes=4, voters={"n1": 1, "n2": 1, "n3": 1, "n4": 1}, preferred="n1")
    assert n1.status()["voters"] == {"n1": 2 if flaw else 1, "n2": 1, "n3": 1, "n4": 1}


@pytest.mark.parametrize("flaw", [None, "no-client-dedup"])
def test_no_client_dedup(flaw: str | None) -> None:
    cluster = Cluster(5, flaws=[flaw] if flaw else []).start()
    leader = cluster.wait_leader()
    session = cluster.call(leader, {"open": True})["session"]
    for _ in range(2):
        reply = cluster.call(leader, {"session": session, "seq": 1, "ops": [["append", "k", 1]]})
    assert reply["results"] == [[1, 1] if flaw else [1]]


def test_every_flaw_is_registered_and_an_unknown_one_is_refused() -> None:
    assert sorted(name.replace("-", "_") for name in FLAWS) == sorted(Flaws.__dataclass_fields__)
    assert not Flaws().any and Flaws.from_names(["ack-before-majority"]).any
    with pytest.raises(ConfigError, match="there is no flaw 'nope'"):
        Flaws.from_names(["nope"])
