"""Agent memory that loses, invents, forgets again or never agrees: stories of operations."""

from __future__ import annotations

import pytest

from checkers import Fault

from .memory_stories import Book
from .stories import MS, kinds, only, unknown, valid

FACT = "fact/f1"
LATEST = {"options": {"memory": {"conflicts": "latest-wins"}}}


def both() -> Book:
    """Two nodes each added an element."""
    return Book().learn(1, {"agents": ["a"]}).learn(2, {"agents": ["b"]})


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


def counted(*shown: int | None, ends: str = "ok") -> Book:
    book = Book().learn(1, {"times_used": 2}, key=FACT).learn(2, {"times_used": 3}, key=FACT)
    book.learn(3, {"times_used": 4}, key=FACT, ends=ends).final()
    for client, count in enumerate(shown, 1):
        book.recall(client, None if count is None else {"times_used": count}, key=FACT)
    return book


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


# Phantoms.


def test_elements_and_texts_of_nobody():
    anomaly = only(both().everywhere({"agents": ["a", "b", "z"]}).result(), "phantom-update", (4,))
    assert anomaly.explanation == (
        "On key episode/e1, z of agents is in recall by process 1 (index 4 to 5, 0.004 s to 0.005 s), which nobody wrote."
    )
    refused = both().learn(3, {"goal": "g"}, ends="fail").everywhere({"agents": ["a", "b"], "goal": "g"})
    assert (
        "although its change was refused: learn of {'goal': 'g'}"
        in only(refused.result(), "phantom-update", (4, 6)).explanation
    )
    early = Book().recall(3, {"agents": ["a"]}).learn(1, {"agents": ["a"]}).learn(2, {"agents": ["b"]})
    assert (
        "before anybody wrote it"
        in only(early.everywhere({"agents": ["a", "b"]}).result(), "phantom-update", (0, 2)).explanation
    )
    during = Book().begin(1, "learn", {"agents": ["a"]}).recall(3, {"agents": ["a"]}).end(1).learn(2, {"agents": ["b"]})
    valid(during.everywhere({"agents": ["a", "b"]}).result())
    elsewhere = both().learn(3, {"agents": ["c"]}, key="episode/e2").everywhere({"agents": ["a", "b", "c"]})
    assert "phantom-update" in kinds(elsewhere.result())


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


# Nodes that go back.


def test_a_node_does_not_show_less_than_it_did():
    book = both().recall(3, {"agents": ["a"]}).recall(3, {"agents": ["b"]}).everywhere({"agents": ["a", "b"]})
    anomaly = only(book.result(), "replica-went-back", (0, 4, 6))
    assert anomaly.explanation == (
        "On key episode/e1, a of agents is not in recall by process 3 (index 6 to 7, 0.006 s to 0.007 s), which began 1 ms after n3 had it: "
        "recall by process 3 (index 4 to 5, 0.004 s to 0.005 s) showed it, of learn of {'agents': ['a']} by process 1 (index 0 to 1, 0.000 s to 0.001 s)."
    )
    valid(both().recall(3, {"agents": ["a"]}).recall(2, {"agents": ["b"]}).everywhere({"agents": ["a", "b"]}).result())
    own = both().recall(1, {"agents": ["b"]}).everywhere({"agents": ["a", "b"]})
    only(own.result(), "replica-went-back", (0, 4))


def test_reads_that_overlap_have_no_order():
    book = both().begin(4, "recall").recall(3, {"agents": ["a", "b"]})
    book.operations.end(4, {"fields": {"agents": ["b"]}, "conflicts": {}}, served_by="n3")
    valid(book.everywhere({"agents": ["a", "b"]}).result())


def test_a_deletion_that_began_in_time_explains_it():
    gone = both().recall(3, {"agents": ["a", "b"]}).forget(1).recall(3, {"agents": ["b"]}).everywhere(None)
    valid(gone.result())
    later = both().recall(3, {"agents": ["a", "b"]}).recall(3, {"agents": ["b"]}).forget(1).everywhere(None)
    only(later.result(), "replica-went-back", (0, 4, 6))


def test_what_was_deleted_where_it_was_known_does_not_come_back():
    """n3 had shown a, and b was unknown there."""
    book = both().recall(3, {"agents": ["a"]}).forget(3).recall(3, {"agents": ["a"]}).everywhere({"agents": ["b"]})
    anomaly = only(book.result(), "resurrected", (6, 8))
    assert anomaly.explanation.startswith(
        "On key episode/e1, a of agents is in recall by process 3 (index 8 to 9, 0.008 s to 0.009 s), which began 1 ms after it had been deleted where it was known: forget"
    )
    last = both().recall(3, {"agents": ["a"]}).forget(3).everywhere({"agents": ["a", "b"]})
    only(last.result(), "resurrected", (6, 8))
    valid(
        both()
        .recall(3, {"agents": ["a"]})
        .forget(3)
        .recall(1, {"agents": ["a"]})
        .everywhere({"agents": ["b"]})
        .result()
    )
    own = both().forget(1).everywhere({"agents": ["a", "b"]})
    only(own.result(), "resurrected", (4, 6))


def test_what_a_deletion_had_not_seen_or_lost_again_may_come_back():
    valid(both().forget(3).everywhere({"agents": ["a", "b"]}).result())
    shown = both().recall(3, {"agents": ["a"]})
    valid(shown.forget(3, ends="info").everywhere({"agents": ["a", "b"]}).result())
    log = both().recall(3, {"agents": ["a"]}).forget(3, level="linearizable").everywhere({"agents": ["a", "b"]})
    valid(log.result())
    wiped = both().recall(3, {"agents": ["a"]}).forget(3).fault("wipe", "n3", 7.5, 7.6)
    valid(wiped.everywhere({"agents": ["a", "b"]}).result())
    again = both().recall(3, {"agents": ["a"]}).forget(3).learn(2, {"agents": ["a"]})
    valid(again.everywhere({"agents": ["a", "b"]}).result())


def test_counts_and_texts_of_a_node_do_not_go_back():
    book = counted(9, 9, 9)
    early = Book().learn(1, {"times_used": 2}, key=FACT).learn(2, {"times_used": 3}, key=FACT)
    early.recall(3, {"times_used": 5}, key=FACT).recall(3, {"times_used": 2}, key=FACT).everywhere(
        {"times_used": 5}, key=FACT
    )
    anomaly = only(early.result(), "replica-went-back", (4, 6))
    assert (
        "times_used is 2 in recall by process 3" in anomaly.explanation
        and "after it was at least 5" in anomaly.explanation
    )
    valid(book.result())
    texts = Book().learn(1, {"goal": "x"}).learn(2, {"goal": "y"}).recall(3, {"goal": "y"}).recall(3, {"goal": "x"})
    anomaly = only(texts.everywhere({"goal": "y"}).result(), "replica-went-back", (2, 4, 6))
    assert "y of goal, which nothing that is shown can have replaced, is not in recall" in anomaly.explanation


def test_a_crash_takes_only_what_was_not_acknowledged():
    def crashed(kind: str, ends: str) -> Book:
        book = both().learn(1, {"agents": ["c"]}, ends=ends)
        book.recall(3, {"agents": ["a", "b", "c"]}).fault(kind, "n3", 6.5, 6.6).recall(3, {"agents": ["a", "b"]})
        return book.everywhere({"agents": ["a", "b", "c"]})

    valid(crashed("kill", "info").result())
    valid(crashed("power", "info").result())
    only(crashed("cut", "info").result(), "replica-went-back", (4, 5, 7))
    only(crashed("kill", "ok").result(), "replica-went-back", (4, 6, 8))
    valid(crashed("wipe", "ok").result())


# Levels.


def leveled(level: str, read: str, shown: list[str]) -> Book:
    book = Book().learn(1, {"agents": ["a"]}, level=level).learn(2, {"agents": ["b"]})
    return book.recall(3, {"agents": shown}, level=read).everywhere({"agents": ["a", "b"]})


@pytest.mark.parametrize("level", ["quorum", "linearizable"])
def test_a_read_shows_what_its_level_promises(level: str):
    anomaly = only(leveled(level, level, ["b"]).result(), f"stale-{level}-read", (0, 4))
    assert f"which began 3 ms after it was promised to reads of level {level}: learn of" in anomaly.explanation
    valid(leveled(level, level, ["a"]).result())
    valid(leveled("eventual", level, []).result())
    valid(leveled(level, "eventual", []).result())


def test_the_levels_promise_nothing_to_each_other():
    valid(leveled("quorum", "linearizable", []).result())
    valid(leveled("linearizable", "quorum", []).result())


def test_counts_and_texts_of_a_level():
    count = Book().learn(1, {"times_used": 2}, key=FACT, level="quorum").learn(2, {"times_used": 3}, key=FACT)
    count.recall(3, {"times_used": 1}, key=FACT, level="quorum").everywhere({"times_used": 5}, key=FACT)
    only(count.result(), "stale-quorum-read", (0, 4))
    text = (
        Book().learn(1, {"goal": "x"}).learn(2, {"goal": "y"}, level="quorum").recall(3, {"goal": "x"}, level="quorum")
    )
    only(text.everywhere({"goal": "y"}).result(), "stale-quorum-read", (2, 4))


def test_what_came_by_the_log_is_there_for_good_once_anybody_showed_it():
    book = Book().learn(1, {"agents": ["a"]}, level="linearizable", ends="info").learn(2, {"agents": ["b"]})
    book.recall(1, {"agents": ["a"]}).recall(3, {"agents": ["b"]}, level="linearizable").everywhere(
        {"agents": ["a", "b"]}
    )
    only(book.result(), "stale-linearizable-read", (0, 3, 5))


def test_a_change_by_the_log_need_not_be_applied_where_it_was_asked_for():
    book = Book().learn(1, {"agents": ["a"], "times_used": 1}, level="linearizable").learn(2, {"agents": ["b"]})
    valid(book.recall(1, {"agents": []}).everywhere({"agents": ["a", "b"], "times_used": 1}).result())


def test_other_voters_and_empty_disks_end_the_promise_of_a_quorum():
    def story() -> Book:
        return leveled("quorum", "quorum", ["b"])

    valid(story().fault("wipe", "n2", 2.5, 3).result())
    book = story()
    book.faults.append(Fault("v", "voters", {"voters": {"n2": 2}}, {}, True, 2 * MS, 2 * MS, None, None, 3 * MS))
    valid(book.result())
    assert "stale-quorum-read" in kinds(story().fault("kill", "n2", 2.5, 3).result())


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
    unknown(some.result(), "n2, n3 answered no final read, and may differ")
