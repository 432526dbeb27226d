"""Agent memory that invents, forgets again, or shows less than its level promises: stories of operations."""

from __future__ import annotations

import pytest

from tribulation.checkers import Fault

from .memory_stories import FACT, Book, both, counted
from .stories import MS, kinds, only, valid

# Phantoms.


def test_elements_and_texts_of_nobody():
    anomaly = only(both().everywhere({"agents": ["a", "b", "z"]}).result(), "phantom-update", (4,))
    assert anomaly.explanation == (
        "On key episode/e1, z of agents is in recall by process 1 (index 4 to 5, 0.004 s to 0.005 s), which no client wrote."
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
