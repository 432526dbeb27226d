"""Agent memory that loses, never agrees, or has nothing to compare: stories of operations."""

from __future__ import annotations

from .memory_stories import FACT, LATEST, Book, both, counted
from .stories import kinds, only, unknown, valid


def test_everything_is_there():
    book = both().learn(1, {"sources": ["s"], "times_used": 2}, key=FACT).learn(3, {"times_used": 3}, key=FACT)
    book.recall(1, {"agents": ["a"]}).everywhere({"agents": ["a", "b"]})
    book.everywhere({"sources": ["s"], "times_used": 5}, key=FACT)
    stats = valid(book.digest(1, "d").digest(2, "d").digest(3, "d").result())
    assert (stats["records"], stats["changes"], stats["acknowledged"], stats["changed_at"]) == (2, 4, 4, 3)
    assert (stats["reads"], stats["final_nodes"], stats["reads_compared"]) == (7, 3, 7)


# Lost.


def test_an_element_that_was_acknowledged_is_missing():
    """n1 lost it and n3 never had it: they differ from n2, and n1 shows less than it acknowledged."""
    book = both().final().recall(1, {"agents": ["b"]}).recall(2, {"agents": ["a", "b"]}).recall(3, {"agents": ["b"]})
    result = book.result()
    assert kinds(result) == ["lost-update", "not-converged", "replica-went-back"]
    assert result.anomalies[0].ops == (0, 4)
    assert result.anomalies[0].explanation == (
        "On key episode/e1, a of agents was acknowledged and is missing at n1, n3: learn of {'agents': ['a']} by process 1 (index 0 to 1, 0.000 s to 0.001 s); "
        "recall by process 1 (index 4 to 5, 0.004 s to 0.005 s); n2 shows it."
    )
    assert result.anomalies[0].details["nodes"] == ["n1", "n3"]


def test_a_deletion_that_may_have_seen_an_element_explains_that_it_is_gone():
    """One that began before the other had ended may have come later; one that had ended may not."""
    valid(both().forget(3).everywhere({"agents": ["b"]}).result())
    valid(both().forget(3).everywhere(None).result())
    during = Book().begin(3, "forget").learn(1, {"agents": ["a"]}).learn(2, {"agents": ["b"]}).end(3)
    valid(during.everywhere({"agents": ["b"]}).result())
    unsure = Book().forget(3, ends="info").learn(1, {"agents": ["a"]}).learn(2, {"agents": ["b"]})
    valid(unsure.everywhere(None).result())
    before = Book().forget(3).learn(1, {"agents": ["a"]}).learn(2, {"agents": ["b"]}).everywhere({"agents": ["b"]})
    assert kinds(before.result()) == ["lost-update", "replica-went-back"]
    refused = both().forget(3, ends="fail").everywhere({"agents": ["b"]})
    assert kinds(refused.result()) == ["lost-update", "replica-went-back"]
    other = both().forget(3, key="episode/e2").everywhere({"agents": ["b"]})
    assert kinds(other.result()) == ["lost-update", "replica-went-back"]


def test_a_node_that_made_room_explains_it_too():
    book = (
        both()
        .line("n3", "memory-evicted", kind="episode", record="e1", dot=["n3.1.0", 4])
        .everywhere({"agents": ["b"]})
    )
    valid(book.result())


def test_an_element_of_unknown_outcome_may_be_there_or_not():
    unsure = both().learn(3, {"agents": ["c"]}, ends="info")
    valid(unsure.everywhere({"agents": ["a", "b"]}).result())
    valid(both().learn(3, {"agents": ["c"]}, ends="info").everywhere({"agents": ["a", "b", "c"]}).result())


def test_a_text_is_replaced_by_one_that_came_later_and_by_none_that_had_ended():
    later = Book().learn(1, {"goal": "x"}).learn(2, {"goal": "y"})
    valid(later.everywhere({"goal": "y"}).result())
    apart = Book().learn(1, {"goal": "x"}).learn(2, {"goal": "y"}).everywhere({"goal": "y"}, goal=["x", "y"])
    valid(apart.result())
    wrong = Book().learn(1, {"goal": "x"}).learn(2, {"goal": "y"}).everywhere({"goal": "x"})
    result = wrong.result()
    assert kinds(result) == ["lost-update", "replica-went-back"]
    assert result.anomalies[0].explanation.startswith(
        "On key episode/e1, y of goal was acknowledged and is missing at n1, n2, n3: learn"
    )
    together = Book().begin(1, "learn", {"goal": "x"}).learn(2, {"goal": "y"}).end(1)
    valid(together.everywhere({"goal": "x"}).result())
    gone = Book().learn(1, {"goal": "x"}).learn(2, {"agents": ["b"]}).everywhere({"agents": ["b"]})
    assert kinds(gone.result()) == ["lost-update", "replica-went-back"]


def test_whoever_replaced_a_text_is_shown_or_was_replaced_by_one_that_is():
    """y may have replaced x, and nothing replaced y: then y would be there. A write of unknown outcome may have come at any time."""
    lost = Book().begin(2, "learn", {"goal": "y"}).learn(1, {"goal": "x"}).end(2).learn(3, {"agents": ["b"]})
    assert "lost-update" in kinds(lost.everywhere({"agents": ["b"]}).result())
    unsure = Book().learn(2, {"goal": "y"}, ends="info").learn(1, {"goal": "x"}).learn(3, {"agents": ["b"]})
    valid(unsure.everywhere({"agents": ["b"], "goal": "y"}).result())


def test_a_count_is_what_was_acknowledged_and_at_most_what_is_in_doubt_besides():
    valid(counted(9, 9, 9).result())
    valid(counted(5, 5, 5, ends="info").result())
    valid(counted(9, 9, 9, ends="info").result())
    lost = only(counted(5, 5, 5).result(), "lost-count", (0, 4, 6))
    assert lost.explanation.startswith(
        "On key fact/f1, times_used is 5 at n1, n2, n3, although 3 acknowledged changes added 9 that no deletion can have seen: recall"
    )
    above = only(counted(10, 10, 10).result(), "phantom-count", (6,))
    assert "times_used is 10 in recall by process 1" in above.explanation
    assert "3 changes that may have happened added 9" in above.explanation
    only(counted(9, 9, 9, ends="fail").result(), "phantom-count", (6,))
    assert "lost-count" in kinds(counted(None, None, None).result())


def test_a_count_of_a_record_that_was_deleted_has_at_least_what_came_after():
    def deleted(count: int) -> Book:
        book = Book().learn(1, {"times_used": 2}, key=FACT).forget(2, key=FACT).learn(3, {"times_used": 4}, key=FACT)
        return book.everywhere({"times_used": count}, key=FACT)

    valid(deleted(4).learn(2, {"agents": ["b"]}, key="episode/e9").result())
    valid(deleted(6).result())
    assert "lost-count" in kinds(deleted(3).result())
    only(deleted(7).result(), "phantom-count", (6,))


def test_with_latest_wins_a_loss_names_what_won():
    book = both().everywhere({"agents": ["b"]})
    anomaly = only(book.result(**LATEST), "overwritten-update", (0, 2, 4))
    assert anomaly.explanation.endswith(
        ". What won is learn of {'agents': ['b']} by process 2 (index 2 to 3, 0.002 s to 0.003 s), which had not seen the lost one."
    )
    anomaly = only(both().everywhere({"agents": ["a"]}).result(**LATEST), "lost-to-an-earlier-update", (0, 2, 4))
    assert anomaly.explanation.endswith("which had ended 1 ms before the lost one began: a clock was wrong.")
    assert anomaly.details["won"] == 0
    assert "lost-update" in kinds(both().everywhere(None).result(**LATEST))


def test_with_latest_wins_time_stamps_say_what_won():
    """The clock of n1 is ahead: c, written there before a was, has the later stamp."""
    book = Book().learn(1, {"agents": ["c"]}, ts=[50, "n1", 1]).learn(2, {"agents": ["a"]}, ts=[30, "n2", 1])
    book.learn(1, {"agents": ["d"]}, ts=[60, "n1", 2]).everywhere({"agents": ["c", "d"]})
    anomaly = only(book.result(**LATEST), "lost-to-an-earlier-update", (0, 2, 6))
    assert anomaly.details["won"] == 0


def test_with_latest_wins_losses_may_be_counted_alone():
    counted = {"options": {"memory": {"conflicts": "latest-wins", "overwritten": "counted"}}}
    stats = valid(both().learn(2, {"times_used": 2}).everywhere({"agents": ["b"]}).result(**counted))
    assert stats["overwritten"] == 2
    apart = both().final().recall(1, {"agents": ["a"]}).recall(2, {"agents": ["b"]}).recall(3, {"agents": ["b"]})
    only(apart.result(**counted), "not-converged", (4, 6))


def test_what_a_disk_lost_that_alone_had_it_is_no_violation_and_what_a_quorum_had_is():
    wiped = both().everywhere({"agents": ["b"]}).fault("wipe", "n1", 1.5, 3)
    assert valid(wiped.result())["excused_by_lost_disks"] == 1
    others = both().everywhere({"agents": ["a"]}).fault("wipe", "n1", 1.5, 3)
    assert kinds(others.result()) == ["lost-update", "replica-went-back"]
    quorum = Book().learn(1, {"agents": ["a"]}, level="quorum").learn(2, {"agents": ["b"]})
    assert kinds(quorum.everywhere({"agents": ["b"]}).fault("wipe", "n1", 1.5, 3).result()) == ["lost-update"]
    after = Book().fault("wipe", "n1", 0, 1).learn(3, {"agents": ["c"]}).learn(1, {"agents": ["a"]})
    assert "lost-update" in kinds(after.everywhere({"agents": ["c"]}).result())
    killed = both().everywhere({"agents": ["b"]}).fault("kill", "n1", 1.5, 3)
    assert kinds(killed.result()) == ["lost-update", "replica-went-back"]


# Not converged.


def test_nodes_that_differ_at_the_end():
    unsure = both().learn(3, {"agents": ["c"], "times_used": 1}, ends="info").final()
    unsure.recall(1, {"agents": ["a", "b"]}).recall(2, {"agents": ["a", "b", "c"], "times_used": 1}).recall(
        3, {"agents": ["a", "b"]}
    )
    anomaly = only(unsure.result(), "not-converged", (5, 7))
    assert anomaly.explanation.startswith(
        "On key episode/e1, after the quiet period n1 and n2 show different records: only n2 has c of agents; recall by process 1"
    )
    texts = Book().learn(1, {"goal": "x"}).learn(2, {"goal": "y"}, ends="info").learn(3, {"agents": ["b"]}).final()
    texts.recall(1, {"goal": "x", "agents": ["b"]}).recall(2, {"goal": "y", "agents": ["b"]}).recall(
        3, {"goal": "x", "agents": ["b"]}
    )
    assert "goal is ['x'] and ['y']" in only(texts.result(), "not-converged", (5, 7)).explanation


def test_digests_that_differ_at_the_end():
    book = both().everywhere({"agents": ["a", "b"]}).digest(1, "d").digest(2, "e").digest(3, "d")
    anomaly = only(book.result(), "not-converged", (10, 12))
    assert (
        anomaly.explanation == "After the quiet period nodes hold different records, by their digests: n1, n3 d; n2 e."
    )
    valid(book.digest(2, "d").result())
    before = both().digest(1, "c").everywhere({"agents": ["a", "b"]}).digest(1, "d").digest(2, "d").digest(3, "d")
    valid(before.result())


def test_what_changes_in_the_quiet_period_may_be_on_its_way():
    late = (
        both()
        .final()
        .learn(3, {"agents": ["c"]})
        .recall(1, {"agents": ["a", "b"]})
        .recall(3, {"agents": ["a", "b", "c"]})
    )
    late.digest(1, "d").digest(3, "e").recall(2, {"agents": ["a", "b", "c"]})
    assert "not-converged" not in kinds(late.result())


# Doubt.


def test_nothing_to_compare():
    unknown(Book().recall(1, None).result(), "does not apply")
    unknown(
        Book().learn(1, {"agents": ["a"]}).everywhere({"agents": ["a"]}).result(),
        "changes were acknowledged at 1 nodes",
    )
    unknown(both().result(), "no read after the quiet period")
    unknown(both().everywhere({"agents": ["a", "b"]}).result(phases={}), "no read after the quiet period")
    some = both().final().recall(1, {"agents": ["a", "b"]})
    unknown(some.result(), "n2, n3 answered no final read, so their content may differ")
