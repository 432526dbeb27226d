"""Raft's rules as literal stories: what one node is reported, and what it does."""

from __future__ import annotations

from tribulation.node.core.interface.entry import Entry, make_entry
from tribulation.node.core.interface.messages import (
    AppendEntries,
    AppendReply,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    ReadIndex,
    ReadIndexReply,
    TimeoutNow,
    Vote,
    VoteReply,
)

from .disk import Disk
from .solo import Solo


def entries(*terms: int, first: int = 1) -> tuple[Entry, ...]:
    return tuple(make_entry(first + i, term, ["noop"]) for i, term in enumerate(terms))


def test_silence_leads_to_a_pre_vote_and_a_quorum_of_those_to_an_election() -> None:
    n1 = Solo()
    n1.pass_time(650)
    assert n1.to("n2", PreVote) == [PreVote(1, 0, 0)] and n1.status()["term"] == 0
    assert n1.receive("n2", PreVoteReply(0, 1, False)) == []
    assert n1.receive("n3", PreVoteReply(0, 1, True)) == [("n2", Vote(1, 0, 0, False)), ("n3", Vote(1, 0, 0, False))]
    n1.receive("n2", VoteReply(1, True))
    assert n1.to("n3", Heartbeat) == [Heartbeat(1, 1, 0)]
    assert n1.to("n3", AppendEntries) == [AppendEntries(1, 0, 0, entries(1), 0)]
    assert n1.traced("leader") == [
        {"term": 1, "last_index": 0, "votes": ["n1", "n2"], "voters": {"n1": 1, "n2": 1, "n3": 1}}
    ]


def test_votes_are_asked_for_and_given_only_when_term_and_vote_are_durable() -> None:
    n1 = Solo()
    n1.slow = True
    assert n1.receive("n2", Vote(5, 0, 0, False)) == [] and n1.traced("vote") == []
    n1.store()
    assert n1.sent == [("n2", VoteReply(5, True))] and n1.traced("vote") == [{"term": 5, "candidate": "n2"}]


def test_one_vote_a_term_even_after_a_crash() -> None:
    disk = Disk()
    n1 = Solo(disk=disk)
    assert n1.receive("n2", Vote(5, 0, 0, False)) == [("n2", VoteReply(5, True))]
    disk.names = disk.durable
    again = Solo(disk=disk, incarnation=2)
    assert again.traced("start")[0]["voted_for"] == "n2"
    assert again.receive("n3", Vote(5, 9, 5, False)) == [("n3", VoteReply(5, False))]
    assert again.receive("n2", Vote(5, 0, 0, False)) == [("n2", VoteReply(5, True))]


def test_no_vote_for_an_older_log() -> None:
    n1 = Solo()
    n1.receive("n2", AppendEntries(2, 0, 0, entries(1, 2), 0))
    n1.pass_time(700)
    assert n1.receive("n3", Vote(9, 5, 1, False)) == [("n3", VoteReply(9, False))]
    assert n1.receive("n3", Vote(9, 2, 2, False)) == [("n3", VoteReply(9, True))]


def test_a_living_leader_is_not_voted_out_unless_it_asks() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(3, 1, 0))
    assert n1.receive("n3", Vote(4, 9, 3, False)) == [] and n1.status()["term"] == 3
    assert n1.receive("n3", PreVote(4, 9, 3)) == [("n3", PreVoteReply(3, 4, False))]
    assert n1.receive("n3", Vote(4, 9, 3, True)) == [("n3", VoteReply(4, True))]


def test_a_leader_of_an_old_term_is_reported_the_new_one() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(3, 1, 0))
    assert n1.receive("n3", AppendEntries(2, 0, 0, entries(2), 1)) == [("n3", HeartbeatReply(3, 0))]
    assert n1.status()["last_index"] == 0


def test_an_append_is_acknowledged_after_its_fsync_and_heartbeats_do_not_wait_for_it() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(1, 1, 0))
    n1.slow = True
    assert n1.receive("n2", AppendEntries(1, 0, 0, entries(1, 1), 1)) == []
    assert n1.receive("n2", Heartbeat(1, 2, 0)) == [("n2", HeartbeatReply(1, 2))]
    n1.store()
    assert n1.sent[-1] == ("n2", AppendReply(1, True, 0, 2, False))


def test_everything_staged_while_the_disk_is_busy_goes_in_one_batch() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(1, 1, 0))
    n1.slow = True
    for index in range(1, 6):
        n1.receive("n2", AppendEntries(1, index - 1, 1 if index > 1 else 0, entries(1, first=index), 0))
    assert [type(effect).__name__ for effect in n1.queue] == ["Append", "Fsync"]
    n1.store()
    assert [fields["index"] for fields in n1.traced("durable")] == [1, 5]


def test_a_late_shorter_append_does_not_cut_what_was_acknowledged() -> None:
    n1 = Solo()
    n1.receive("n2", AppendEntries(1, 0, 0, entries(1, 1, 1), 0))
    assert n1.receive("n2", AppendEntries(1, 0, 0, entries(1), 0)) == [("n2", AppendReply(1, True, 0, 1, False))]
    assert n1.status()["last_index"] == 3


def test_a_conflict_cuts_and_a_gap_is_refused_with_where_to_go_on() -> None:
    n1 = Solo()
    n1.receive("n2", AppendEntries(2, 0, 0, entries(1, 2, 2), 1))
    assert n1.receive("n3", AppendEntries(3, 7, 3, (), 1)) == [("n3", AppendReply(3, False, 7, 3, False))]
    assert n1.receive("n3", AppendEntries(3, 3, 1, (), 1)) == [("n3", AppendReply(3, False, 3, 1, False))]
    assert n1.receive("n3", AppendEntries(3, 1, 1, entries(3, first=2), 2)) == [
        ("n3", AppendReply(3, True, 1, 2, False))
    ]
    assert n1.traced("truncate") == [{"from": 2}] and n1.status()["last_index"] == 2


def test_the_commit_index_follows_only_what_was_compared() -> None:
    n1 = Solo()
    n1.receive("n2", AppendEntries(1, 0, 0, entries(1, 1, 1), 0))
    n1.receive("n3", AppendEntries(2, 1, 1, (), 3))
    assert n1.status()["commit"] == 1


def test_a_contradicted_commit_stops_the_node() -> None:
    n1 = Solo()
    n1.receive("n2", AppendEntries(1, 0, 0, entries(1, 1), 2))
    n1.receive("n3", AppendEntries(2, 1, 1, entries(2, first=2), 2))
    assert n1.halted is not None and "index 2 (term 2) than the committed one (term 1)" in n1.halted
    assert "hint: " in n1.halted


def test_the_leader_counts_itself_only_when_durable_and_old_terms_only_with_its_own() -> None:
    n1 = Solo()
    n1.receive("n2", AppendEntries(1, 0, 0, entries(1), 0))
    n1.lead()
    n1.slow = True
    n1.ask(open=True)
    n1.receive("n2", AppendReply(2, True, 0, 1, False))
    assert n1.status()["commit"] == 0, "index 1 is of term 1"
    n1.receive("n2", AppendReply(2, True, 1, 3, False))
    assert n1.status()["commit"] == 2, "its own disk has the no-op of term 2 only"
    n1.store()
    assert n1.status()["commit"] == 3 and n1.replies[0]["session"] == 3


def test_a_read_waits_for_the_no_op_and_for_a_round_begun_after_it() -> None:
    n1 = Solo()
    term = n1.lead()
    assert n1.ask(ops=[["r", "k"]]) == []
    n1.receive("n2", AppendReply(term, True, 0, 1, False))
    assert n1.to("n3", Heartbeat) == [Heartbeat(term, 2, 0)]
    n1.receive("n3", HeartbeatReply(term, 1))
    assert n1.replies == [], "round 1 was begun before the read could be"
    n1.receive("n3", HeartbeatReply(term, 2))
    assert n1.replies[0]["results"] == [None] and n1.replies[0]["index"] == 1
    assert n1.traced("read-confirmed")[0]["acks"] == ["n3", "n1"]


def test_a_follower_reads_at_the_leaders_index_and_never_reuses_a_context() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(1, 1, 0))
    assert n1.ask(ops=[["r", "k"]]) == []
    assert n1.to("n2", ReadIndex) == [ReadIndex(1, 1, 1)]
    n1.pass_time(150)
    assert n1.ask(ops=[["r", "j"]]) == []
    assert n1.to("n2", ReadIndex) == [ReadIndex(1, 1, 2)]
    n1.receive("n2", ReadIndexReply(1, 1, 3, True, 0))
    assert n1.replies == [], "no client asked with that context"
    n1.receive("n2", ReadIndexReply(1, 1, 2, True, 2))
    assert n1.replies == [], "index 2 is not applied here yet"
    n1.receive("n2", AppendEntries(1, 0, 0, entries(1, 1), 2))
    assert n1.replies[0]["index"] == 2


def test_a_late_answer_serves_the_reads_that_it_was_asked_for_and_none_that_came_after() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(1, 1, 0))
    n1.ask(ops=[["r", "k"]])
    n1.pass_time(150)
    n1.ask(ops=[["r", "j"]])
    assert n1.to("n2", ReadIndex)[-1] == ReadIndex(1, 1, 2), "no node has answered yet"
    n1.receive("n2", ReadIndexReply(1, 1, 1, True, 0))
    assert len(n1.replies) == 1
    n1.receive("n2", ReadIndexReply(1, 1, 2, True, 0))
    assert len(n1.replies) == 2


def test_a_leader_without_answers_steps_down_and_says_so() -> None:
    n1 = Solo()
    n1.lead()
    n1.pass_time(1300)
    assert n1.status()["role"] != "leader" and not n1.status()["quorum"]
    assert any(fields["reason"] == "no quorum answers" for fields in n1.traced("follower"))
    assert n1.ask(open=True)[0]["error"] == "no-quorum"


def test_a_lease_read_is_served_within_the_lease_and_not_after() -> None:
    n1 = Solo(lease_reads=True)
    term = n1.lead()
    n1.receive("n2", AppendReply(term, True, 0, 1, False))
    n1.receive("n2", HeartbeatReply(term, 1))
    assert n1.ask(ops=[["r", "k"]])[0]["status"] == "ok"
    n1.pass_time(295)
    assert n1.ask(ops=[["r", "k"]])[0]["status"] == "ok"
    n1.pass_time(5)
    assert n1.ask(ops=[["r", "k"]]) == []


def test_a_handover_brings_the_target_up_to_date_first() -> None:
    n1 = Solo()
    term = n1.lead()
    n1.receive("n2", AppendReply(term, True, 0, 1, False))
    n1.ask(open=True)
    n1.ask(admin="transfer", to="n3")
    assert n1.to("n3", TimeoutNow) == []
    assert n1.receive("n3", AppendReply(term, True, 0, 2, False))[0] == ("n3", TimeoutNow(term))
    n1.receive("n3", Vote(term + 1, 2, term, True))
    assert n1.replies[-1]["status"] == "ok", n1.replies


def test_reported_to_stand_a_follower_stands_at_once() -> None:
    n1 = Solo()
    n1.receive("n2", Heartbeat(4, 1, 0))
    assert ("n3", Vote(5, 0, 0, True)) in n1.receive("n2", TimeoutNow(4))


def test_weights_change_one_step_an_entry_and_the_removed_leader_goes() -> None:
    n1 = Solo()
    term = n1.lead()
    n1.receive("n2", HeartbeatReply(term, 1))
    assert n1.ask(admin="voters", voters={"n2": 2, "n3": 1}) == []
    n1.receive("n2", AppendReply(term, True, 0, 1, False))
    assert n1.status()["voters"] == {"n1": 1, "n2": 2, "n3": 1} and n1.status()["last_index"] == 2
    n1.receive("n2", AppendReply(term, True, 1, 2, False))
    assert n1.status()["voters"] == {"n2": 2, "n3": 1} and n1.status()["commit"] == 2
    n1.receive("n2", AppendReply(term, True, 2, 3, False))
    assert n1.status()["role"] == "follower" and n1.to("n2", TimeoutNow) == [TimeoutNow(term)]
    assert n1.replies[-1]["status"] == "ok"
    assert all(not isinstance(message, PreVote) for _, message in n1.pass_time(2000))


def test_a_torn_node_does_not_vote_until_a_leader_brought_it_past_its_last_known_index() -> None:
    disk = Disk()
    n1 = Solo(disk=disk)
    n1.receive("n2", AppendEntries(1, 0, 0, entries(1, 1), 0))
    n1.receive("n2", AppendEntries(1, 2, 1, entries(1, first=3), 0))
    last = max(disk.names)
    del disk.names[last].data[-1:]
    again = Solo(disk=disk, incarnation=2)
    assert again.traced("start")[0]["torn"] is True and again.status()["last_index"] == 2
    assert again.receive("n3", Vote(7, 9, 6, False)) == [("n3", VoteReply(7, False))]
    assert not any(isinstance(message, PreVote) for _, message in again.pass_time(2000))
    assert again.receive("n3", AppendEntries(8, 2, 1, (), 1)) == [("n3", AppendReply(8, True, 2, 2, True))]
    again.receive("n3", AppendEntries(8, 2, 1, entries(1, 8, first=3), 1))
    assert again.status()["torn"] is False


def test_a_torn_followers_old_acknowledgements_no_longer_count() -> None:
    n1 = Solo(nodes=3)
    term = n1.lead()
    n1.ask(open=True)
    n1.receive("n2", AppendReply(term, False, 0, 0, True))
    n1.receive("n2", AppendReply(term, True, 0, 2, True))
    assert n1.status()["commit"] == 0
    n1.receive("n2", AppendReply(term, True, 2, 2, False))
    assert n1.status()["commit"] == 2


def test_a_failed_storage_operation_halts() -> None:
    from tribulation.node.core.interface.events import StorageDone

    n1 = Solo()
    n1.step(StorageDone(99, "EIO"))
    assert n1.halted is not None and n1.halted.startswith("storage operation 99 failed: EIO")
    assert n1.pass_time(5000) == []
