"""Each promise, broken once by hand."""

from __future__ import annotations

import pytest

from tribulation.harness.simulator.coverage.promises import Promises
from tribulation.harness.simulator.errors import SafetyViolation

V3 = {"n1": 1, "n2": 1, "n3": 1}


def line(node, event, **fields):
    return {"node": node, "incarnation": 1, "seq": 0, "mono_ns": 0, "event": event, **fields}


def start(node, last=0, snapshot=0, term=0, torn=False, voted_for=None):
    return line(
        node,
        "start",
        term=term,
        voted_for=voted_for,
        last_index=last,
        last_term=0,
        snapshot_index=snapshot,
        voters=V3,
        torn=torn,
    )


def append(node, *entries):
    return line(node, "append", entries=[list(entry) for entry in entries])


def durable(node, index, term=1):
    return line(node, "durable", index=index, term=term)


def vote(node, term, candidate):
    return line(node, "vote", term=term, candidate=candidate)


def leader(node, term, *votes):
    return line(node, "leader", term=term, last_index=0, votes=list(votes), voters=V3)


def won(node, term):
    """It is elected by itself and n2 or n3."""
    other = "n3" if node == "n2" else "n2"
    return [vote(node, term, node), vote(other, term, node), leader(node, term, node, other)]


def commit(node, index, term=1):
    return line(node, "commit", index=index, term=term, match={}, voters=V3)


def line_of_cut(node):
    return line(node, "truncate", **{"from": 1})


def apply(node, *entries):
    return line(node, "apply", entries=[list(entry) for entry in entries])


A1, B1, A2 = (1, 1, 111), (1, 2, 222), (2, 1, 333)
GOOD = [
    start("n1"), start("n2"), start("n3"),
    *won("n1", 1),
    append("n1", A1), durable("n1", 1), append("n2", A1), durable("n2", 1),
    commit("n1", 1), apply("n1", A1),
]  # fmt: skip


def watch(*lines):
    seen = Promises()
    for one in lines:
        seen.see(one)
    return seen


def test_a_correct_run_raises_nothing():
    seen = watch(*GOOD, apply("n2", A1), line("n1", "ack", index=1, kind="write"), *won("n2", 2))
    assert seen.broken is None and seen.committed_to == 1


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("two-leaders", [*won("n1", 1), leader("n2", 1)]),
        ("two-votes", [vote("n1", 1, "n1"), vote("n1", 1, "n2")]),
        ("forgotten-vote", [vote("n1", 1, "n2"), start("n1", term=1)]),
        ("elected-without-quorum", [vote("n1", 1, "n1"), leader("n1", 1, "n1")]),
        ("vote-not-given", [vote("n1", 1, "n1"), leader("n1", 1, "n1", "n2")]),
        ("term-went-back", [line("n1", "term", term=3), line("n1", "term", term=2)]),
        ("term-went-back", [line("n1", "term", term=3), start("n1", term=2)]),
        ("durable-entries-lost", [*GOOD, start("n2", last=0, term=1, voted_for="n1")]),
        ("gap-in-log", [append("n1", A2)]),
        ("log-mismatch", [append("n1", A1), append("n2", (1, 1, 999))]),
        ("log-mismatch", [append("n1", A1, A2), append("n2", (1, 0, 0), A2)]),
        ("commit-of-nothing", [start("n1"), commit("n1", 1)]),
        ("commit-of-old-term", [*GOOD[:-2], commit("n1", 1, term=2)]),
        ("commit-without-quorum", [*GOOD[:-4], append("n2", A1), commit("n1", 1)]),
        ("two-entries-committed", [*GOOD, apply("n3", B1)]),
        ("applied-out-of-order", [*GOOD, apply("n1", (3, 1, 5))]),
        ("incomplete-leader", [*GOOD, *won("n3", 2)]),
        ("state-went-back", [*GOOD, line("n1", "snapshot-installed", index=0, term=0, digest="")]),
        ("committed-entry-removed", [*GOOD, line("n2", "truncate", **{"from": 1})]),
        ("ack-of-uncommitted", [*GOOD, line("n1", "ack", index=2, kind="write")]),
        ("snapshot-of-uncommitted", [*GOOD, line("n3", "snapshot-installed", index=9, term=1, digest="")]),
    ],
)
def test_a_broken_promise_is_named(kind, lines):
    with pytest.raises(SafetyViolation, match=f"^{kind}: "):
        watch(*lines)


def test_a_torn_node_may_come_back_with_less():
    watch(*GOOD, start("n2", last=0, term=0, torn=True))


def test_a_snapshot_makes_its_index_durable():
    watch(
        *GOOD[:8],
        line("n3", "snapshot-installed", index=0, term=1, digest=""),
        append("n3", A1),
        durable("n3", 1),
        commit("n1", 1),
    )


def test_what_a_boot_finds_is_not_durable_yet():
    """Term and entries that were in the page cache alone may be gone at the next boot."""
    watch(*GOOD, start("n2", last=1, term=4), start("n2", last=1, term=1, voted_for="n1"))
    watch(*GOOD, append("n2", A2), *(start("n2", last=last, term=1, voted_for="n1") for last in (2, 1)))


REPLACED = [
    *[line for node in ("n1", "n2", "n3") for line in (start(node), append(node, A1), durable(node, 1))],
    *won("n1", 2),
    *[line for node in ("n1", "n2") for line in (line_of_cut(node), append(node, B1), durable(node, 1, 2))],
    commit("n1", 1, 2),
    line_of_cut("n3"),
    append("n3", B1),
]
"""n3 has replaced an entry by the committed one, and has not synced that yet."""


def test_a_failed_fsync_brings_back_what_was_replaced_and_it_may_be_removed_again():
    watch(*REPLACED, {**start("n3", last=1, term=2), "last_term": 1}, line_of_cut("n3"))


def test_what_replaced_it_may_not_be_removed_once_it_is_durable():
    with pytest.raises(SafetyViolation, match=r"^committed-entry-removed: "):
        watch(*REPLACED, durable("n3", 1, 2), {**start("n3", last=1, term=2), "last_term": 2}, line_of_cut("n3"))


UNSYNCED = [line for line in REPLACED if line != durable("n3", 1)]
"""The same, and what n3 had first was never known to be durable either; it may be on its disk all the same."""


def test_what_was_never_known_to_be_durable_may_come_back_too():
    watch(*UNSYNCED, {**start("n3", last=1, term=2), "last_term": 1}, line_of_cut("n3"))


def test_what_came_back_is_not_the_committed_entry_that_had_replaced_it():
    """n2 lost nothing, but n3 has the old entry on its disk, and n1 alone is no majority."""
    listed = [line for line in UNSYNCED if line not in (durable("n2", 1, 2), commit("n1", 1, 2))]
    back = [{**start("n3", last=1, term=2), "last_term": 1}, durable("n3", 1)]
    with pytest.raises(SafetyViolation, match=r"^commit-without-quorum: "):
        watch(*listed, *back, commit("n1", 1, 2))
